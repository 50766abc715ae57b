"""The settings of a search beside the training config: budget, search, tracking, resources."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from hpsearch.config import Config, Section
from hpsearch.journal.history import MAX_TRIALS
from hpsearch.output.redaction import HIDDEN, NO_PASSWORDS, url_with_password
from hpsearch.output.webhook import ALLOWED, wrong_url
from hpsearch.trainers import DEFAULT

# Chosen on stored learning curves (six tables, 2 workers, the time of 16 full trainings, 30 seeds): mean rank by regret
# 2.0 of 8, compared with 5.3 for Optuna's median pruner, 5.2 for its Hyperband and 7.2 without pruning.
# On such curves `curves` with `promotion` needs a fraction of the time of these two. On real trainings it has not been
# better so far: after ten minutes on the quickstart's space (seeds 0 and 1, winners trained with three fresh seeds)
# these two come to 4.245 and 4.270, curves with promotion to 4.279 and 4.303 (benchmarks/search/README.md).
DEFAULT_PRUNER = "successive_halving"
DEFAULT_SAMPLER: Literal["tpe"] = "tpe"
MOST_PER_GPU = 64  # trials; each is a process with its own CUDA context
MOST_PER_WORKER = 1024  # trials
MOST_PER_TRIAL = 64  # GPUs
DEFAULT_TRIALS = 20  # if the budget sets no limit
POLICY = r"optuna|python:[\w.]+:\w+"
NO_PRICE = "money needs price_per_hour, the price of a device for an hour in the same currency"

WrappedName = Literal["median", "percentile", "hyperband", "successive_halving", "none"]


class Budget(Section):
    """Totals of the study over all its runs; the first limit that is reached ends it."""

    trials: int | None = Field(
        None,
        ge=1,
        le=MAX_TRIALS,
        description=(
            "trials of the study over all its runs; 20 if the budget sets no limit. The first limit that is "
            "reached ends the study (see The budget)"
        ),
        examples=[30],
    )
    hours: float | None = Field(None, gt=0, description="hours of the study over all its runs", examples=[2])
    device_hours: float | None = Field(
        None,
        gt=0,
        description="hours in which a device is held for trials, over all devices",
        examples=[8],
    )
    money: float | None = Field(
        None,
        gt=0,
        description="device-hours times `price_per_hour`, in any currency",
        examples=[20],
    )
    price_per_hour: float | None = Field(
        None,
        gt=0,
        description="the price of a device for an hour; without `money` it only adds what is spent to the output",
        examples=[2.5],
    )

    @model_validator(mode="after")
    def _money_has_a_price(self) -> Budget:
        if reason := self.lacks_price:
            raise ValueError(reason)
        return self

    @property
    def lacks_price(self) -> str:
        """Why money cannot be counted; empty if it can or need not."""
        return NO_PRICE if self.money is not None and self.price_per_hour is None else ""

    @property
    def is_empty(self) -> bool:
        """Whether it limits nothing."""
        return (self.trials, self.hours, self.device_hours, self.money) == (None, None, None, None)

    @property
    def seconds(self) -> float:
        """The hours in seconds; infinity without."""
        return math.inf if self.hours is None else self.hours * 3600

    @property
    def device_seconds(self) -> float:
        """What device-hours and money allow, in seconds; infinity if neither is limited."""
        paid = None if self.money is None or self.price_per_hour is None else self.money / self.price_per_hour
        return 3600 * min(given for given in (self.device_hours, paid, math.inf) if given is not None)


class MedianPruner(Section):
    """Prunes a trial that is worse than the median of the other trials at equal progress."""

    name: Literal["median"] = Field(description="the pruner")
    startup_trials: int = Field(5, ge=0, description="trials that finish before any is pruned")
    warmup_evaluations: int = Field(0, ge=0, description="evaluations of a trial before it can be pruned")
    interval: int = Field(1, ge=1, description="evaluations from one check to the next")


class PercentilePruner(Section):
    """Prunes a trial that is not among the best `percentile` percent at equal progress."""

    name: Literal["percentile"] = Field(description="the pruner")
    percentile: float = Field(
        25.0,
        ge=0,
        le=100,
        description="the share of the trials, in percent, that is kept at equal progress",
    )
    startup_trials: int = Field(5, ge=0, description="trials that finish before any is pruned")
    warmup_evaluations: int = Field(0, ge=0, description="evaluations of a trial before it can be pruned")
    interval: int = Field(1, ge=1, description="evaluations from one check to the next")


class SuccessiveHalvingPruner(Section):
    """Keeps the best 1/reduction_factor of the trials at each rung (ASHA, arXiv 1810.05934)."""

    name: Literal["successive_halving"] = Field(description="the pruner")
    min_resource: int = Field(2, ge=1, description="evaluations before the first rung")
    reduction_factor: int = Field(2, ge=2, description="1 of so many trials is kept at each rung")


class HyperbandPruner(Section):
    """Several successive halvings with different first rungs (arXiv 1603.06560)."""

    name: Literal["hyperband"] = Field(description="the pruner")
    min_resource: int = Field(1, ge=1, description="evaluations before the first rung of the first bracket")
    reduction_factor: int = Field(3, ge=2, description="1 of so many trials is kept at each rung")


class PromotionPruner(Section):
    """Pauses every trial at rungs and resumes the best 1/reduction_factor of each (ASHA, arXiv 1810.05934)."""

    name: Literal["promotion"] = Field(description="the pruner")
    min_resource: int | None = Field(
        None,
        ge=1,
        description="evaluations before the first rung; if left out, 1/27 of a training",
    )
    reduction_factor: int = Field(3, ge=2, description="1 of so many trials is resumed at each rung")


class PatientPruner(Section):
    """Lets `wrapped` prune a trial only once it has not improved for `patience` evaluations."""

    name: Literal["patient"] = Field(description="the pruner")
    patience: int = Field(3, ge=0, description="evaluations without an improvement before `wrapped` may prune")
    min_delta: float = Field(
        0.0,
        ge=0,
        description="the least difference that counts as an improvement, in units of the objective",
    )
    wrapped: WrappedName = Field("median", description="the pruner that decides")


class NoPruner(Section):
    """Prunes nothing."""

    name: Literal["none"] = Field(description="the pruner")


AnyPruner = Annotated[
    MedianPruner
    | PercentilePruner
    | SuccessiveHalvingPruner
    | HyperbandPruner
    | PromotionPruner
    | PatientPruner
    | NoPruner,
    Field(discriminator="name"),
]


class Overfitting(Section):
    """When a trial ends because its validation loss rises: for how many evaluations, by how many standard errors."""

    enabled: bool = Field(True, description="`overfitting: false` is short for `{enabled: false}`")
    evaluations: int = Field(3, ge=1, description="evaluations in a row above the best one")
    sigmas: float = Field(3.0, ge=0, description="how far above it, in standard errors of the loss")


class Confirm(Section):
    """Whether the best `top` trials are trained again with `seeds` fresh seeds each; None: as many as the share allows.

    The share is a fifth of the device time that the search took; top and seeds that are both set have no limit.
    """

    enabled: bool = Field(True, description="`confirm: false` is short for `{enabled: false}`")
    top: int | None = Field(
        None,
        ge=1,
        le=100,
        description=(
            "how many of the best trials are trained again; if left out, as many as a fifth of the search's device"
            " time allows"
        ),
        examples=[3],
    )
    seeds: int | None = Field(
        None,
        ge=1,
        le=100,
        description="fresh seeds for each of them; if left out, as many as that share allows",
        examples=[3],
    )


class Stop(Section):
    """Whether the search ends once as many trials again are expected to gain less than `gain`, or seed noise."""

    enabled: bool = Field(True, description="`stop: true` is short for `{enabled: true}`")
    gain: float | None = Field(
        None,
        gt=0,
        description=(
            "the least expected gain that is worth going on, in units of the objective; if left out, `sigmas` times "
            "the noise between seeds"
        ),
        examples=[0.01],
    )
    sigmas: float = Field(1.0, gt=0, description="the least expected gain, in standard deviations between seeds")


class Search(Section):
    """How configs are chosen, when trials are stopped, how failures are handled."""

    policy: str = Field(
        "optuna",
        description=(
            "decides which trial comes next and which one ends; or `python:module:factory`, in a module beside the"
            " space file (see A policy of your own). It may change when a study is resumed"
        ),
        examples=["python:halves:make"],
        json_schema_extra={"pattern": f"^({POLICY})$"},
    )
    sampler: Literal["tpe", "curves", "gp", "random", "qmc", "cmaes", "grid"] = Field(
        DEFAULT_SAMPLER,
        description=(
            "proposes configs: `tpe`, `curves` (learns from the curves of all trials: [search.md](search.md) says "
            "where it is better), `gp`, `random`, `qmc`, `cmaes`, `grid`"
        ),
        examples=["curves"],
    )
    default: bool = Field(True, description="trial 0 is the default config (see The default config)", examples=[False])
    first: list[dict[str, Any]] = Field(
        default_factory=list,
        description=(
            "known-good configs, tried next: `[{learning_rate: 3e-3, batch_size: 32}, ...]`, by the names of the "
            'ranges (a choice between sub-configs by the words that `show` has for it: `{model: "n_layers=1, '
            'width=32"}`); the default config completes them. Configs that are added later are tried when the '
            "study is resumed; one that the study has, or that comes twice, is named and not tried. While a search"
            " runs: `hpsearch enqueue` (see The queue)"
        ),
        examples=[[{"learning_rate": 3e-3}]],
    )
    prior: bool = Field(
        False,
        description="the trainer's rules give priors to the ranges that have none of their own (see Priors)",
        examples=[True],
    )
    warm_start: list[str] = Field(
        default_factory=list,
        description=(
            "the name of another study of the same home, or a list: its trials inform the sampler, and its best "
            "config is tried first (see Learning from another study)"
        ),
        examples=["reviews_v1"],
    )
    pruner: AnyPruner = Field(
        {"name": DEFAULT_PRUNER},
        validate_default=True,
        description=(
            "ends hopeless trials early: `successive_halving` (once 4 trials have reached a rung), `promotion` "
            "(pauses every trial and resumes the best: [search.md](search.md) says where it is better), `median`, "
            "`percentile`, `hyperband`, `patient`, `none`; with options: `{name: median, startup_trials: 5}`"
        ),
        examples=["median"],
    )
    shift: bool = Field(
        False,
        description=(
            "configs are tried in trainings of a part of their length first, with learning rate and batch size "
            "shifted to it, and the best of them at longer horizons: [search.md](search.md). Only trainings of the"
            " whole length can win. Not with a policy of your own, `sampler: grid` or another pruner than "
            "`promotion`; the trainer needs a method `shortened`"
        ),
        examples=[True],
    )
    overfitting: Overfitting = Field(
        Overfitting(),
        description=(
            "when a trial ends because its validation loss rises while its training loss falls. On a `wsd` "
            "schedule such a trial goes back and cools down from before its best evaluation; else it ends. "
            "Evaluations in the cool-down are not judged, so a very long one (`cooldown: 0.9`) hides it; a space "
            "that allows one is named"
        ),
    )
    confirm: Confirm = Field(
        Confirm(),
        description=(
            "trains the best trials, and the default config, again with fresh seeds, as far as that takes at most "
            "a fifth of the search: `false`, `{top: 3, seeds: 3}`, or one of the two (see The confirmation)"
        ),
    )
    stop: Stop = Field(
        Stop(enabled=False),
        description=(
            "`true`: the search ends once as many trials again are expected to gain less than the noise between "
            "seeds; `{gain: 0.01}`: less than this; `{sigmas: 2}` ([search.md](search.md))"
        ),
    )
    baselines: bool | Literal["retry"] = Field(
        True,
        description=(
            "measures trivial models of the data once for a study (see Baselines). What failed is measured again "
            "when hpsearch or a module beside the file has changed, or with `retry`"
        ),
        examples=["retry"],
    )
    max_consecutive_failures: int = Field(
        10,
        ge=1,
        description="failures in a row, without a completed trial in between, after which the study stops",
    )
    max_retries: int = Field(2, ge=0, description="retries of a trial whose worker died, over all runs of the study")
    stall_timeout: float = Field(
        1800.0,
        gt=0,
        description="seconds without a step (or within one evaluation) after which a worker counts as dead",
    )

    @field_validator("policy")
    @classmethod
    def _policy_by_name(cls, name: str) -> str:
        if re.fullmatch(POLICY, name):
            return name
        raise ValueError(f"must be optuna or python:module:factory, not {name!r}")

    @field_validator("pruner", mode="before")
    @classmethod
    def _pruner_by_name(cls, raw: Any) -> Any:
        """Reads `pruner: median` as `{name: median}`; a mapping without a name has options of the default pruner."""
        if isinstance(raw, str):
            return {"name": raw}
        return {"name": DEFAULT_PRUNER, **raw} if isinstance(raw, dict) else raw

    @field_validator("warm_start", mode="before")
    @classmethod
    def _one_or_several(cls, raw: Any) -> Any:
        """Reads `warm_start: old` as `[old]`."""
        return [raw] if isinstance(raw, str) else raw

    @field_validator("overfitting", "confirm", "stop", mode="before")
    @classmethod
    def _by_switch(cls, raw: Any) -> Any:
        """Reads `overfitting: false` as `{enabled: false}`."""
        if isinstance(raw, str | int | float) and not isinstance(raw, bool):
            raise ValueError(f"must be true, false or a mapping (key: value), not {raw!r}")
        return {"enabled": raw} if isinstance(raw, bool) else raw

    @field_validator("baselines", mode="before")
    @classmethod
    def _measured_or_retried(cls, raw: Any) -> Any:
        if raw == "retry" or isinstance(raw, bool):
            return raw
        raise ValueError(f"must be true, false or retry, not {raw!r}")


class Tracking(Section):
    """Where MLflow keeps the runs."""

    uri: str | None = Field(
        None,
        description=(
            "an MLflow server; if left out, SQLite in the home. Put its password into the environment, not into "
            "the file"
        ),
        examples=["http://127.0.0.1:5000"],
    )

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri is not None and url_with_password(uri) is not None:
            raise ValueError(NO_PASSWORDS)
        return uri


class LocalWorkers(Section):
    """Processes of this machine."""

    name: Literal["local"] = Field(description="the launcher")


class InlineWorkers(Section):
    """The driver's own process."""

    name: Literal["inline"] = Field(description="the launcher")


class RayWorkers(Section):
    """Actors of a Ray cluster, and the resources of each."""

    name: Literal["ray"] = Field(description="the launcher")
    address: str | None = Field(
        None,
        description=(
            "the address of a Ray cluster; if left out `RAY_ADDRESS` of the environment, or else a Ray is started "
            "here for the run"
        ),
        examples=["node:6379"],
    )
    num_cpus: float | None = Field(
        None,
        ge=0,
        description="CPUs of each worker, a fraction up to 1 or a whole number; if left out, `threads`",
        examples=[1],
    )
    num_gpus: float | None = Field(
        None,
        ge=0,
        description=(
            "GPUs of each worker, a fraction up to 1 or a whole number; if left out 1 if the device is `cuda`, else 0"
        ),
        examples=[0.5],
    )
    storage: str | None = Field(
        None,
        description="a URL for checkpoints and prepared data, if the nodes share no folder",
        examples=["s3://bucket/folder"],
    )

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

    launcher: AnyLauncher = Field(
        {"name": "local"},
        validate_default=True,
        description=(
            "`local`: processes of this machine; `inline`: the driver's own process; `ray`: a Ray cluster, with "
            "options `{name: ray, num_cpus: 1}` (docs/cluster.md)"
        ),
        examples=["inline"],
    )
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description=(
            "`auto`: one per CPU core, or `trials_per_gpu` per GPU (if that is `auto`: one per core, at most 8), "
            "or as many as the Ray cluster has room for"
        ),
        examples=[2],
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="where to train; `auto`: CUDA if there is a GPU, else the CPU",
        examples=["cpu"],
    )
    trials_per_gpu: Annotated[int, Field(ge=1, le=MOST_PER_GPU)] | Literal["auto"] = Field(
        1,
        description=(
            "how many trials (with `trials_per_worker`: how many workers) share a GPU of this machine at most, as "
            "its memory allows: 1 to 64, or `auto`: as many as fit (docs/cluster.md; on Ray, set `num_gpus` to a "
            "fraction)"
        ),
        examples=["auto"],
    )
    gpus_per_trial: int = Field(
        1,
        ge=1,
        le=MOST_PER_TRIAL,
        description=(
            "how many GPUs each trial has, for a program (`command:`) or a function (`train:`) that trains on several; "
            "there are then as many workers as the GPUs are enough for (docs/cluster.md; on Ray `num_gpus` says the "
            "same)"
        ),
        examples=[2],
    )
    trials_per_worker: int = Field(
        1,
        ge=1,
        le=MOST_PER_WORKER,
        description=(
            "how many trials a worker trains together at most, with a trainer that can (see Several trials in one "
            "worker); 1 on Ray"
        ),
    )
    threads: int | None = Field(None, ge=1, description="CPU threads of each worker; if left out, 1", examples=[2])

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

    study: str | None = Field(
        None,
        description="the study's name: letters, digits, `.`, `_`, `-`, at most 100; if left out, the file's name",
        examples=["reviews"],
    )
    trainer: str = Field(
        DEFAULT,
        description=(
            "`causal_lm`: hpsearch's own language models; `huggingface`: those of transformers, also chosen by "
            "`model.pretrained`; or `python:package.module:Class` (see A trainer of your own). It is "
            "part of the study's identity"
        ),
        examples=["python:polynomial:Polynomial"],
    )
    base: str | None = Field(
        None,
        description="the folder for relative data paths, itself relative to the file; if left out, the file's folder",
        examples=["../data"],
    )
    budget: Budget = Budget()
    search: Search = Search()
    tracking: Tracking = Tracking()
    resources: Resources = Resources()
    notify: str | None = Field(
        None,
        exclude=True,  # a secret: it is stored nowhere
        repr=False,
        examples=["https://hooks.slack.com/services/T0/B0/xxxx"],
        description="the URL of a webhook (http or https), which gets a JSON message when the search ends, fails or is "
        "stopped, and when a loss first diverges; if left out, `HPSEARCH_NOTIFY` of the environment. The URL is a "
        "secret: it is stored nowhere, and is not part of a study's identity",
    )
    provenance: dict[str, Any] = Field(default_factory=dict, description="what `export` records; a run ignores it")

    @field_validator("notify", mode="before")
    @classmethod
    def _webhook(cls, raw: Any) -> Any:
        """Reads the mark of a removed URL, as in a study's own copy of the file, as left out; never shows the value."""
        if raw is None or raw == HIDDEN:
            return None
        if reason := wrong_url(raw) if isinstance(raw, str) else ALLOWED:
            raise ValueError(reason)
        return raw

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
