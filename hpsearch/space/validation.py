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
from hpsearch.journal.horizons import HORIZONS
from hpsearch.output.redaction import HIDDEN, NO_PASSWORDS, url_with_password
from hpsearch.results.evidence.bands import LOSSES
from hpsearch.space.budget import DEFAULT_TRIALS
from hpsearch.space.long_cooldown import long_cooldown
from hpsearch.space.pruners import DEFAULT_PRUNER
from hpsearch.space.resources import RayWorkers, Resources
from hpsearch.space.search import Search
from hpsearch.space.sections import ALLOWED, RANGE_KEYS
from hpsearch.space.settings import Settings, settings_of
from hpsearch.space.shortened import shortened
from hpsearch.space.space import Space
from hpsearch.space.space_file import SpaceFile
from hpsearch.tasks import forget_changed_modules
from hpsearch.trainers import KEYS, Trainer, default_name, load, trains_many

SEED = (
    "a seed is no hyperparameter, so it has no range: a search would choose the luckiest seed. "
    "How much seeds differ is measured by training a config again with other seeds; give one integer"
)
OWN_FOLDERS = ("artifacts", "cache")  # in the home, beside the studies
OWN_FILES = ("mlflow.db", "optuna.db")  # and names that begin with these, such as a database's log

STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
        _refuse_seeds(space)
        settings = _settings(raw, space)
        trainer.validate(SpaceFile(document, settings, space))
        objective = trainer.objective(SpaceFile(document, settings, space))
        settings = settings.model_copy(update={"objective": objective})
        cannot_prepare = trainer.cannot_prepare(SpaceFile(document, settings, space))
        _call_once(SpaceFile(document, settings, space))
    _check_search(settings.search)
    stop = settings.search.stop
    if stop.enabled and stop.gain is None and not objective.metric.endswith(LOSSES):
        reason = f"the noise of {objective.metric} between seeds is not known: give the least gain that counts"
        raise Fault(("search", "stop"), f"{reason}, as in {{gain: 0.01}}")
    _check_shift(settings, space)
    if settings.search.sampler == "grid":
        space.check_grid()
    _refuse_passwords(document, settings.notify)
    if getattr(settings.resources.launcher, "storage", None) and cannot_prepare:
        reason = f"{cannot_prepare}, and only data that the driver has prepared are brought to the nodes"
        raise Fault(("resources", "launcher", "storage"), reason)
    if reason := wrong_groups(settings.resources, trainer):
        raise Fault(("resources", "trials_per_worker"), reason)
    if wrong := wrong_gpus(settings.resources, trainer):
        raise Fault(("resources", *wrong[0]), wrong[1])
    line = long_cooldown(SpaceFile(document, settings, space), _first(space), settings.search.overfitting)
    warnings = [] if line is None else [line]
    if settings.budget.is_empty:
        warnings.append(f"the budget names neither trials nor hours: {DEFAULT_TRIALS} trials")
        budget = settings.budget.model_copy(update={"trials": DEFAULT_TRIALS})
        settings = settings.model_copy(update={"budget": budget})
    return Checked(_study(settings.study, document.path), settings, space, tuple(warnings))


def wrong_groups(resources: Resources, trainer: Trainer) -> str:
    """Why a worker cannot train several trials at once; empty if it can or need not."""
    if resources.trials_per_worker == 1:
        return ""
    if not trains_many(trainer):
        return f"the trainer {trainer.name} trains one trial at a time (it has no method train_many); allowed: 1"
    if resources.launcher.name == "ray":
        return "a worker on Ray trains one trial at a time; allowed: 1"
    return ""


def wrong_gpus(resources: Resources, trainer: Trainer) -> tuple[Keys, str] | None:
    """Where in `resources`, and why, a trial cannot have several GPUs; None if it can or need not."""
    each, launcher = resources.gpus_per_trial, resources.launcher
    reserved = launcher.num_gpus if isinstance(launcher, RayWorkers) else None
    if max(each, reserved or 0) <= 1:
        return None
    place: Keys = ("gpus_per_trial",) if each > 1 else ("launcher", "num_gpus")
    if not trainer.several_gpus:
        return place, f"the trainer {trainer.name} trains on one GPU; allowed: {'1' if each > 1 else 'up to 1'}"
    if resources.device in ("cpu", "mps"):
        return place, f"device: {resources.device} has no GPUs to share out; allowed: 1, or device: cuda"
    if resources.trials_per_gpu != 1:
        return ("trials_per_gpu",), "a trial that has several GPUs shares none of them; allowed: 1"
    if resources.trials_per_worker > 1:
        return ("trials_per_worker",), "a trial that has several GPUs is trained alone; allowed: 1"
    if each > 1 and reserved not in (None, each):
        return ("launcher", "num_gpus"), f"a trial has gpus_per_trial: {each}; allowed: {each}, or leave it out"
    return None


def _check_shift(settings: Settings, space: Space) -> None:
    """Raises Fault if `search.shift` cannot be, with the other settings or with the trainer."""
    search, trainer, own = settings.search, space.trainer, ("search", "shift")
    if not search.shift:
        return
    if search.policy.startswith("python:"):
        raise Fault(own, "a policy of your own decides at which horizons it tries configs; allowed: false")
    if search.sampler == "grid":
        raise Fault(own, "sampler grid trains every config at its whole horizon; allowed: false, or another sampler")
    if search.pruner.name not in ("promotion", DEFAULT_PRUNER):
        reason = "with search.shift configs are promoted from horizon to horizon; allowed: promotion, or no pruner"
        raise Fault(("search", "pruner"), reason)
    config = trainer.config.model_validate({name: getattr(settings, name) for name in trainer.config.model_fields})
    searched = {space.field_of(name) for name in _first(space)}
    with _placed_at_trainer():
        if not trainer.shortened(config, HORIZONS[0], searched):
            reason = f"the trainer {trainer.name} cannot shorten its trainings (it has no method shortened)"
            raise Fault(own, f"{reason}; allowed: false")
        for horizon in HORIZONS[:-1]:
            shortened(trainer, config, horizon, searched=searched)


def _check_search(search: Search) -> None:
    """Raises Fault for configs that a policy of the user's own would not try, and for names that no study has."""
    for key in ("first", "warm_start"):
        if getattr(search, key) and search.policy.startswith("python:"):
            raise Fault(("search", key), "a policy of your own decides which configs come first", at_key=True)
    for index, name in enumerate(search.warm_start):
        if reason := wrong_study(name):
            raise Fault(("search", "warm_start", index), reason)
        if name in search.warm_start[:index]:
            raise Fault(("search", "warm_start", index), f"'{name}' is given twice")


def without_webhook(text: str, url: str | None) -> str:
    """Returns a file's text with `"***"` in place of the webhook, which is a secret: the text is stored."""
    return text if url is None else re.sub(f"([\"']?){re.escape(url)}\\1", f'"{HIDDEN}"', text)


def _refuse_passwords(document: Document, webhook: str | None) -> None:
    """Raises ConfigError for a password anywhere in the file but in its webhook: its text is stored with the study."""
    if webhook is not None and webhook not in document.text:
        raise Fault(("notify",), "write the URL as it is, without escapes: it is left out of what the study stores")
    masked = document.text if webhook is None else document.text.replace(webhook, " " * len(webhook))
    if (at := url_with_password(masked)) is not None:
        before = document.text[:at]
        place = f"{document.path}:{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"
        raise ConfigError(f"{place}: {NO_PASSWORDS}")


def _trainer(raw: Mapping[str, Any], path: str) -> Trainer:
    """The trainer that the file names; raises Fault if it cannot be loaded."""
    name, base = _trainer_name(raw), raw.get("base") or "."
    forget_changed_modules()
    try:
        trainer = load(name, Path(path).parent / (base if isinstance(base, str) else "."))
        settings_of(trainer.config)
    except ConfigError as error:
        raise Fault(("trainer",), str(error)) from error
    except ValueError as error:
        raise Fault(("trainer",), f"{name}: {error}") from error
    return trainer


def _trainer_name(raw: Mapping[str, Any]) -> str:
    """The name of the trainer: that of the key `trainer`, or the one that another key stands for."""
    given = raw.get("trainer")
    name = (
        default_name(raw.get("model")) if given is None else given
    )  # an empty name is a mistake, an empty key is none
    if not isinstance(name, str):
        raise Fault(("trainer",), f"must be text, not {validation_errors.shown(name)}")
    keys = [key for key in KEYS if raw.get(key) is not None]
    others = [*([] if given is None or (keys and given == KEYS[keys[0]]) else ["trainer"]), *keys]
    if keys and len(others) > 1:
        raise Fault((others[-1],), f"{' and '.join(others)} cannot both be given: each says what trains", at_key=True)
    if not keys and (missing := next((key for key, one in KEYS.items() if one == name), None)):
        raise Fault(("trainer",), f"write {missing}: ... in place of trainer: {name}")
    return KEYS[keys[0]] if keys else name


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
            of_others = SECTIONS_OF_OTHERS.get(key, "").replace("SECTIONS", ", ".join(trainer.sections))
            ours = trainer.refused.get(key, of_others)
            raise Fault(
                (key,), f"unknown key; {ours}" if ours else validation_errors.unknown_key(key, known), at_key=True
            )


def _refuse_misplaced_ranges(raw: Mapping[str, Any], trainer: Trainer) -> None:
    """Raises Fault for a range outside of the sections that may have ranges."""
    fields = settings_of(trainer.config).model_fields
    free = {
        (name,) for name, one in fields.items() if get_origin(one.annotation) is dict
    }  # whose keys are names chosen by the user
    if isinstance(raw.get("seed"), Mapping | list):
        raise Fault(("seed",), SEED)
    fixed = {key: value for key, value in raw.items() if key not in (*trainer.sections, "provenance")}
    if (keys := _range_in(fixed, (), {(), *free})) is not None:
        reason = SEED if keys[-1] == "seed" else f"a range is allowed only in {', '.join(trainer.sections)}"
        raise Fault(keys, reason)


def _refuse_seeds(space: Space) -> None:
    """Raises Fault for a range of a key `seed` in a trainer's sections."""
    for name, node in space.params.items():
        if space.field_of(name)[1] == "seed":
            raise Fault(node.keys, SEED)


def _range_in(raw: Any, keys: Keys, free: Collection[Keys]) -> Keys | None:
    """The keys of the first mapping that looks like a range; None if there is none."""
    if not isinstance(raw, Mapping):
        return None
    if keys not in free and any(key in RANGE_KEYS for key in raw) and all(key in ALLOWED for key in raw):
        return keys
    found = (_range_in(value, (*keys, key), free) for key, value in raw.items())
    return next((one for one in found if one is not None), None)


def _settings(raw: Mapping[str, Any], space: Space) -> Settings:
    """The settings, with each range of the space at its first value."""
    kind = settings_of(space.trainer.config)
    try:
        named = {**raw, "trainer": space.trainer.name}
        return kind.model_validate({**named, **space.config(_first(space))}, strict=True)
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
    if not STUDY.fullmatch(name):
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
