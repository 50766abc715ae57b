"""Checks a whole space file: its settings, its space, and rules between the two."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_origin

from pydantic import ValidationError

from hpsearch.document import validation_errors
from hpsearch.document.document import Document, Fault, Keys
from hpsearch.document.other_tools import SECTIONS as SECTIONS_OF_OTHERS
from hpsearch.document.ranges import Branches, Choices
from hpsearch.errors import ConfigError
from hpsearch.redaction import NO_PASSWORDS, url_with_password
from hpsearch.space.sections import RANGE_KEYS
from hpsearch.space.settings import DEFAULT_TRIALS, Budget, Settings, settings_of
from hpsearch.space.space import Space
from hpsearch.space.space_file import SpaceFile
from hpsearch.tasks import forget_changed_modules
from hpsearch.trainers import DEFAULT, Trainer, load

OWN_FOLDERS = ("artifacts", "cache")  # in the home, beside the studies
OWN_FILES = ("mlflow.db", "optuna.db")  # and names that begin with these, such as a database's log

_STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Checked(NamedTuple):
    """A valid file."""

    study: str
    settings: Settings  # all settings, and one config of the space: each range at its first value
    space: Space
    warnings: tuple[str, ...]


def check_document(document: Document) -> Checked:
    """Checks a file; raises Fault for the first mistake, ConfigError for a password in it."""
    raw = document.value
    trainer = _trainer(raw, document.path)
    _refuse_unknown(raw, trainer)
    _refuse_misplaced_ranges(raw, trainer)
    with _placed_at_trainer():
        space = Space.parse({key: value for key, value in raw.items() if value is not None}, trainer)
        settings = _settings(raw, space)
        trainer.validate(SpaceFile(document, settings, space))
        objective = trainer.objective(SpaceFile(document, settings, space))
        settings = settings.model_copy(update={"objective": objective})
        cannot_prepare = trainer.cannot_prepare(SpaceFile(document, settings, space))
        _call_once(SpaceFile(document, settings, space))
    if settings.search.sampler == "grid":
        space.check_grid()
    _refuse_passwords(document)
    if getattr(settings.resources.launcher, "storage", None) and cannot_prepare:
        reason = f"{cannot_prepare}, and only data that the driver has prepared are brought to the nodes"
        raise Fault(("resources", "launcher", "storage"), reason)
    warnings = []
    if settings.budget.trials is None and settings.budget.hours is None:
        warnings.append(f"the budget names neither trials nor hours: {DEFAULT_TRIALS} trials")
        settings = settings.model_copy(update={"budget": Budget(trials=DEFAULT_TRIALS, hours=None)})
    return Checked(_study(settings.study, document.path), settings, space, tuple(warnings))


def _refuse_passwords(document: Document) -> None:
    """Raises ConfigError for a password anywhere in the file: its text is stored with the study."""
    if (at := url_with_password(document.text)) is not None:
        before = document.text[:at]
        place = f"{document.path}:{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"
        raise ConfigError(f"{place}: {NO_PASSWORDS}")


def _trainer(raw: Mapping[str, Any], path: str) -> Trainer:
    """The trainer that the file names; raises Fault if it cannot be loaded."""
    given, base = raw.get("trainer"), raw.get("base") or "."
    name = DEFAULT if given is None else given  # an empty name is a mistake, an empty key is none
    if not isinstance(name, str):
        raise Fault(("trainer",), f"must be text, not {validation_errors.shown(name)}")
    forget_changed_modules()
    try:
        trainer = load(name, Path(path).parent / (base if isinstance(base, str) else "."))
        settings_of(trainer.config)
    except ConfigError as error:
        raise Fault(("trainer",), str(error)) from error
    except ValueError as error:
        raise Fault(("trainer",), f"{name}: {error}") from error
    return trainer


@contextlib.contextmanager
def _placed_at_trainer() -> Iterator[None]:
    """Places an error in the trainer's own methods at the key `trainer` of the file."""
    try:
        yield
    except Fault:
        raise
    except ConfigError as error:
        raise Fault(("trainer",), str(error)) from error


def _call_once(file: SpaceFile) -> None:
    """Calls the methods that a search calls for each trial with the first config, so that a mistake shows at once."""
    trainer, config = file.space.trainer, file.config
    trainer.phases(config)
    trainer.evaluations(config)
    trainer.shape(config)
    trainer.dedup_key(file.space.config(_first(file.space)))
    trainer.files(config.model_dump(mode="json"))


def _refuse_unknown(raw: Mapping[str, Any], trainer: Trainer) -> None:
    """Raises Fault for an unknown top-level key; checked first, because other mistakes may follow from it."""
    known = settings_of(trainer.config).model_fields
    for key in raw:
        if key not in known:
            ours = SECTIONS_OF_OTHERS.get(key, "").replace("SECTIONS", ", ".join(trainer.sections))
            raise Fault(
                (key,), f"unknown key; {ours}" if ours else validation_errors.unknown_key(key, known), at_key=True
            )


def _refuse_misplaced_ranges(raw: Mapping[str, Any], trainer: Trainer) -> None:
    """Raises Fault for a range outside of the sections that may have ranges."""
    fields = settings_of(trainer.config).model_fields
    free = {
        (name,) for name, one in fields.items() if get_origin(one.annotation) is dict
    }  # whose keys are names chosen by the user
    fixed = {key: value for key, value in raw.items() if key not in (*trainer.sections, "provenance")}
    if (keys := _range_in(fixed, (), {(), *free})) is not None:
        raise Fault(keys, f"a range is allowed only in {', '.join(trainer.sections)}")


def _range_in(raw: Any, keys: Keys, free: Collection[Keys]) -> Keys | None:
    """The keys of the first mapping that looks like a range; None if there is none."""
    if not isinstance(raw, Mapping):
        return None
    if keys not in free and raw and all(key in RANGE_KEYS for key in raw):
        return keys
    found = (_range_in(value, (*keys, key), free) for key, value in raw.items())
    return next((one for one in found if one is not None), None)


def _settings(raw: Mapping[str, Any], space: Space) -> Settings:
    """The settings, with each range of the space at its first value."""
    kind = settings_of(space.trainer.config)
    try:
        return kind.model_validate({**raw, **space.config(_first(space))}, strict=True)
    except ValidationError as error:
        raise validation_errors.fault(error, raw, kind) from None


def _first(space: Space) -> dict[str, Any]:
    """The lowest or first internal value of every parameter."""
    values: dict[str, Any] = {}
    for name, node in space.params.items():
        if isinstance(node, Branches):
            values[name] = node.labels[0]
        else:
            values[name] = node.point(0)[node.keys] if isinstance(node, Choices) else node.low
    return values


def wrong_study(name: str) -> str:
    """Why a study cannot have this name, which becomes a folder of the home; empty if it can."""
    if not _STUDY.fullmatch(name):
        allowed = "letters, digits, '.', '_', '-' (up to 100, a letter or digit first)"
        return f"{validation_errors.shown(name)} is not a valid study name: {allowed}"
    if name.lower() in OWN_FOLDERS or name.lower().startswith(OWN_FILES):
        return f"'{name}' is the name of a folder of hpsearch's own, or of a file; choose another"
    return ""


def _study(name: str | None, path: str) -> str:
    """The study's name: as given, or else the file's name; raises Fault if it is not allowed."""
    wanted = Path(path).stem if name is None else name
    if reason := wrong_study(wanted):
        raise Fault(("study",), reason) if name is not None else Fault((), f"study: {reason}; give study: NAME")
    return wanted
