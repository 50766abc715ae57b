"""Imports a user's modules ("python:module:attribute") and calls them.

They can import from their folder, do not see our arguments, and cannot exit.

Python imports a module once in a process, whatever folder the next space file lies in. `imported` refuses a module of
another folder, and `forget_changed` lets the next import read edited files.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hpsearch.errors import DataError, StudyBusy, UserError
from hpsearch.output.error_lines import with_line

PREFIX = "python:"
REMEDY = "put what a script does under: if __name__ == '__main__':"
LONGEST = 100  # characters of sys.exit's argument in the message


@dataclass(frozen=True)
class _Imported:
    """A module that lies beside a space file, as it was when it was imported."""

    base: Path
    file: Path
    stamp: tuple[int, int] | None  # of the file


_imported: dict[str, _Imported] = {}  # by the module's name
_lock = threading.RLock()  # a worker's first trial may come while the worker warms up; a module may name another


def split(name: str) -> tuple[str, str]:
    """Splits "python:package.module:attribute" into module and attribute; a missing part is empty."""
    module, _, attribute = name.removeprefix(PREFIX).partition(":")
    return module, attribute


def load(name: str, *, base: Path, where: str, error: type[UserError]) -> Any:
    """Imports the module that `name` begins with and returns its attribute; None if the module lacks it.

    Finds modules in the folder `base` too. Raises `error`, whose message begins with `where`, if the module cannot be
    imported.
    """
    module, attribute = split(name)
    if "/" in module or module.endswith(".py"):
        stem = Path(module).stem
        raise error(
            f"{where}: {module} is a path; write {PREFIX}{stem}:{attribute}, with {stem}.py in the file's folder"
        )
    try:
        with _lock, running(module, base=base, what=f"{where}: importing module {module}", remedy=REMEDY):
            return getattr(imported(module, base=base, what=where), attribute, None)
    except DataError as refused:
        raise error(str(refused)) from refused
    except StudyBusy as raised:
        raise error(f"{where}: cannot be imported, since it runs hpsearch itself ({raised}); {REMEDY}") from raised
    except Exception as raised:  # whatever a user's module does wrong while it is imported
        raise error(f"{where}: cannot be imported ({with_line(raised, base)})") from raised


def keep_importable(base: Path) -> None:
    """Appends the folder to `sys.path` for what its modules import later; last, so that it hides no package."""
    if (folder := str(base.resolve())) not in sys.path:
        sys.path.append(folder)


@contextlib.contextmanager
def running(module: str, *, base: Path, what: str, remedy: str) -> Iterator[None]:
    """Puts the folder `base` first on `sys.path` and only the module's file into `sys.argv`.

    Restores both, and the working directory, afterwards. Raises DataError, which begins with `what` and ends with
    `remedy`, when the module calls `sys.exit` (a script, or argparse). KeyboardInterrupt passes through.
    """
    folder, arguments, directory = str(base.resolve()), sys.argv, _directory()
    sys.path.insert(0, folder)
    sys.argv = [_file(module)]
    try:
        yield
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)[:LONGEST]
        raise DataError(f"{what} called sys.exit({code}); {remedy}") from error
    finally:
        sys.argv = arguments
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        if directory is not None and directory != _directory():
            os.chdir(directory)


def imported(module: str, *, base: Path, what: str) -> ModuleType:
    """Imports a module, inside `running`.

    Raises DataError, which begins with `what`, if the module, a package around it or a module that it may import was
    imported from another folder before, and `base` has a file for it.
    """
    base, parts = base.resolve(), module.split(".")
    around = [".".join(parts[: n + 1]) for n in range(len(parts))]
    _refuse_others([*around, *_imported], base, what)
    before = set(sys.modules)
    try:
        found = importlib.import_module(module)
    finally:
        new = set(sys.modules) - before
        _note(new if module in _imported else {module, *new}, base)
    _refuse_others([module], base, what)
    return found


def is_other(module: str, base: Path) -> bool:
    """Whether a module of this name was imported from another file than the one that the folder `base` has for it.

    A copy of the same file counts as the same.
    """
    file, beside = _file_of(module), _beside(module, base.resolve())
    if module not in sys.modules or beside is None or file == beside:
        return False
    try:
        return file is None or file.read_bytes() != beside.read_bytes()
    except OSError:
        return True


def forget_changed() -> set[str]:
    """Forgets the modules beside a space file of which a file changed, so that the next import reads the files again.

    Returns the names of the modules.
    """
    bases = {one.base for one in _imported.values() if _stamp(one.file) != one.stamp}
    names = {name for name, one in _imported.items() if one.base in bases}
    for name in names:
        file = _imported.pop(name).file
        if _file_of(name) == file:
            del sys.modules[name]
        with contextlib.suppress(OSError, NotImplementedError):  # Python compares its time in whole seconds
            os.unlink(importlib.util.cache_from_source(str(file)))
    importlib.invalidate_caches()
    return names


def contents(base: Path) -> str:
    """A digest of the modules beside a space file that this process has imported; empty without any."""
    files = sorted({one.file for one in _imported.values() if one.base == base.resolve()})
    found = hashlib.sha256()
    for file in files:
        with contextlib.suppress(OSError):
            found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:16] if files else ""


def _refuse_others(modules: Iterable[str], base: Path, what: str) -> None:
    for name in modules:
        if is_other(name, base):
            raise DataError(
                f"{what}: this process has imported another module {name!r} ({_file_of(name) or 'built in'}), "
                f"not {_beside(name, base)}; rename one of the two, or use a process for each"
            )


def _note(modules: Iterable[str], base: Path) -> None:
    """Remembers those modules that lie in the folder `base`, other than our own."""
    for name in modules:
        file = _file_of(name)
        if file is not None and file == _beside(name, base) and name.partition(".")[0] != "hpsearch":
            _imported[name] = _Imported(base, file, _stamp(file))


def _beside(module: str, base: Path) -> Path | None:
    """The file that the folder has for a module, if it has one."""
    path = base.joinpath(*module.split("."))
    files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file.resolve() for file in files if file.is_file()), None)


def _file_of(module: str) -> Path | None:
    """The file of an imported module."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if file else None


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes with the file; None if it is missing."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _file(module: str) -> str:
    """The file of a module, without running it; the module's name if no such file."""
    top = module.partition(".")[0]
    with contextlib.suppress(ImportError, ValueError):
        found = importlib.util.find_spec(module if top in sys.modules else top)
        return (found and found.origin) or module
    return module


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None
