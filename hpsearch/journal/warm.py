"""What a study has learnt from another one, as its journal has it: the other study may go on, or be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome

WARMED = "study_warmed"  # kind of event


@dataclass(frozen=True)
class Warm:
    """The trials of another study that lie in this one's space. They are no trials of this study."""

    study: str  # the other one's name
    first: tuple[Mapping[str, Any], ...]  # internal values of its best trials, which this study tries first
    trials: tuple[TrialHistory, ...]  # what the sampler knows of, numbered from 0, with internal values of this space

    @classmethod
    def from_event(cls, event: Mapping[str, Any], metric: str) -> Warm:
        """The value of a study_warmed event; `metric`: the objective, of which the curves are."""
        trials = tuple(_trial(number, raw, metric) for number, raw in enumerate(event["trials"]))
        return cls(event["study"], tuple(event["first"]), trials)


def warm_trial(trial: TrialHistory, internal: Mapping[str, Any], curve: Mapping[int, float]) -> dict[str, Any]:
    """What the event has of a trial; `curve`: index -> value of the objective."""
    best = trial.best
    known = None if best is None else {"index": best.index, "value": best.value, "branch": best.branch}
    outcome = trial.outcome if trial.outcome is not None and trial.outcome.ended else Outcome.PRUNED
    return {
        "trial": trial.number,
        "internal": dict(internal),
        "outcome": outcome,
        "value": trial.value if outcome.counts else None,
        "best_evaluation": known,
        "curve": sorted(curve.items()),
    }


def _trial(number: int, raw: Mapping[str, Any], metric: str) -> TrialHistory:
    evaluations = {
        index: Evaluation(index=index, step=index, progress=0.0, metrics={metric: value})
        for index, value in raw["curve"]
    }
    return TrialHistory(
        number,
        internal=dict(raw["internal"]),
        outcome=Outcome.of(raw["outcome"]),
        value=raw["value"],
        best=BestEvaluation.from_dict(raw["best_evaluation"]),
        evaluations=evaluations,
    )
