"""The settings of a search beside the training config: budget, search, tracking, resources."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from hpsearch.config import Config, Section
from hpsearch.redaction import NO_PASSWORDS, url_with_password
from hpsearch.trainers import DEFAULT

# Chosen on stored learning curves (six tables, 2 workers, the time of 16 full trainings, 30 seeds): mean rank by regret
# 2.0 of 8, compared with 5.3 for Optuna's median pruner, 5.2 for its Hyperband and 7.2 without pruning.
DEFAULT_PRUNER = "successive_halving"
MOST_PER_GPU = 64  # trials; each is a process with its own CUDA context
DEFAULT_TRIALS = 20  # if the budget sets neither trials nor hours

WrappedName = Literal["median", "percentile", "hyperband", "successive_halving", "none"]


class Budget(Section):
    """Totals of the study over all its runs; the first limit that is reached ends it."""

    trials: int | None = Field(None, ge=1, le=1_000_000)
    hours: float | None = Field(None, gt=0)


class MedianPruner(Section):
    """Prunes a trial that is worse than the median of the other trials at equal progress."""

    name: Literal["median"]
    startup_trials: int = Field(5, ge=0)  # trials that finish before any is pruned
    warmup_evaluations: int = Field(0, ge=0)  # evaluations of a trial before it can be pruned
    interval: int = Field(1, ge=1)  # evaluations from one check to the next


class PercentilePruner(Section):
    """Prunes a trial that is not among the best `percentile` percent at equal progress."""

    name: Literal["percentile"]
    percentile: float = Field(25.0, ge=0, le=100)
    startup_trials: int = Field(5, ge=0)
    warmup_evaluations: int = Field(0, ge=0)
    interval: int = Field(1, ge=1)


class SuccessiveHalvingPruner(Section):
    """Keeps the best 1/reduction_factor of the trials at each rung (ASHA, arXiv 1810.05934)."""

    name: Literal["successive_halving"]
    min_resource: int = Field(2, ge=1)  # evaluations before the first rung
    reduction_factor: int = Field(2, ge=2)


class HyperbandPruner(Section):
    """Several successive halvings with different first rungs (arXiv 1603.06560)."""

    name: Literal["hyperband"]
    min_resource: int = Field(1, ge=1)
    reduction_factor: int = Field(3, ge=2)


class PatientPruner(Section):
    """Lets `wrapped` prune a trial only once it has not improved for `patience` evaluations."""

    name: Literal["patient"]
    patience: int = Field(3, ge=0)
    min_delta: float = Field(0.0, ge=0)
    wrapped: WrappedName = "median"


class NoPruner(Section):
    """Prunes nothing."""

    name: Literal["none"]


AnyPruner = Annotated[
    MedianPruner | PercentilePruner | SuccessiveHalvingPruner | HyperbandPruner | PatientPruner | NoPruner,
    Field(discriminator="name"),
]


class Overfitting(Section):
    """When a trial ends because its validation loss rises: for how many evaluations, by how many standard errors."""

    enabled: bool = True
    evaluations: int = Field(3, ge=1)
    sigmas: float = Field(3.0, ge=0)


class Search(Section):
    """How configs are chosen, when trials are stopped, how failures are handled."""

    policy: str = "optuna"  # or python:module:factory, which is called with the experiment
    sampler: Literal["tpe", "gp", "random", "qmc", "cmaes", "grid"] = "tpe"
    pruner: AnyPruner = Field({"name": DEFAULT_PRUNER}, validate_default=True)
    overfitting: Overfitting = Overfitting()
    max_consecutive_failures: int = Field(10, ge=1)
    max_retries: int = Field(2, ge=0)  # of one trial whose worker died
    stall_timeout: float = Field(1800.0, gt=0)  # seconds without a step after which a worker is killed

    @field_validator("policy")
    @classmethod
    def _policy_by_name(cls, name: str) -> str:
        if name == "optuna" or re.fullmatch(r"python:[\w.]+:\w+", name):
            return name
        raise ValueError(f"must be optuna or python:module:factory, not {name!r}")

    @field_validator("pruner", mode="before")
    @classmethod
    def _pruner_by_name(cls, raw: Any) -> Any:
        """Reads `pruner: median` as `{name: median}`; a mapping without a name has options of the default pruner."""
        if isinstance(raw, str):
            return {"name": raw}
        return {"name": DEFAULT_PRUNER, **raw} if isinstance(raw, dict) else raw

    @field_validator("overfitting", mode="before")
    @classmethod
    def _overfitting_by_switch(cls, raw: Any) -> Any:
        """Reads `overfitting: false` as `{enabled: false}`."""
        return {"enabled": raw} if isinstance(raw, bool) else raw


class Tracking(Section):
    """Where MLflow keeps the runs."""

    uri: str | None = None  # None: SQLite in the home folder

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri is not None and url_with_password(uri) is not None:
            raise ValueError(NO_PASSWORDS)
        return uri


class LocalWorkers(Section):
    """Processes of this machine."""

    name: Literal["local"]


class InlineWorkers(Section):
    """The driver's own process."""

    name: Literal["inline"]


class RayWorkers(Section):
    """Actors of a Ray cluster, and the resources of each."""

    name: Literal["ray"]
    address: str | None = None  # of ray.init; None: RAY_ADDRESS, or else a Ray that is started here
    num_cpus: float | None = Field(None, ge=0)  # None: as many as threads
    num_gpus: float | None = Field(None, ge=0)  # None: one where the device is cuda
    storage: str | None = None  # URL for checkpoints and prepared data; None: the home, which all nodes share

    @field_validator("storage")
    @classmethod
    def _url_without_password(cls, url: str | None) -> str | None:
        if url is not None and url_with_password(url) is not None:
            raise ValueError(NO_PASSWORDS)
        if url is not None and not re.match(r"[a-z][a-z0-9+.-]*(::[^\s]+)?://[^\s]+$", url):
            raise ValueError(f"must be a URL such as s3://bucket/folder, not {url!r}")
        return url

    @field_validator("num_cpus", "num_gpus")
    @classmethod
    def _share_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"must be a share (up to 1) or a whole number, not {value:g}")
        return value


AnyLauncher = Annotated[LocalWorkers | InlineWorkers | RayWorkers, Field(discriminator="name")]
LAUNCHERS: dict[str, type[LocalWorkers | InlineWorkers | RayWorkers]] = {
    "local": LocalWorkers,
    "inline": InlineWorkers,
    "ray": RayWorkers,
}


class Resources(Section):
    """What the workers run on."""

    launcher: AnyLauncher = Field({"name": "local"}, validate_default=True)
    workers: int | Literal["auto"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    trials_per_gpu: int | Literal["auto"] = 1  # at most that share a GPU of this machine; auto: as many as fit
    threads: int | None = Field(None, ge=1)  # of each worker; None: one

    @field_validator("launcher", mode="before")
    @classmethod
    def _launcher_by_name(cls, raw: Any) -> Any:
        """Reads `launcher: ray` as `{name: ray}`."""
        return {"name": raw} if isinstance(raw, str) else raw

    def launched_by(self, name: str) -> LocalWorkers | InlineWorkers | RayWorkers:
        """The launcher of this name: the configured one with its options, or another one with defaults."""
        return self.launcher if self.launcher.name == name else LAUNCHERS[name].model_validate({"name": name})

    @field_validator("trials_per_gpu", mode="before")
    @classmethod
    def _auto_or_a_few(cls, raw: Any) -> Any:
        if raw == "auto" or (type(raw) is int and 1 <= raw <= MOST_PER_GPU):
            return raw
        raise ValueError(f"must be auto or an integer from 1 to {MOST_PER_GPU}, not {raw!r}")

    @field_validator("workers", mode="before")
    @classmethod
    def _auto_or_count(cls, raw: Any) -> Any:
        if raw == "auto" or (isinstance(raw, int) and not isinstance(raw, bool) and raw >= 1):
            return raw
        raise ValueError(f"must be auto or an integer of at least 1, not {raw!r}")


class Settings(Config):
    """The whole space file with values for its ranges; `settings_of` adds a trainer's sections."""

    study: str | None = None
    trainer: str = DEFAULT  # or "python:module:attribute"
    base: str | None = None  # folder for relative data paths, relative to the file's folder; None: that folder
    budget: Budget = Budget()
    search: Search = Search()
    tracking: Tracking = Tracking()
    resources: Resources = Resources()
    provenance: dict[str, Any] = Field(default_factory=dict)  # what `hpsearch export` records; a run ignores it

    @model_validator(mode="before")
    @classmethod
    def _sections_may_be_left_out(cls, raw: Any) -> Any:
        """Reads a key without a value (`budget:`) as left out."""
        return {key: value for key, value in raw.items() if value is not None} if isinstance(raw, dict) else raw


@cache
def settings_of(kind: type[Config]) -> type[Settings]:
    """The settings of a space whose trainer has this config; raises ValueError for a section with a reserved name."""
    ours = [name for name in kind.model_fields if name in Settings.model_fields and name not in Config.model_fields]
    if ours:
        raise ValueError(f"its section '{ours[0]}' has the name of a key of every space file; choose another")
    return create_model("Settings", __base__=(Settings, kind))  # type: ignore[arg-type]  # both are the same Config
