"""The share of its training that a trial has under the pruner of a space: measured in earlier studies, or simulated."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

from hpsearch.document.document import read
from hpsearch.errors import HpsearchError
from hpsearch.home.home import Home, history_of
from hpsearch.journal.history import History
from hpsearch.journal.horizons import HORIZONS
from hpsearch.outcome import Outcome
from hpsearch.policies.curves.rungs import rungs
from hpsearch.policies.finalists import TOP
from hpsearch.space.experiment import Experiment
from hpsearch.space.pruners import PromotionPruner

FEWEST = 10  # trials of a study that says something
LATEST = 5  # studies of the home that are read
DECIDING = ("policy", "pruner", "sampler", "shift")  # keys of `search` that decide who trains on


@dataclass(frozen=True)
class Share:
    """The mean share (0 to 1] of its training that a trial has."""

    mean: float | None  # None: nothing is known of it
    source: str
    deviation: float = 0.0  # standard deviation between studies


def expected(experiment: Experiment, home: Home, *, trials: int) -> Share:
    """Returns the share in a study of so many trials, and where it comes from."""
    if experiment.pruner.name == "none":
        return Share(None, "nothing is pruned")
    if not experiment.search.shift and (found := _measured(experiment, home)) is not None:
        return found
    if experiment.search.policy != "optuna":
        return Share(None, "a policy of your own decides")
    if isinstance(experiment.pruner, PromotionPruner):
        return _of_promotion(experiment, experiment.pruner, trials)
    from hpsearch.policies.optuna.pruning import expected_share  # optuna

    simulated = expected_share(
        experiment.pruner,
        sampler=experiment.search.sampler,
        evaluations=experiment.evaluations,
        trials=trials,
        params=len(experiment.space.params),
    )
    return Share(simulated.mean, f"simulated with the rule of {experiment.pruner.name}", simulated.deviation)


def _of_promotion(experiment: Experiment, pruner: PromotionPruner, trials: int) -> Share:
    """What every rung promotes, 1 of reduction_factor, and the trials that are trained out at the end."""
    if experiment.search.shift:
        steps = [horizon / pruner.reduction_factor**n for n, horizon in enumerate(HORIZONS)]
    else:
        last = experiment.evaluations or 20
        places = [0, *rungs(last, first=pruner.min_resource, factor=pruner.reduction_factor)]
        steps = [
            (after - before) / last / pruner.reduction_factor**n for n, (before, after) in enumerate(pairwise(places))
        ]
    whole = min(1.0, TOP / trials)  # are trained to their end whatever the rungs promote
    promoted = sum(steps)
    rule = f"by the rule of promotion: 1 of {pruner.reduction_factor} resumes"
    return Share(min(1.0, whole + (1 - whole) * promoted), rule)


def _measured(experiment: Experiment, home: Home) -> Share | None:
    """The share that the trials of the latest studies with the same way of searching had."""
    found: list[float] = []
    names: list[str] = []
    for path in sorted(home.path.glob("*/journal.jsonl"), key=lambda path: -path.stat().st_mtime)[:LATEST]:
        with contextlib.suppress(HpsearchError, OSError):
            if _searches_alike(experiment, path.parent / "space.yaml"):
                shares = _shares(history_of(home, path.parent.name))
                found, names = [*found, *shares], [*names, *([path.parent.name] if shares else [])]
    if not found:
        return None
    source = f"measured in {', '.join(names)} ({len(found)} trials)"
    return Share(fmean(found), source, stdev(found) / math.sqrt(len(found)))


def _searches_alike(experiment: Experiment, path: Path) -> bool:
    own, other = experiment.document.value.get("search") or {}, read(path).value.get("search") or {}
    return all(own.get(key) == other.get(key) for key in DECIDING)


def _shares(history: History) -> list[float]:
    """How far each trial came that was not stopped by an error or a person; none of too small a study."""
    counted = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.OVERFIT, Outcome.DIVERGED)
    ended = [trial for trial in history.trials.values() if trial.outcome in counted or trial.paused]
    shares = [max((one.progress for one in trial.evaluations.values()), default=0.0) for trial in ended]
    return shares if len(shares) >= FEWEST else []
