"""The architecture as a test: imports go down, have no cycle, and each dependency has its doors.

Function-level imports count like the others: laziness is about time, not about direction.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hpsearch"

# Lowest first. A module imports its own level and those below; a name stands for a file or a folder.
LEVELS = [
    ["errors", "failpoints", "redaction", "printable", "output", "outcome"],
    ["config", "contract", "atomic", "verdict"],
    ["sealed"],
    ["data"],
    ["training"],
    [
        "space.document",
        "space.nodes",
        "space.mistakes",
        "space.ranges",
        "space.wording",
    ],  # what trainers know of a space file
    ["trainers"],
    ["space", "samples"],
    ["journal", "lock", "caveats", "environment"],
    ["identity", "storage", "home"],
    ["report"],  # below the views: its pictures are artifacts of the MLflow view
    ["sampling", "study", "views", "launchers"],
    ["events", "placement", "search"],
    ["preparation", "best", "final", "provenance", "repair"],
    ["driver"],
    ["testing"],
    ["cli"],
]

# The modules (files or folders) that may import a dependency.
DOORS = {
    "click": ["cli"],
    "datasets": ["data.library"],
    "fsspec": ["storage.storage"],
    "matplotlib": ["report"],
    "mlflow": ["views.mlflow.store", "views.mlflow.client"],
    "optuna": ["report", "sampling", "space", "views.optuna"],
    "psycopg": ["views.postgres"],
    "pyarrow": ["data.library", "data.rows", "data.packed"],
    "ray": ["launchers.ray.actor", "launchers.ray.cluster"],
    "rich": ["cli"],
    "ruamel": ["best", "space.document", "space.nodes"],
    "sacrebleu": ["training.translations"],
    "safetensors": ["training.export"],
    "sklearn": ["training.metrics", "report.importances"],
    "tokenizers": ["data.tokenizer"],
    "torch": ["training", "launchers", "testing"],
    "transformers": [],  # the tests read exports with it
}

# What the command line may load before it knows the command: none of these (each takes 0.3 to 3 s).
HEAVY = ["torch", "mlflow", "sklearn", "optuna", "datasets", "sacrebleu", "pandas", "pyarrow", "matplotlib"]
LIGHT = ["errors", "config", "contract", "verdict", "trainers", "testing", "journal", "space.experiment", "cli"]

BELOW_TRAINING = ["training", "data", "config", "contract", "atomic", "sealed", "errors", "failpoints"]

# Where the two names differ; pydantic names the very pydantic_core that it goes with.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "ruamel": "ruamel.yaml", "pydantic_core": "pydantic"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package: dotted name without "hpsearch." -> file; the package itself is left out."""
    named = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in named.items() if name != "__init__"}


def imported(path: Path, package: str) -> Iterator[str]:
    """The full names a file imports, wherever in the file; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def names(module: str) -> list[str]:
    """What a module of the package imports, by full name."""
    path = modules()[module]
    whole = f"hpsearch.{module}"
    return list(imported(path, whole if path.name == "__init__.py" else whole.rpartition(".")[0]))


def own(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in names(module):
        parts = name.split(".")
        if parts[0] == "hpsearch":
            candidates = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
            found |= {next((candidate for candidate in candidates if candidate in modules()), "")}
    return found - {"", module}


def others(module: str) -> set[str]:
    """The top names of what a module imports from outside the package and the standard library."""
    return {name.split(".")[0] for name in names(module)} - {"hpsearch", *sys.stdlib_module_names}


def within(module: str, places: list[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def level(module: str) -> int:
    return next((at for at, places in enumerate(LEVELS) if within(module, places)), -1)


def test_the_reader_of_imports_sees_what_is_there() -> None:
    assert {"errors", "training", "config", "verdict", "testing"} <= set(modules())
    assert "verdict" in own("testing.curves")
    assert "pydantic" in others("config")


def test_every_module_has_a_level() -> None:
    assert [module for module in modules() if level(module) < 0] == []


def test_imports_go_down() -> None:
    known = sorted(module for module in modules() if level(module) >= 0)
    upward = [f"{a} -> {b}" for a in known for b in sorted(own(a)) if level(b) > level(a)]
    assert upward == []


def test_imports_have_no_cycle() -> None:
    try:
        order = list(TopologicalSorter({module: own(module) for module in modules()}).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert len(order) == len(modules())


def test_training_knows_nothing_of_the_search() -> None:
    for module in filter(lambda name: within(name, ["training"]), modules()):
        assert {name for name in own(module) if not within(name, BELOW_TRAINING)} == set(), module


def test_nothing_imports_the_stand_ins_or_the_command_line() -> None:
    for module in modules():
        if not within(module, ["testing", "cli"]):
            assert {name for name in own(module) if within(name, ["testing", "cli"])} == set(), module


@pytest.mark.parametrize("dependency", sorted(DOORS))
def test_one_door_per_dependency(dependency: str) -> None:
    users = [module for module in sorted(modules()) if dependency in others(module)]
    assert [user for user in users if not within(user, DOORS[dependency])] == []


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["samples"], *extras["ray"], *extras["postgresql"]]
    declared = {re.split(r"[\s\[<>=!~;]", requirement)[0].lower() for requirement in listed}
    imports = {name for module in modules() for name in others(module)}
    assert {name for name in imports if DISTRIBUTIONS.get(name, name).lower() not in declared} == set()


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    if module not in modules():
        pytest.skip(f"there is no hpsearch.{module}")
    assert loaded_by(f"import hpsearch.{module}") == []


def test_help_loads_nothing_heavy() -> None:
    if "cli" not in modules():
        assert loaded_by("import hpsearch") == []
        return
    code = "import hpsearch.cli\ntry: hpsearch.cli.main(['--help'])\nexcept SystemExit as end: assert not end.code"
    assert loaded_by(code) == []


def loaded_by(code: str) -> list[str]:
    """The heavy dependencies that a fresh interpreter has loaded after running some code."""
    code += f"\nimport sys; print('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.rpartition("LOADED")[2].split()
