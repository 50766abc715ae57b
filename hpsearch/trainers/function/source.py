"""The function that `train:` names: `./my_train.py:train`, or `package.module:function`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.errors import ConfigError
from hpsearch.system import user_modules

FORM = "./my_train.py:train or package.module:function"
_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")
_MODULE = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")


class Source(NamedTuple):
    """A function by name, in a file or in a module that can be imported."""

    file: Path | None
    module: str
    name: str


def source_of(train: str, base: Path) -> Source:
    """Splits the name of a function; raises ConfigError if it is none, or if the file is missing or lacks it.

    base: the folder that a relative path starts from. Nothing is imported.
    """
    if found := _FILE.fullmatch(train):
        file = base / Path(found["file"]).expanduser()
        _check_file(file, found["name"], train)
        return Source(file, file.stem, found["name"])
    if (found := _MODULE.fullmatch(train)) and found["module"] == "__main__":
        raise ConfigError(
            f"{train}: a worker has another __main__; write the function in a file, and its name as {FORM}"
        )
    if found:
        return Source(None, found["module"], found["name"])
    raise ConfigError(f"{train!r} names no function; write {FORM}")


def file_of(train: str) -> str | None:
    """The path in the name of a function, if it has one."""
    found = _FILE.fullmatch(train)
    return None if found is None else found["file"]


def load(train: str, base: Path) -> Callable[..., Any]:
    """Imports the function; raises ConfigError, one line, if that fails or it is no function of a config."""
    source = source_of(train, base)
    folder = base if source.file is None else source.file.parent
    module = f"{user_modules.PREFIX}{source.module}:{source.name}"
    found = user_modules.load(module, base=folder, where=train, error=ConfigError)
    user_modules.keep_importable(folder)
    if found is None:
        raise ConfigError(f"{train}: module {source.module} has no function {source.name!r}")
    if not callable(found) or inspect.iscoroutinefunction(found) or isinstance(found, type):
        kind = "async" if inspect.iscoroutinefunction(found) else f"a {type(found).__name__}"
        raise ConfigError(f"{train}: {source.name} is {kind}; allowed: def {source.name}(config, trial)")
    takes(found, train)
    return found  # type: ignore[no-any-return]


def takes(function: Callable[..., Any], train: str) -> int:
    """How many of (config, trial) the function takes; raises ConfigError if it takes neither one nor two."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a compiled function
        return 2
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    name = train.rpartition(":")[2]
    raise ConfigError(f"{train}: it takes {signature}; allowed: def {name}(config, trial), or def {name}(config)")


def _check_file(file: Path, name: str, train: str) -> None:
    """Raises ConfigError if the file is missing, is no Python, or nowhere defines the name."""
    if "." in file.stem:
        raise ConfigError(f"{train}: Python cannot import a file with a dot in its name; rename it")
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise ConfigError(f"{train}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{train}: cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{train}: {file.name}{line} is no Python: {getattr(error, 'msg', error)}") from None
    defined = list(dict.fromkeys(_names(tree)))
    if name not in defined and "*" not in defined:
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        there = f"; its functions: {', '.join(functions)}" if functions else ""
        raise ConfigError(f"{train}: {file.name} defines no {name}{there}")


def _names(tree: ast.Module) -> list[str]:
    """The names that a module may define, wherever they stand in it."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    return found
