"""space.yaml -> Experiment: parsed and checked, with errors that name file, line and column.

The schema is that of the trainer's config (trainers/) with ranges allowed in some of its sections (space/space.py),
and what every search needs beside it (space/settings.py); space/validation.py looks at the file as a whole.
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
from hpsearch.document.document import GIVEN, Document, Fault, parse, read, written
from hpsearch.document.ranges import Branches
from hpsearch.errors import ConfigError
from hpsearch.redaction import redact
from hpsearch.space.settings import Budget, Resources, Search, Settings, Tracking
from hpsearch.space.space import Space
from hpsearch.space.space_file import SpaceFile
from hpsearch.space.validation import checked, wrong_study
from hpsearch.trainers import DEFAULT, Trainer


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
    def of(cls, value: Mapping[str, Any], *, base: str | Path | None = None, study: str | None = None) -> Experiment:
        """The experiment in a mapping; ConfigError (space: path of keys: what, what is allowed) where it is wrong.

        base: the folder that relative data paths begin at (default: the working one); study: its name (default: the
        mapping's).
        """
        given = {"study": study, "base": None if base is None else str(base)}
        value = {**value, **{key: found for key, found in given.items() if found is not None}}
        try:
            document = written(value)
        except Fault as fault:
            raise ConfigError(f"{GIVEN}: {fault}") from None
        return cls._of(document)

    @classmethod
    def _of(cls, document: Document) -> Experiment:
        try:
            found = checked(document)
        except Fault as fault:
            raise document.error(fault) from None
        return cls(found.study, found.settings, found.space, document, found.warnings)

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
        return self.space_file.base

    @property
    def trainer(self) -> Trainer:
        """What trains the configs of this space."""
        return self.space.trainer

    @property
    def space_file(self) -> SpaceFile:
        """The file as the trainer sees it."""
        return SpaceFile(self.document, self.settings, self.space)

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

    # ----------------------------------------------------------------------------------------------------- configs

    def config(self, internal: Mapping[str, Any]) -> Config:
        """The training config of a trial's internal values (`trial.params`)."""
        try:
            return self.trainer.config.model_validate(self._fixed | self.space.config(internal), strict=True)
        except ValidationError as error:
            raise ConfigError(f"{self.path}: {validation_errors.fault(error, {}, self.trainer.config)}") from None

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        return {key: value for key, value in self._train_values.items() if key not in self.space.sections}

    @cached_property
    def _train_values(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json", include=set(self.trainer.config.model_fields))

    def train_config(self) -> Config:
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
        """What makes the study what it is: its trainer, ranges, fixed values, objective, seed; the data have
        fingerprints of their own.
        """
        named = {} if self.trainer.name == DEFAULT else {"trainer": self.trainer.name}
        return named | self.trainer.config.identity_of(self._train_values) | self._sections()

    def _sections(self) -> dict[str, Any]:
        return {name: self._section(name, self._train_values[name]) for name in self.trainer.sections}

    def _section(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """Defaults, except for keys that only choices between sub-configs set, under what the file says."""
        nodes = self.space.sections.get(name, {})
        inner = {key for node in nodes.values() if isinstance(node, Branches) for b in node.branches for key in b}
        defaults = self.trainer.sections[name].model_construct().model_dump(mode="json", warnings=False)
        return {k: v for k, v in defaults.items() if k not in inner} | self.space.written().get(name, {})
