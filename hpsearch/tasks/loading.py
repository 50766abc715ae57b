"""Tasks of the user's own: `task: "python:module:Class"` names a subclass of `TaskSet` in a module.

Modules are imported by name, so that a worker process finds the same class; a task that a script adds with `register`
is known in that script's process only.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from hpsearch.data import user_modules
from hpsearch.error_lines import with_class
from hpsearch.errors import ConfigError, DataError
from hpsearch.tasks.task import TaskSet

PREFIX = "python:"
FORM = 'task: "python:module:Class"'
REMEDY = "put what a script does under: if __name__ == '__main__':"
_folders: list[Path] = []  # searched for modules, the latest first
_lock = threading.Lock()  # a worker's first trial may come while the worker warms up


def search_in(folder: Path) -> None:
    """Adds a folder (that of a space file) to those in which `load` finds modules."""
    folder = folder.resolve()
    _folders[:] = [folder, *(other for other in _folders if other != folder)]


def load(name: str) -> type[TaskSet]:
    """The section that `name` stands for, as a subclass whose `task` is `name`.

    Raises ConfigError if the module cannot be imported, or if the attribute is missing or no TaskSet.
    """
    module_name, _, attribute = name.removeprefix(PREFIX).partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{name!r} names no class of a module; write {FORM}")
    folder = _folder_of(module_name)
    what = f"{name}: importing it"
    try:
        with _lock, user_modules.running(module_name, base=folder, what=what, remedy=REMEDY):
            module = user_modules.imported(module_name, base=folder, what=name)
    except DataError as error:
        raise ConfigError(str(error)) from error
    except Exception as error:  # whatever a user's module does wrong while it is imported
        raise ConfigError(f"{name}: cannot be imported ({with_class(error)})") from error
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # for what the module imports later; last, so that it hides no package
    section = getattr(module, attribute, None)
    if not (isinstance(section, type) and issubclass(section, TaskSet)):
        what = "has no attribute" if section is None else "has no subclass of hpsearch.tasks.TaskSet named"
        raise ConfigError(f"{name}: module {module_name} {what} {attribute!r}")
    return section.named(name)


def module_of(name: str) -> str:
    """The module that the name of a task of the user's own begins with."""
    return name.removeprefix(PREFIX).partition(":")[0]


def _folder_of(module: str) -> Path:
    """The folder that holds a module's file or package; the working folder if none does."""
    top = module.partition(".")[0]
    return next((one for one in _folders if (one / f"{top}.py").exists() or (one / top).is_dir()), Path().resolve())
