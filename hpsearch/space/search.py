"""`search` of a space file: how configs are chosen, when trials end, what is trained again."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator

from hpsearch.config import Section
from hpsearch.space.pruners import DEFAULT_PRUNER, AnyPruner

DEFAULT_SAMPLER: Literal["tpe"] = "tpe"
POLICY = r"optuna|python:[\w.]+:\w+"


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
