"""Loads the trainer that a space file names: `causal_lm`, or "python:module:attribute"."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch import tasks
from hpsearch.atomic import make_folder, write_atomically
from hpsearch.config import Config
from hpsearch.data import user_modules
from hpsearch.document.validation_errors import fault
from hpsearch.errors import ConfigError, DataError, HpsearchError, TrainingFailed
from hpsearch.redaction import redact
from hpsearch.trainers.causal_lm import CausalLM
from hpsearch.trainers.checked import check_answers, in_one_line
from hpsearch.trainers.trainer import Trainer, is_section

PREFIX = "python:"
FAMILY: Mapping[str, type[Trainer]] = {"causal_lm": CausalLM}
DEFAULT = "causal_lm"
FORM = 'trainer: "python:package.module:attribute"'
_lock = threading.Lock()  # a worker's first trial may come while it warms up


def load(name: str, base: Path) -> Trainer:
    """Returns the trainer of this name; modules in the folder `base` can be imported too.

    Raises ConfigError when the name is unknown or the module cannot be imported.
    """
    tasks.find_modules_in(base)
    if not name.startswith(PREFIX):
        if name not in FAMILY:
            raise ConfigError(f"unknown trainer {name!r}; allowed: {', '.join(FAMILY)}, or your own as {FORM}")
        found: Any = FAMILY[name]
    else:
        found = _imported(name, base)
    trainer = _made(name, found)
    trainer.name = name
    if name.startswith(PREFIX):
        check_answers(trainer, base)
    return trainer


def config_of(trainer: Trainer, values: Mapping[str, Any]) -> Config:
    """The config of plain values; raises ConfigError, one line, for values that this process cannot read."""
    try:
        return trainer.config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            f"the config cannot be read in this process: {fault(error, values, trainer.config)}"
        ) from error


def config_file(trainer: Trainer, config: Config) -> dict[str, Any]:
    """The content of hpsearch.json: the config, and the trainer if it is the user's own."""
    own = {"trainer": trainer.name} if trainer.name.startswith(PREFIX) else {}
    return own | config.model_dump(mode="json")


def default() -> Trainer:
    """Returns the trainer of a space file without the key `trainer`."""
    return load(DEFAULT, Path())


def trainer_name(origin: Mapping[str, Any]) -> str:
    """The trainer's name in the origin of a journal; older journals have none and used the default one."""
    return str(origin.get("experiment", {}).get("trainer", DEFAULT))


def input_paths(origin: Mapping[str, Any]) -> list[str]:
    """The paths, relative to the study's base, that its config and its trainer's module are read from."""
    name, base = trainer_name(origin), Path(origin["base"])
    module = name.removeprefix(PREFIX).partition(":")[0].partition(".")[0]
    own = [path for path in (f"{module}.py", module) if name.startswith(PREFIX) and (base / path).exists()]
    with contextlib.suppress(ConfigError):  # its module is gone
        own += load(name, base).files(origin["experiment"])
    return own


@contextlib.contextmanager
def reporting_errors(trainer: Trainer, doing: str, *, base: Path, log: Path) -> Iterator[None]:
    """Reports an exception in a user's trainer in one line and writes the traceback to the file `log`.

    Raises TrainingFailed. HpsearchErrors, OSErrors and exceptions in our own trainers are not changed.
    """
    try:
        yield
    except (HpsearchError, OSError):
        raise
    except Exception as error:
        if not trainer.name.startswith(PREFIX):
            raise
        make_folder(log.parent)
        write_atomically(log, redact(traceback.format_exc()).encode())
        raise TrainingFailed(
            f"{trainer.name}: {doing}: {in_one_line(error, base)}; the traceback is in {log}"
        ) from error


def _imported(name: str, base: Path) -> Any:
    module_name, _, attribute = name.removeprefix(PREFIX).partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{name!r} names no attribute of a module; write {FORM}")
    remedy = "put what a script does under: if __name__ == '__main__':"
    what = f"{name}: importing it"
    try:
        with _lock, user_modules.running(module_name, base=base, what=what, remedy=remedy):
            module = user_modules.imported(module_name, base=base, what=name)
    except DataError as error:
        raise ConfigError(str(error)) from error
    except Exception as error:  # whatever a user's module does wrong while it is imported
        raise ConfigError(f"{name}: cannot be imported ({in_one_line(error, base)})") from error
    if (folder := str(base.resolve())) not in sys.path:
        sys.path.append(folder)  # for what it imports later; last, so that no file there hides a package
    if not hasattr(module, attribute):
        raise ConfigError(f"{name}: module {module_name} has no attribute {attribute!r}")
    return getattr(module, attribute)


def _made(name: str, found: Any) -> Trainer:
    """The trainer that the attribute is, or that it creates; raises ConfigError if it is no trainer."""
    if isinstance(found, type) and issubclass(found, Trainer):
        try:
            found = found()
        except Exception as error:
            raise ConfigError(
                f"{name}: cannot be created without arguments ({type(error).__name__}: {error})"
            ) from error
    if not isinstance(found, Trainer):
        raise ConfigError(f"{name}: is not a Trainer; derive it from hpsearch.trainers.Trainer")
    _check_sections(name, found.sections)
    return found


def _check_sections(name: str, sections: Any) -> None:
    """Raises ConfigError for sections that are not classes by name, or have the name of a key of every config."""
    if not isinstance(sections, Mapping):
        raise ConfigError(f"{name}: sections must be a mapping of names to classes, not {type(sections).__name__}")
    for section, kind in sections.items():
        if not is_section(kind):
            raise ConfigError(f"{name}: sections[{section!r}] is not a class derived from hpsearch.trainers.Section")
        if not isinstance(section, str):
            raise ConfigError(f"{name}: sections[{section!r}]: the name of a section must be text")
        if section in Config.model_fields:
            raise ConfigError(
                f"{name}: its section {section!r} has the name of a key of every space file; choose another"
            )
