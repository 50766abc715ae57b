"""hpsearch's policy in the simulator of learning curves: the shipped classes, asked through the seam of policies.

The simulator asks `next()` for a trial, as a point of the unit cube or to be resumed, and calls `report()` for each
evaluation. Here these become the events of a journal, in a history that an OptunaPolicy decides about.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import table

from hpsearch import Evaluation, GoOn, New, Nothing, Verdict
from hpsearch.journal.history import History
from hpsearch.journal.horizons import HORIZONS
from hpsearch.policies.horizons import Horizons
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.policies.policy import Policy
from hpsearch.space.experiment import Experiment

METRIC = "val/loss"


def methods() -> dict[str, Any]:
    """What the tables call ours: the settings `search.sampler` and `search.pruner` of a space file."""
    promotion = {"name": "promotion"}
    pairs: dict[str, tuple[str, dict[str, Any]]] = {
        "tpe + successive_halving": ("tpe", {"name": "successive_halving"}),
        "tpe + promotion": ("tpe", promotion),
        "random + promotion": ("random", promotion),
        "curves + successive_halving": ("curves", {"name": "successive_halving"}),
        "curves + promotion": ("curves", promotion),
        "curves + promotion from 1 by 4": ("curves", {**promotion, "min_resource": 1, "reduction_factor": 4}),
        "curves": ("curves", {"name": "none"}),
    }
    found: dict[str, Any] = {
        f"hpsearch {name}": (lambda bench, seed, workers, s=s, p=p: Seam(bench, seed, sampler=s, pruner=p))
        for name, (s, p) in pairs.items()
    }
    for sampler in ("curves", "tpe", "random"):
        found[f"hpsearch {sampler} + shift"] = lambda bench, seed, workers, s=sampler: Shifted(bench, seed, sampler=s)
    return found


class Seam:
    """One study of a benchmark."""

    full = False  # trials are reported level by level

    def __init__(self, bench: Any, seed: int, *, sampler: str, pruner: dict[str, Any], shift: bool = False) -> None:
        """`bench`: of the simulator: a space of (name, number of choices; 0: continuous in the unit interval)."""
        self._bench = bench
        self.experiment = experiment(bench, seed, sampler=sampler, pruner=pruner, shift=shift)
        self.policy: Policy = OptunaPolicy(self.experiment)
        self.history = History(metric=METRIC, direction="minimize")
        self._now = 0.0

    def limit(self, trials: int) -> None:
        """Sets the budget: so many trials."""
        self.history.allowed_trials = trials

    def next(self) -> tuple[int | None, np.ndarray | None]:
        """The trial that a free worker trains: its number (None: there is none), and its point if it is new."""
        decision = self.policy.next(self.history)
        if isinstance(decision, Nothing):
            return None, None
        if isinstance(decision, GoOn):
            self._add("trial_resumed", decision.trial, until=decision.until)
            return decision.trial, None
        assert isinstance(decision, New), decision
        internal = self.experiment.space.internal(decision.params)
        number = len(self.history.trials)
        described = {"params": decision.params, "internal": internal, "config": self.experiment.space.config(internal)}
        self._add("trial_asked", number, until=decision.until, **described)
        sizes = zip(self._bench.space, decision.params.values(), strict=True)
        return number, np.array([value if not k else value / (k - 1) for (_, k), value in sizes])

    def report(self, number: int, level: int, value: float, last: bool) -> str:
        """Adds an evaluation to the history; returns go, pause or stop."""
        trial = self.history.trials[number]
        progress = 1.0 if last else level / self._bench.R
        found = Evaluation(index=level, step=level, progress=progress, metrics={METRIC: value})
        self._add("evaluation", number, evaluation=found.to_dict())
        if last:
            return self._finished(number, "completed")
        judgement = self.policy.judge(self.history, trial)
        if judgement.verdict is Verdict.PRUNE:
            return self._finished(number, "pruned")
        if trial.until is not None and level >= trial.until:
            self._add("trial_paused", number, evaluation=level)
            return "pause"
        return "go"

    def _finished(self, number: int, outcome: str) -> str:
        best = self.history.best_place(number)
        self._add("trial_finished", number, outcome=outcome, value=best.value if best else None)
        return "stop"

    def _add(self, event: str, number: int, **fields: Any) -> None:
        self._now += 1.0
        self.history.add({"event": event, "trial": number, "time": self._now, **fields})


class Shifted(Seam):
    """One study of a benchmark whose levels are trainings at shorter horizons, with `search.shift`."""

    def __init__(self, bench: Any, seed: int, *, sampler: str) -> None:
        """`bench`: has the horizon of each level in `c`."""
        super().__init__(bench, seed, sampler=sampler, pruner={"name": "promotion"}, shift=True)
        self.policy = Horizons(self.experiment, self.policy)
        distance = np.abs(np.log(np.array(bench.c)[:, None] / np.array(HORIZONS)))
        self.levels = [int(index) for index in distance.argmin(axis=0)]  # those nearest to ours
        self._shown: dict[int, int] = {}  # our trial -> the simulator's

    def next(self) -> tuple[int, np.ndarray | None]:
        """The config that a free worker trains, at its first horizon or at the next one."""
        decision = self.policy.next(self.history)
        assert isinstance(decision, New), decision
        number, internal = len(self.history.trials), self.experiment.space.internal(decision.params)
        described = {"params": decision.params, "internal": internal, "config": self.experiment.space.config(internal)}
        self._add("trial_asked", number, horizon=decision.horizon, of=decision.of, **described)
        shown = number if decision.of is None else decision.of
        self._shown[shown] = number
        if decision.of is not None:
            return shown, None
        sizes = zip(self._bench.space, decision.params.values(), strict=True)
        return shown, np.array([value if not k else value / (k - 1) for (_, k), value in sizes])

    def report(self, number: int, level: int, value: float, last: bool) -> str:
        """Ends the training at a horizon."""
        trial = self._shown[number]
        found = Evaluation(index=1, step=1, progress=1.0, metrics={METRIC: value})
        self._add("evaluation", trial, evaluation=found.to_dict())
        return self._finished(trial, "completed" if last else "short")


def experiment(bench: Any, seed: int, *, sampler: str, pruner: dict[str, Any], shift: bool = False) -> Experiment:
    """The space file of a benchmark, whose parameters are p0, p1, ... in one section."""
    choices = [k for _, k in bench.space]
    ranges = [{"low": 0, "high": k - 1} if k else {"low": 0.0, "high": 1.0} for k in choices]
    raw = {
        "seed": seed,
        "trainer": f"python:table:{table.name_of(bench.R, choices)}",
        "budget": {"hours": 1e6},
        "search": {"sampler": sampler, "pruner": pruner, "overfitting": False, "shift": shift},
        "point": {f"p{index}": values for index, values in enumerate(ranges)},
    }
    return Experiment.of(raw, study="simulated")
