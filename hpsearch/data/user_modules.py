"""Imports and calls a user's modules: they can import from their folder, do not see our arguments, cannot exit."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from hpsearch.errors import DataError

LONGEST = 100  # characters of sys.exit's argument in the message


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
