"""Experiment: a space file, parsed and checked, with errors that name file, line and column.

The schema consists of the trainer's config (trainers/), with ranges in some of its sections (space/space.py), and of
the settings of every search (space/settings.py); space/validation.py checks the file as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.config import Config, Objective
from hpsearch.document import validation_errors
from hpsearch.document.document import GIVEN, Document, Fault, from_mapping, parse, read
from hpsearch.document.ranges import Branches
from hpsearch.errors import ConfigError
from hpsearch.journal.horizons import LAST
from hpsearch.output.redaction import redact
from hpsearch.space.budget import Budget
from hpsearch.space.default_config import DefaultConfig, NoDefault, check_first, default_config
from hpsearch.space.pruners import AnyPruner, PromotionPruner
from hpsearch.space.resources import Resources
from hpsearch.space.search import Search
from hpsearch.space.settings import Settings, Tracking
from hpsearch.space.shortened import shortened
from hpsearch.space.space import Space
from hpsearch.space.space_file import SpaceFile
from hpsearch.space.starting_folder import with_start
from hpsearch.space.validation import check_document, without_webhook, wrong_gpus, wrong_groups, wrong_study
from hpsearch.trainers import DEFAULT, Trainer


@dataclass(frozen=True)
class Experiment:
    """A parsed and checked space file."""

    study: str
    settings: Settings  # all settings, and one config of the space: each range at its first value
    space: Space
    document: Document
    warnings: tuple[str, ...] = ()
    searches: bool = True  # False: no new trial, only the confirmation of those there are
    audits: int = 0  # trials to train to their end; above 0: nothing else is trained

    @classmethod
    def load(cls, path: str | Path) -> Experiment:
        """Loads a file; raises ConfigError (file:line:column: path: what, what is allowed) for a mistake."""
        return cls._of(read(path))

    @classmethod
    def loads(cls, text: str, *, path: str | Path = "space.yaml") -> Experiment:
        """Parses a text; `path` is its name in errors, and the default of the study's name."""
        return cls._of(parse(text, path=path))

    @classmethod
    def of(cls, value: Mapping[str, Any], *, base: str | Path | None = None, study: str | None = None) -> Experiment:
        """Makes an experiment from a mapping; raises ConfigError (space: path: what, what is allowed) for a mistake.

        base: the folder for relative data paths (default: the working folder); study: the study's name (default: the
        mapping's `study`).
        """
        given = {"study": study, "base": None if base is None else str(base)}
        value = {**value, **{key: found for key, found in given.items() if found is not None}}
        try:
            document = from_mapping(value)
        except Fault as fault:
            raise ConfigError(f"{GIVEN}: {fault}") from None
        return cls._of(document)

    @classmethod
    def _of(cls, document: Document) -> Experiment:
        try:
            found = check_document(document)
            made = cls(found.study, found.settings, found.space, document, found.warnings)
            check_first(made.space, made.config, made.search.first)
            return made._with_default()
        except Fault as fault:
            raise ConfigError(with_start(str(document.error(fault)), document)) from None

    def _with_default(self) -> Experiment:
        """Warns if trial 0 cannot be the default config; raises Fault if the trainer's rules are wrong."""
        try:
            self.default({})
        except NoDefault as error:
            line = f"trial 0 is not the default config, because the middle of the ranges is no valid config: {error}"
            return replace(self, warnings=(*self.warnings, *([line] if self.search.default else [])))
        return self

    # -------------------------------------------------------------------------------------------------------- parts

    @property
    def seed(self) -> int:
        """The seed of the study and of every training."""
        return self.settings.seed

    @property
    def objective(self) -> Objective:
        """The metric that ranks trials, and its direction."""
        return self.settings.objective

    @property
    def budget(self) -> Budget:
        """The limits of trials, hours, device-hours and money; at least one is set."""
        return self.settings.budget

    @property
    def search(self) -> Search:
        """Policy, sampler, pruner, overfitting, failures."""
        return self.settings.search

    @property
    def pruner(self) -> AnyPruner:
        """What decides who trains on: `search.pruner`, or with `search.shift` promotion from horizon to horizon."""
        return PromotionPruner(name="promotion", min_resource=1) if self.search.shift else self.search.pruner

    @property
    def evaluations(self) -> int | None:
        """The index of the last evaluation by which a policy compares configs: of a training, or with `search.shift` of
        the values at its horizons."""
        return LAST if self.search.shift else self.trainer.evaluations(self.space_file.config)

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
        """What `hpsearch export` recorded about the study that found this config."""
        return self.settings.provenance

    @property
    def path(self) -> str:
        """The path of the file, as the user gave it."""
        return self.document.path

    @property
    def source(self) -> str:
        """The file's text without secrets, which is stored with the study."""
        return redact(without_webhook(self.document.text, self.settings.notify))

    @property
    def base(self) -> Path:
        """The folder for relative data paths."""
        return self.space_file.base

    @property
    def trainer(self) -> Trainer:
        """The trainer of this space's configs."""
        return self.space.trainer

    @property
    def space_file(self) -> SpaceFile:
        """The file as the trainer sees it."""
        return SpaceFile(self.document, self.settings, self.space)

    def override(self, **changes: Any) -> Experiment:
        """A copy with other settings: study, or fields of budget and resources.

        None keeps a value; raises ConfigError for a study name or a launcher that is not allowed.
        """
        changes = {key: value for key, value in changes.items() if value is not None}
        if "launcher" in changes:
            changes["launcher"] = self.resources.launched_by(changes["launcher"])
        study = changes.get("study", self.study)
        if reason := wrong_study(study):
            raise ConfigError(f"study: {reason}")
        parts = {}
        for name in ("budget", "resources"):
            part = getattr(self.settings, name)
            parts[name] = part.model_copy(update={k: v for k, v in changes.items() if k in type(part).model_fields})
        if reason := parts["budget"].lacks_price:
            raise ConfigError(f"{self.where('budget')}: budget: {reason}")
        if reason := wrong_groups(parts["resources"], self.trainer):
            raise self.document.error(Fault(("resources", "trials_per_worker"), reason))
        if wrong := wrong_gpus(parts["resources"], self.trainer):
            raise self.document.error(Fault(("resources", *wrong[0]), wrong[1]))
        return replace(self, study=study, settings=self.settings.model_copy(update=parts))

    def where(self, *keys: str | int) -> str:
        """`path:line:column` of a value, as in where("data", "reviews", "files", "train")."""
        return self.document.where(*keys)

    # ----------------------------------------------------------------------------------------------------- configs

    def config(self, internal: Mapping[str, Any]) -> Config:
        """The training config of a trial's internal values (`trial.params`)."""
        try:
            return self.trainer.config.model_validate(self._fixed | self.space.config(internal), strict=True)
        except ValidationError as error:
            raise ConfigError(f"{self.path}: {validation_errors.fault(error, {}, self.trainer.config)}") from None

    def config_at(self, horizon: float, internal: Mapping[str, Any]) -> Config:
        """The config that a trial is trained with at a horizon; 1: its own. Raises ConfigError."""
        config = self.config(internal)
        if horizon == 1:
            return config
        return shortened(self.trainer, config, horizon, searched={self.space.field_of(name) for name in internal})

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        return {key: value for key, value in self._train_values.items() if key not in self.space.sections}

    @cached_property
    def _train_values(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json", include=set(self.trainer.config.model_fields))

    def default(self, sets: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> DefaultConfig:
        """The default config, or `given` values completed from it; `sets`: counts of the prepared data.

        Raises NoDefault if the trainer's sections refuse the middle of the ranges.
        """
        return default_config(self.space, self.config, sets, given)

    def train_config(self) -> Config:
        """The config of a file without ranges; raises ConfigError for the first range."""
        for name, node in self.space.params.items():
            place = self.where(*node.keys)
            raise ConfigError(
                f"{place}: {name} is a range; a training needs one value: "
                "search with `hpsearch run`, then train what `hpsearch export` writes"
            )
        return self.config({})

    def normalised(self) -> dict[str, Any]:
        """The whole file as JSON-able values, with defaults and ranges; it can be loaded again."""
        everything = self.settings.model_dump(mode="json")
        return everything | {"study": self.study} | self._sections()

    def identity(self) -> dict[str, Any]:
        """What identifies the study: trainer, ranges, fixed values, objective, seed (data have fingerprints)."""
        named = {} if self.trainer.name == DEFAULT else {"trainer": self.trainer.name}
        sections: dict[str, Any] = _without_priors(self._sections())
        return named | self.trainer.config.identity_of(self._train_values | sections)

    def placed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A trial's config with folders of checkpoints as this file names them now: they may have moved since.

        Places that are choices are values of a param, and stay.
        """
        kept, now = self.trainer.config.identity_of(config), self._sections()
        found = dict(config)
        for section in now.keys() & kept.keys() & config.keys():
            places = now[section].keys() & (config[section].keys() - kept[section].keys())
            moved = {key: now[section][key] for key in places if not isinstance(now[section][key], Mapping)}
            found[section] = {**config[section], **moved}
        return found

    def _sections(self) -> dict[str, Any]:
        return {name: self._section(name, self._train_values[name]) for name in self.trainer.sections}

    def _section(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """The file's values of the section, over the defaults of keys that no sub-config sets."""
        nodes = self.space.sections.get(name, {})
        inner = {key for node in nodes.values() if isinstance(node, Branches) for b in node.branches for key in b}
        defaults = self.trainer.sections[name].model_construct().model_dump(mode="json", warnings=False)
        return {k: v for k, v in defaults.items() if k not in inner} | self.space.written().get(name, {})


def _without_priors(value: Any) -> Any:
    """Written sections without the priors of their ranges, which say where to draw and not what a value means."""
    if isinstance(value, list):
        return [_without_priors(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_priors(inner) for key, inner in value.items() if not (key == "prior" and "low" in value)}
