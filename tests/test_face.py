"""`import hpsearch`: what it offers, what it loads, and what a type checker sees."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import hpsearch
from tests.test_imports import HEAVY, loaded_by

ROOT = Path(__file__).parents[1]


def test_importing_it_loads_nothing_heavy():
    assert loaded_by("import hpsearch") == []
    code = (
        "import sys, hpsearch; print(sorted(n for n in sys.modules if n.startswith(('hpsearch.', 'pydantic', 'rich'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_a_study_loads_nothing_heavy():
    assert loaded_by("import hpsearch; hpsearch.load; hpsearch.Trial; hpsearch.Evaluation; hpsearch.UserError") == []
    assert {"torch", "mlflow", "optuna", "pandas"} <= set(HEAVY)


@pytest.mark.parametrize("name", hpsearch.__all__)
def test_every_name_exists_and_is_documented(name):
    found = getattr(hpsearch, name)
    assert found.__doc__
    assert name in dir(hpsearch)


def test_the_type_stubs_match_the_exports():
    tree = ast.parse((ROOT / "hpsearch" / "__init__.pyi").read_text())
    typed = {f"{node.module}.{a.name}" for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert typed == {f"{module}.{name}" for name, module in hpsearch._MODULE_OF.items()}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hpsearch' has no attribute 'rnu'"):
        hpsearch.rnu  # noqa: B018


PROGRAM = """
import hpsearch

study = hpsearch.run("space.yaml", trials=3, progress=lambda event: None)
reveal_type(study)
reveal_type(study.best)
reveal_type(study.trials[0].params)
reveal_type(study.curve(0).values)
reveal_type(hpsearch.train({"study": "a"}).metrics)
hpsearch.run("space.yaml", trails=3)
"""


@pytest.mark.slow
def test_a_type_checker_knows_the_types(tmp_path):
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*mypy, str(tmp_path / "program.py")], cwd=ROOT, capture_output=True, text=True, timeout=600)
    revealed = [line.split('"')[1] for line in done.stdout.splitlines() if "Revealed type" in line]
    assert revealed == [
        "hpsearch.api.study.Study",
        "hpsearch.api.trial.Trial | None",
        "dict[str, Any]",
        "list[float]",
        "dict[str, float]",
    ]
    assert 'Unexpected keyword argument "trails"' in done.stdout
