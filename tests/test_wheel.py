"""What `pip install hpsearch` brings without the repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built from a copy of the package."""
    pytest.importorskip("setuptools.build_meta")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "hpsearch", folder / "hpsearch", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    (found,) = (folder / "dist").glob("*.whl")
    return found


def test_the_wheel_has_every_file_of_the_package(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    package = wheel.parents[1] / "hpsearch"
    assert packed == {f"hpsearch/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file()}
    assert {"hpsearch/py.typed", "hpsearch/__init__.pyi"} <= packed


def test_the_wheel_needs_nothing_of_the_checkout(wheel):
    """Its console script, its dependencies and its extras are in its metadata."""
    files = zipfile.ZipFile(wheel)
    [entry] = [files.read(name).decode() for name in files.namelist() if name.endswith("entry_points.txt")]
    [metadata] = [files.read(name).decode() for name in files.namelist() if name.endswith("METADATA")]
    assert "hpsearch = hpsearch.cli:main" in entry
    assert "[mlflow.app]\nhpsearch = hpsearch.views.mlflow.pages:app" in entry
    assert "Provides-Extra: samples" in metadata
    assert "Requires-Python: >=3.11" in metadata


@pytest.mark.slow
def test_an_installed_wheel_searches_outside_of_the_checkout(wheel, tmp_path):
    """In an environment of its own, which borrows the installed packages; pip reaches no index."""
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    library = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", library, str(wheel)]
    subprocess.run(pip, check=True)
    Path(library, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")  # after the environment's own
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(ROOT / "search_spaces" / "quickstart.yaml", work)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HPSEARCH"))}
    settings = {"cwd": work, "env": plain, "capture_output": True, "text": True, "check": False}
    where = subprocess.run([python, "-c", "import hpsearch; print(hpsearch.__file__)"], **settings)
    assert where.stdout.startswith(str(tmp_path / "env")), where.stdout + where.stderr
    done = subprocess.run([python, "-m", "hpsearch", "run", "quickstart.yaml", "--trials", "1"], **settings)
    assert done.returncode == 0, done.stderr
    assert (work / "mlruns" / "quickstart" / "best.yaml").exists()
