"""A space file's mappings, checked as a whole: settings, space, and what only both together can get wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hpsearch.errors import ConfigError
from hpsearch.redaction import NO_PASSWORDS, url_with_password
from hpsearch.space import wording
from hpsearch.space.document import Document, Fault, Keys
from hpsearch.space.foreign import SECTIONS as SECTIONS_OF_OTHERS
from hpsearch.space.objective import objective, vocabulary_varies
from hpsearch.space.ranges import Branches, Choices
from hpsearch.space.sections import RANGE_KEYS, SECTIONS
from hpsearch.space.settings import DEFAULT_TRIALS, Budget, Settings
from hpsearch.space.space import Space

OWN_FOLDERS = ("artifacts", "cache")  # of the home, beside the studies
OWN_FILES = ("mlflow.db", "optuna.db")  # and what begins with these: a database's log, one set aside

_STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Checked(NamedTuple):
    """A file that has nothing wrong."""

    study: str
    settings: Settings  # one config of the space and all settings; ranges stand at a value of theirs
    space: Space
    warnings: tuple[str, ...]


def checked(document: Document) -> Checked:
    """What a file says; raises Fault with the place of the first thing wrong, ConfigError for a password in it."""
    raw = document.value
    _refuse_unknown(raw)
    _refuse_misplaced_ranges({key: raw[key] for key in raw if key not in (*SECTIONS, "provenance")}, ())
    space = Space.parse({key: value for key, value in raw.items() if value is not None})
    settings = _settings(raw, space)
    _check_data(settings)
    settings = settings.model_copy(update={"objective": objective(raw, settings, space)})
    if settings.search.sampler == "grid":
        space.check_grid()
    _refuse_passwords(document)
    if getattr(settings.resources.launcher, "storage", None) and vocabulary_varies(space):
        reason = "the tokenizer has a range, and only data that the driver has prepared are brought to the nodes"
        raise Fault(("resources", "launcher", "storage"), reason)
    warnings = []
    if settings.budget.trials is None and settings.budget.hours is None:
        warnings.append(f"the budget names neither trials nor hours: {DEFAULT_TRIALS} trials")
        settings = settings.model_copy(update={"budget": Budget(trials=DEFAULT_TRIALS, hours=None)})
    return Checked(_study(settings.study, document.path), settings, space, tuple(warnings))


def _refuse_passwords(document: Document) -> None:
    """Wherever they stand, comments included: the file's text is kept with the study."""
    if (at := url_with_password(document.text)) is not None:
        before = document.text[:at]
        place = f"{document.path}:{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"
        raise ConfigError(f"{place}: {NO_PASSWORDS}")


def _refuse_unknown(raw: Mapping[str, Any]) -> None:
    """Misspelt top keys first: what else is wrong may follow from them."""
    for key in raw:
        if key not in Settings.model_fields:
            ours = f"unknown key; {SECTIONS_OF_OTHERS[key]}" if key in SECTIONS_OF_OTHERS else ""
            raise Fault((key,), ours or wording.unknown(key, Settings.model_fields), at_key=True)


def _refuse_misplaced_ranges(raw: Any, keys: Keys) -> None:
    if not isinstance(raw, Mapping):
        return
    if keys not in ((), ("data",)) and raw and all(key in RANGE_KEYS for key in raw):
        raise Fault(keys, "a range is allowed only in model, training, tokenizer")
    for key, value in raw.items():
        _refuse_misplaced_ranges(value, (*keys, key))


def _settings(raw: Mapping[str, Any], space: Space) -> Settings:
    """The settings with the space's ranges at their first value."""
    try:
        return Settings.model_validate({**raw, **space.config(_first(space))}, strict=True)
    except ValidationError as error:
        raise wording.fault(error, raw, Settings) from None


def _first(space: Space) -> dict[str, Any]:
    """The lowest or first internal value of every parameter."""
    values: dict[str, Any] = {}
    for name, node in space.params.items():
        if isinstance(node, Branches):
            values[name] = node.labels[0]
        else:
            values[name] = node.point(0)[node.keys] if isinstance(node, Choices) else node.low
    return values


def _check_data(settings: Settings) -> None:
    for name in settings.data:
        if not _SET.fullmatch(name):
            allowed = "letters, digits, '.', '_', '-' (up to 64, a letter or digit first)"
            raise Fault(("data", name), f"a data set's name may have {allowed}", at_key=True)


def wrong_study(name: str) -> str:
    """Why a study cannot have this name, which becomes a folder of the home; empty where it can."""
    if not _STUDY.fullmatch(name):
        allowed = "letters, digits, '.', '_', '-' (up to 100, a letter or digit first)"
        return f"{wording.shown(name)} is no name for a study: {allowed}"
    if name.lower() in OWN_FOLDERS or name.lower().startswith(OWN_FILES):
        return f"'{name}' is the name of a folder of hpsearch's own, or of a file; choose another"
    return ""


def _study(name: str | None, path: str) -> str:
    """The name given, or else the file's, where it is allowed."""
    wanted = Path(path).stem if name is None else name
    if reason := wrong_study(wanted):
        raise Fault(("study",), reason) if name is not None else Fault((), f"study: {reason}; give study: NAME")
    return wanted
