"""space.yaml -> Experiment: parsed and checked, with errors that name file, line and column.

The schema is the training config's (training/config.py) with ranges allowed in model, training and tokenizer
(space/space.py), and what the search needs beside it (space/settings.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.errors import ConfigError, DataError
from hpsearch.secrets import NO_PASSWORDS, redact, url_with_password
from hpsearch.space import wording
from hpsearch.space.document import Document, Fault, Keys, dump, parse, read
from hpsearch.space.ranges import Branches, Choices, Fixed
from hpsearch.space.sections import RANGE_KEYS, SECTIONS
from hpsearch.space.settings import DEFAULT_PRUNER, DEFAULT_TRIALS, Budget, Resources, Search, Settings, Tracking
from hpsearch.space.space import Space
from hpsearch.training.config import Objective, TrainConfig

__all__ = ["DEFAULT_PRUNER", "Experiment", "dump", "metrics"]

MINIMIZED = ("loss", "perplexity", "bits_per_byte")
MAXIMIZED = {"translation": ("bleu", "chrf"), "classification": ("f1_macro", "f1_micro", "accuracy")}
OWN_FOLDERS = ("artifacts", "cache")  # of the home, beside the studies
OWN_FILES = ("mlflow.db", "optuna.db")  # and what begins with these: a database's log, one set aside
TRAIN_KEYS = tuple(TrainConfig.model_fields)

_STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Experiment:
    """What a space file says, parsed and checked."""

    study: str
    settings: Settings  # one config of the space and all settings; ranges stand at a value of theirs
    space: Space
    document: Document
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> Experiment:
        """The experiment in a file; ConfigError (file:line:column: path: what, what is allowed) where it is wrong."""
        return cls._of(read(path))

    @classmethod
    def loads(cls, text: str, *, path: str | Path = "space.yaml") -> Experiment:
        """The experiment in a text; `path` is what errors call it and gives the study's default name."""
        return cls._of(parse(text, path=path))

    @classmethod
    def _of(cls, document: Document) -> Experiment:
        try:
            return _checked(document)
        except Fault as fault:
            raise document.error(fault) from None

    # ---------------------------------------------------------------------------------------------------- its parts

    @property
    def seed(self) -> int:
        """The study's seed, and every training's."""
        return self.settings.seed

    @property
    def objective(self) -> Objective:
        """The metric that ranks trials, and which way is better."""
        return self.settings.objective

    @property
    def budget(self) -> Budget:
        """Trials and hours, at least one of the two."""
        return self.settings.budget

    @property
    def search(self) -> Search:
        """Sampler, pruner, overfitting, failures."""
        return self.settings.search

    @property
    def tracking(self) -> Tracking:
        """Where MLflow keeps the runs."""
        return self.settings.tracking

    @property
    def resources(self) -> Resources:
        """Workers, device, threads."""
        return self.settings.resources

    @property
    def provenance(self) -> dict[str, Any]:
        """What `hpsearch export` noted of the study that found this config."""
        return self.settings.provenance

    @property
    def path(self) -> str:
        """The file, as the user gave it."""
        return self.document.path

    @property
    def source(self) -> str:
        """The file's text, to be stored with the study."""
        return redact(self.document.text)

    @property
    def base(self) -> Path:
        """The folder against which relative paths of the data resolve."""
        return Path(self.path).parent / (self.settings.base or ".")

    def override(self, **changes: Any) -> Experiment:
        """The experiment with other settings than the file's: study, or fields of budget and resources.

        None leaves a value as it is; raises ConfigError for a study name that is not allowed.
        """
        changes = {key: value for key, value in changes.items() if value is not None}
        if "launcher" in changes:
            changes["launcher"] = self.resources.launched_by(changes["launcher"])
        study = changes.get("study", self.study)
        if reason := wrong_study(study):
            raise ConfigError(f"--study: {reason}")
        parts = {}
        for name in ("budget", "resources"):
            part = getattr(self.settings, name)
            parts[name] = part.model_copy(update={k: v for k, v in changes.items() if k in type(part).model_fields})
        return replace(self, study=study, settings=self.settings.model_copy(update=parts))

    def where(self, *keys: str | int) -> str:
        """`path:line:column` of a value, as in where("data", "reviews", "files", "train")."""
        return self.document.where(*keys)

    def placed(self, error: DataError) -> DataError:
        """The error with the place of its data set before it, unless it names the line of a data file itself."""
        said, name = str(error), error.data_set
        if name is None or re.match(r"(?!data\.)[^\n]+?:\d+: ", said):
            return error
        return DataError(f"{self.where('data', name)}: {'' if said.startswith('data.') else f'data.{name}: '}{said}")

    # ----------------------------------------------------------------------------------------------------- configs

    def config(self, internal: Mapping[str, Any]) -> TrainConfig:
        """The training config of a trial's internal values (`trial.params`)."""
        try:
            return TrainConfig.model_validate(self._fixed | self.space.config(internal), strict=True)
        except ValidationError as error:
            raise ConfigError(f"{self.path}: {wording.fault(error, {}, TrainConfig)}") from None

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        return {key: value for key, value in self._train_values.items() if key not in self.space.sections}

    @cached_property
    def _train_values(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json", include=set(TRAIN_KEYS))

    def train_config(self) -> TrainConfig:
        """The config of a file without ranges; ConfigError naming the first range where it has one."""
        for name, node in self.space.params.items():
            place = self.where(*node.keys)
            raise ConfigError(
                f"{place}: {name} is a range; a training needs one value: "
                "search with `hpsearch run`, then train what `hpsearch export` writes"
            )
        return self.config({})

    def normalised(self) -> dict[str, Any]:
        """The whole file as JSON-able values: defaults filled in, ranges in place; it can be loaded again."""
        everything = self.settings.model_dump(mode="json")
        return everything | {"study": self.study} | self._sections()

    def identity(self) -> dict[str, Any]:
        """What makes the study what it is: ranges, fixed values, objective, seed, and of the data sets all but where
        they lie (their contents have a fingerprint of their own).
        """
        data = {
            name: {key: value for key, value in data_set.items() if key not in ("files", "dataset")}
            for name, data_set in self._train_values["data"].items()
        }
        return self._train_values | {"data": data} | self._sections()

    def _sections(self) -> dict[str, Any]:
        return {name: self._section(name, self._train_values[name]) for name in SECTIONS}

    def _section(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """Defaults, except for keys that only choices between sub-configs set, under what the file says."""
        nodes = self.space.sections.get(name, {})
        inner = {key for node in nodes.values() if isinstance(node, Branches) for b in node.branches for key in b}
        defaults = type(getattr(self.settings, name))().model_dump(mode="json")
        return {k: v for k, v in defaults.items() if k not in inner} | self.space.written().get(name, {})


# ---------------------------------------------------------------------------------------------------------- checking


def _checked(document: Document) -> Experiment:
    raw = document.value
    _refuse_unknown(raw)
    _refuse_misplaced_ranges({key: raw[key] for key in raw if key not in (*SECTIONS, "provenance")}, ())
    space = Space.parse({key: value for key, value in raw.items() if value is not None})
    settings = _settings(raw, space)
    _check_data(settings)
    settings = settings.model_copy(update={"objective": _objective(raw, settings, space)})
    if settings.search.sampler == "grid":
        space.grid()
    _refuse_passwords(document)
    if getattr(settings.resources.launcher, "storage", None) and _vocabulary_varies(space):
        reason = "the tokenizer has a range, and only data that the driver has prepared are brought to the nodes"
        raise Fault(("resources", "launcher", "storage"), reason)
    warnings = []
    if settings.budget.trials is None and settings.budget.hours is None:
        warnings.append(f"the budget names neither trials nor hours: {DEFAULT_TRIALS} trials")
        settings = settings.model_copy(update={"budget": Budget(trials=DEFAULT_TRIALS, hours=None)})
    return Experiment(_study(settings.study, document.path), settings, space, document, tuple(warnings))


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
            raise Fault((key,), wording.unknown(key, Settings.model_fields), at_key=True)


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
            values[name] = node.grid()[0] if isinstance(node, Choices) else node.low
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


# -------------------------------------------------------------------------------------------------------- objective


def metrics(tasks: Mapping[str, str]) -> dict[str, str]:
    """Every validation metric of the data sets (name -> task), with the direction in which it is better."""
    names: dict[str, str] = {}
    for prefix, kinds in [("val", list(tasks.values())), *((f"val/{name}", [task]) for name, task in tasks.items())]:
        if prefix != "val" and len(tasks) == 1:
            continue
        names |= dict.fromkeys((f"{prefix}/{name}" for name in MINIMIZED), "minimize")
        better = (name for task, group in MAXIMIZED.items() if task in kinds for name in group)
        names |= dict.fromkeys((f"{prefix}/{name}" for name in better), "maximize")
    return names


def _objective(raw: Mapping[str, Any], settings: Settings, space: Space) -> Objective:
    """The objective with its direction, refused where the data cannot give it or trials cannot be compared by it."""
    given = raw.get("objective") or {}
    metric = settings.objective.metric
    known = metrics({name: data_set.task for name, data_set in settings.data.items()})
    if metric not in known:
        reason = f"{_no_such_metric(metric, known)}; these data sets give {', '.join(known)}"
        raise Fault(("objective", "metric"), reason)
    if _vocabulary_varies(space) and metric.rsplit("/", 1)[1] in ("loss", "perplexity"):
        better = metric.rsplit("/", 1)[0] + "/bits_per_byte"
        reason = f"{metric} cannot be compared between vocabularies, and the tokenizer has a range; use {better}"
        raise Fault(("objective", "metric") if "metric" in given else ("tokenizer",), reason)
    direction = known[metric]
    if given.get("direction", direction) != direction:
        raise Fault(("objective", "direction"), f"{metric} is better when {_extreme(direction)}: {direction}")
    return Objective.model_validate({"metric": metric, "direction": direction})


def _extreme(direction: str) -> str:
    return "lower" if direction == "minimize" else "higher"


def _no_such_metric(metric: str, known: Iterable[str]) -> str:
    near = [name for name in known if name.rsplit("/", 1)[1] == metric.rsplit("/", 1)[-1]]
    return f"no metric {wording.shown(metric)}" + (f" (did you mean '{near[0]}'?)" if near else "")


def _vocabulary_varies(space: Space) -> bool:
    return any(not isinstance(node, Fixed) for node in space.sections.get("tokenizer", {}).values())
