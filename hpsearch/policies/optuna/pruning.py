"""The share of a trial's training that a pruner leaves on average, before there is any trial.

The pruner of the study itself judges simulated trials, one after another. Each has a quality, which is its rank at
every evaluation: of those that the sampler draws at random it is normal, of those that it proposes after them better by
SHIFT on average. A sampler that learns nothing has trials of one kind throughout.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
import optuna

from hpsearch.policies.optuna.samplers import FEWEST_STARTUP, MOST_STARTUP, make_pruner
from hpsearch.space.pruners import AnyPruner

# In standard deviations of the random trials' values. With 1.0, 40 trials with the default pruner and sampler have 0.54
# of their trainings, as in a real study of 40 trials (0.535; translation and classification, 2026-11-26), and 16 trials
# 0.72 (the quickstart: 9 of 16 trained to their end).
SHIFT = 1.0
STUDIES, MOST = 12, 60  # simulated studies, and trials of each at most
UNGUIDED = ("random", "qmc", "grid")  # samplers that learn nothing
LAST = 20  # evaluations of a trial where their number is not known


class Share(NamedTuple):
    """The mean share (0 to 1] of a whole training that the trials of a study have, and how far studies differ in it."""

    mean: float
    deviation: float = 0.0  # standard deviation between studies


def expected_share(pruner: AnyPruner, *, sampler: str, evaluations: int | None, trials: int, params: int) -> Share:
    """Returns the share of a study of so many trials that searches so many params."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    startup = min(MOST_STARTUP, max(FEWEST_STARTUP, params + 2))  # as in samplers.py
    guided = math.inf if sampler in UNGUIDED else startup
    count = max(1, min(trials, MOST))
    shares = [_study(pruner, evaluations or LAST, count, guided, seed) for seed in range(STUDIES)]
    return Share(fmean(shares), stdev(shares))


def _study(pruner: AnyPruner, evaluations: int, trials: int, guided: float, seed: int) -> float:
    """The mean share in one simulated study."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(pruner=make_pruner(pruner, evaluations=evaluations))
    done = 0
    for number in range(trials):
        quality = float(rng.normal()) - (SHIFT if number >= guided else 0.0)  # lower is better
        done += _evaluated(study, quality, evaluations)
    return done / (trials * evaluations)


def _evaluated(study: optuna.Study, quality: float, evaluations: int) -> int:
    """Trains a simulated trial; returns the evaluations that it had."""
    trial = study.ask()
    for index in range(1, evaluations + 1):
        value = quality + 10.0 / index  # falls, so that patience never ends; the rank at an index is that of quality
        trial.report(value, index)
        if index < evaluations and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return index
    study.tell(trial, value)
    return evaluations
