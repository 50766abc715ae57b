"""The learning curves of an Optuna study's trials, at the rungs of a training."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from hpsearch.policies.curves.chain import Curve
from hpsearch.policies.curves.rungs import rungs

BEST, LATEST = 300, 700  # trials of a longer study that are read: the best COMPLETE ones, and the latest of all
KNOWN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


@dataclass(frozen=True)
class Curves:
    """Trials with params, their curves at the rungs (lower is better); a curve may be empty."""

    rungs: list[int]
    params: list[dict[str, Any]]
    curves: list[Curve]

    @classmethod
    def read(cls, trials: Sequence[FrozenTrial], *, direction: optuna.study.StudyDirection, end: int | None) -> Curves:
        """Reads the trials' intermediate values; `end`: the last step of a training (None: the last reported one)."""
        sign = -1.0 if direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        steps = [step for trial in trials for step in trial.intermediate_values]
        offset = 1 if 0 in steps else 0  # a rung is a number of evaluations; a study may count them from 0
        at = rungs(end or max(steps, default=0) + offset or 1)
        return cls(at, [t.params for t in trials], [_curve(trial, at, sign=sign, offset=offset) for trial in trials])


def known(trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection) -> list[FrozenTrial]:
    """The trials that have params and did not fail; of a long study its best and its latest ones, by number."""
    found = [trial for trial in trials if trial.state in KNOWN and trial.params]
    if len(found) <= BEST + LATEST:
        return found
    sign = -1.0 if direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    complete = [trial for trial in found[:-LATEST] if trial.state == TrialState.COMPLETE and trial.value is not None]
    best = sorted(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))[:BEST]
    return sorted(best, key=lambda trial: trial.number) + found[-LATEST:]


def _curve(trial: FrozenTrial, at: list[int], *, sign: float, offset: int) -> Curve:
    """The values at the rungs that the trial has reached; at the end the trial's value, or the best of its curve."""
    values, found = trial.intermediate_values, dict[int, float]()
    steps = sorted(values)
    last = steps[-1] + offset if steps else 0
    for rung in at[:-1]:
        if rung <= last and steps[0] + offset <= rung:
            found[rung] = sign * values[steps[bisect_right(steps, rung - offset) - 1]]
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        found[at[-1]] = sign * trial.value
    elif last >= at[-1]:
        found[at[-1]] = float(np.min([sign * value for value in values.values()]))
    elif found and trial.state == TrialState.PRUNED:  # what it came to after its last rung, as a divergence
        rung = max(found)
        found[rung] = float(np.maximum(found[rung], sign * values[steps[-1]]))
    return found
