"""What `pip install hpsearch` brings without the repository."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_wheel_has_every_file_of_the_package(tmp_path):
    pytest.importorskip("setuptools.build_meta")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "hpsearch", tmp_path / "hpsearch", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    package = tmp_path / "hpsearch"
    assert packed == {f"hpsearch/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file()}
    assert "hpsearch/py.typed" in packed
