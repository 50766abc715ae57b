"""Reads the imports of a package from its files, and checks them against tables: levels, doors, declared dependencies.

Every check takes its tables as arguments and returns what breaks them, one line each; an empty list is what it should
be. Function-level imports count like the others: laziness is about time, not about direction.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Levels = list[list[str]]

# Where the two names differ; pydantic names the very pydantic_core that it goes with.
DISTRIBUTIONS = {
    "optuna_dashboard": "optuna-dashboard",
    "charset_normalizer": "charset-normalizer",
    "sklearn": "scikit-learn",
    "ruamel": "ruamel.yaml",
    "pydantic_core": "pydantic",
}


class Package:
    """The modules of a package and what each imports.

    A module is named without the package, `config.data`; the package's own `__init__` has the package's name.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        named = {".".join(path.relative_to(folder).with_suffix("").parts): path for path in folder.rglob("*.py")}
        self.modules = {name.removesuffix(".__init__"): path for name, path in named.items() if name != "__init__"}
        self.modules |= {self.name: named["__init__"]} if "__init__" in named else {}
        self._names = {module: list(self._imported(module)) for module in self.modules}
        self.own = {module: self._own(module) for module in self.modules}
        self.others = {module: self._others(module) for module in self.modules}

    def _imported(self, module: str) -> Iterator[str]:
        path = self.modules[module]
        whole = self.name if module == self.name else f"{self.name}.{module}"
        return imported(path, whole if path.name == "__init__.py" else whole.rpartition(".")[0])

    def _own(self, module: str) -> set[str]:
        names = [name.split(".") for name in self._names[module]]
        return {self._closest(parts[1:]) for parts in names if parts[0] == self.name} - {module}

    def _closest(self, parts: list[str]) -> str:
        candidates = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
        return next((candidate for candidate in candidates if candidate in self.modules), self.name)

    def _others(self, module: str) -> set[str]:
        return {name.split(".")[0] for name in self._names[module]} - {self.name, *sys.stdlib_module_names}


def imported(path: Path, package: str) -> Iterator[str]:
    """The full names that a file imports, wherever in the file; `from a import b` is a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def within(module: str, places: Iterable[str]) -> bool:
    """Whether a module is one of the places, or lies in one: a place is a file or a folder."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def closest(module: str, places: Iterable[str]) -> str:
    """The place in which a module lies, the innermost of several; "" if none."""
    return max((place for place in places if within(module, [place])), key=len, default="")


def missing(package: Package, places: Iterable[str]) -> list[str]:
    """Entries of a table that name no module of the package."""
    return [place for place in places if not any(within(module, [place]) for module in package.modules)]


def unlevelled(package: Package, levels: Levels, *, inside: str = "") -> list[str]:
    """Modules (those inside a folder, or all) that stand on no level, or on two; the nearest place counts."""
    modules = [module for module in package.modules if not inside or module.startswith(f"{inside}.")]
    places = [place for level in levels for place in level]
    counts = {module: places.count(closest(module, places)) for module in modules}
    return [f"{module}: {count} levels" for module, count in sorted(counts.items()) if count != 1]


def upward(package: Package, levels: Levels) -> list[str]:
    """Imports that do not go down. Two places of one level may not import each other; within a place all is free."""
    places = {place: at for at, level in enumerate(levels) for place in level}
    home = {module: closest(module, places) for module in package.modules}
    arrows = [(a, b) for a in sorted(home) for b in sorted(package.own[a]) if home[a] and home[b]]
    return [f"{a} -> {b}" for a, b in arrows if home[a] != home[b] and places[home[b]] >= places[home[a]]]


def cycle(package: Package) -> list[str]:
    """The modules of one import cycle, the first one last again; a module and its folder's `__init__` are two."""
    try:
        TopologicalSorter(package.own).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def escaping(package: Package, places: list[str], allowed: list[str]) -> list[str]:
    """Imports of the modules within some places that lead to a module outside those allowed."""
    inside = sorted(module for module in package.modules if within(module, places))
    return [f"{a} -> {b}" for a in inside for b in sorted(package.own[a]) if not within(b, allowed)]


def trespassing(package: Package, doors: dict[str, list[str]]) -> list[str]:
    """Imports of a dependency elsewhere than through its doors. A dependency that the table lacks has no door."""
    return [
        f"{module} -> {dependency}"
        for module in sorted(package.modules)
        for dependency in sorted(package.others[module])
        if not within(module, doors.get(dependency, []))
    ]


def unused(package: Package, doors: dict[str, list[str]]) -> list[str]:
    """Doors that no import goes through."""
    users = {d: [module for module in package.modules if d in package.others[module]] for d in doors}
    return [f"{d}: {p}" for d, places in doors.items() for p in places if not any(within(u, [p]) for u in users[d])]


def undeclared(package: Package, requirements: list[str]) -> list[str]:
    """Dependencies that are imported and that no requirement (`numpy>=1.26`) names."""
    declared = {re.split(r"[\s\[<>=!~;]", requirement)[0].lower() for requirement in requirements}
    imports = set().union(*package.others.values())
    return sorted(name for name in imports if DISTRIBUTIONS.get(name, name).lower() not in declared)
