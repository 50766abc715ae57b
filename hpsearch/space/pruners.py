"""`search.pruner` of a space file: the pruners and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpsearch.config import Section

# Chosen on stored learning curves (six tables, 2 workers, the time of 16 full trainings, 30 seeds): mean rank by regret
# 2.0 of 8, compared with 5.3 for Optuna's median pruner, 5.2 for its Hyperband and 7.2 without pruning.
# On such curves `curves` with `promotion` needs a fraction of the time of these two. On real trainings it has not been
# better so far: after ten minutes on the quickstart's space (seeds 0 and 1, winners trained with three fresh seeds)
# these two come to 4.245 and 4.270, curves with promotion to 4.279 and 4.303 (benchmarks/search/README.md).
DEFAULT_PRUNER = "successive_halving"
WrappedName = Literal["median", "percentile", "hyperband", "successive_halving", "none"]


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
