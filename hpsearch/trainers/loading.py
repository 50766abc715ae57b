"""Loads the trainer that a space file names: `causal_lm`, or "python:module:attribute"."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch import tasks
from hpsearch.config import Config
from hpsearch.document.validation_errors import fault
from hpsearch.errors import ConfigError, HpsearchError, TrainingFailed
from hpsearch.journal.origin import Origin
from hpsearch.output.error_lines import with_line
from hpsearch.output.redaction import redact
from hpsearch.system import user_modules
from hpsearch.system.atomic import make_folder, write_atomically
from hpsearch.system.user_modules import PREFIX
from hpsearch.trainers.causal_lm import CausalLM
from hpsearch.trainers.checked import check_answers
from hpsearch.trainers.function import Function
from hpsearch.trainers.huggingface import HuggingFace
from hpsearch.trainers.program import Program
from hpsearch.trainers.trainer import Trainer, is_section

CLOSE = 0.8  # how alike a key and a misspelt one are, from 0 to 1
FAMILY: Mapping[str, type[Trainer]] = {
    "causal_lm": CausalLM,
    "function": Function,
    "huggingface": HuggingFace,
    "program": Program,
}
KEYS: Mapping[str, str] = {"train": "function", "command": "program"}  # a key of a space file that stands for a trainer
DEFAULT = "causal_lm"
PRETRAINED = "huggingface"  # of a section `model` that names what transformers loads
ORIGINS = ("pretrained", "architecture")
FORM = 'trainer: "python:package.module:attribute"'


def load(name: str, base: Path) -> Trainer:
    """Returns the trainer of this name; modules in the folder `base` can be imported too.

    Raises ConfigError when the name is unknown or the module cannot be imported.
    """
    tasks.find_modules_in(base)
    if not name.startswith(PREFIX):
        if name not in FAMILY:
            named = ", ".join(own for own in FAMILY if own not in KEYS.values())
            keys = "".join(f", or {key}: ..." for key in KEYS)
            raise ConfigError(f"unknown trainer {name!r}; allowed: {named}, or your own as {FORM}{keys}")
        found: Any = FAMILY[name]
    else:
        found = _imported(name, base)
    trainer = _made(name, found)
    trainer.name = name
    if name.startswith(PREFIX):
        check_answers(trainer, base)
    return trainer


def default_name(model: Any) -> str:
    """The trainer of a space file that names none, by its section `model`."""
    inner = model.get("choices") if isinstance(model, Mapping) else None
    every = [model, *(inner if isinstance(inner, list) else [])]
    keys = [key for one in every if isinstance(one, Mapping) for key in one]
    return PRETRAINED if any(_names_an_origin(key) for key in keys) else DEFAULT


def _names_an_origin(key: Any) -> bool:
    """Whether a key of `model` is one of a pretrained model, or is misspelt so: its error names the right one then."""
    return bool(get_close_matches(str(key), ORIGINS, n=1, cutoff=CLOSE))


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


def trainer_name(origin: Origin) -> str:
    """The name of a study's trainer; older studies have none and used the default one."""
    return str(origin.experiment.get("trainer", DEFAULT))


def input_paths(origin: Origin) -> list[str]:
    """The paths, relative to the study's base, that its config and its trainer's module are read from."""
    name, base = trainer_name(origin), Path(origin.base)
    module = user_modules.split(name)[0].partition(".")[0]
    own = [path for path in (f"{module}.py", module) if name.startswith(PREFIX) and (base / path).exists()]
    with contextlib.suppress(ConfigError):  # its module is gone
        own += load(name, base).files(origin.experiment)
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
        raise TrainingFailed(f"{trainer.name}: {doing}: {with_line(error, base)}; the traceback is in {log}") from error


def _imported(name: str, base: Path) -> Any:
    module, attribute = user_modules.split(name)
    if not module or not attribute:
        raise ConfigError(f"{name!r} names no attribute of a module; write {FORM}")
    found = user_modules.load(name, base=base, where=name, error=ConfigError)
    user_modules.keep_importable(base)
    if found is None:
        raise ConfigError(f"{name}: module {module} has no attribute {attribute!r}")
    return found


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
    _check_sizes(name, found.sizes)
    return found


def _check_sizes(name: str, sizes: Any) -> None:
    """Raises ConfigError for sizes that are not keys by section."""
    if not isinstance(sizes, Mapping) or any(isinstance(keys, str) or not _is_sized(keys) for keys in sizes.values()):
        raise ConfigError(f"{name}: sizes must be a mapping of sections to their keys, as in {{'model': ('width',)}}")


def _is_sized(keys: Any) -> bool:
    return isinstance(keys, Collection) and all(isinstance(key, str) for key in keys)


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
