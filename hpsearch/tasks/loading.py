"""Tasks of the user's own: `task: "python:module:Class"` names a subclass of `TaskSet` in a module.

Modules are imported by name, so that a worker process finds the same class; a task that a script adds with `register`
is known in that script's process only.
"""

from __future__ import annotations

from pathlib import Path

from hpsearch.errors import ConfigError
from hpsearch.system import user_modules
from hpsearch.tasks.task import TaskSet

FORM = 'task: "python:module:Class"'
_folders: list[Path] = []  # searched for modules, the latest first


def search_in(folder: Path) -> None:
    """Adds a folder (that of a space file) to those in which `load` finds modules."""
    folder = folder.resolve()
    _folders[:] = [folder, *(other for other in _folders if other != folder)]


def load(name: str) -> type[TaskSet]:
    """The section that `name` stands for, as a subclass whose `task` is `name`.

    Raises ConfigError if the module cannot be imported, or if the attribute is missing or no TaskSet.
    """
    module, attribute = user_modules.split(name)
    if not module or not attribute:
        raise ConfigError(f"{name!r} names no class of a module; write {FORM}")
    folder = _folder_of(module)
    section = user_modules.load(name, base=folder, where=name, error=ConfigError)
    user_modules.keep_importable(folder)
    if not (isinstance(section, type) and issubclass(section, TaskSet)):
        what = "has no attribute" if section is None else "has no subclass of hpsearch.tasks.TaskSet named"
        raise ConfigError(f"{name}: module {module} {what} {attribute!r}")
    return section.named(name)


def _folder_of(module: str) -> Path:
    """The folder that holds a module's file or package; the working folder if none does."""
    top = module.partition(".")[0]
    return next((one for one in _folders if (one / f"{top}.py").exists() or (one / top).is_dir()), Path().resolve())
