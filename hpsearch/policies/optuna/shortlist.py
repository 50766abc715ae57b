"""The trials of a long study that TPE reads, kept from one `ask` to the next."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container
from itertools import islice
from typing import Any, cast

import optuna
from optuna.trial import FrozenTrial, TrialState

BEST, ENDED, RUNNING = 100, 300, 200  # trials of a longer study: the best, the latest that ended, the latest that run


class Shortlist:
    """The best and the latest trials of one study. The cost of an update grows with the running trials only."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self._sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
        self._seen = 0  # trials
        self._running: set[int] = set()
        self._ended: list[int] = []  # in order
        self._completed: list[tuple[float, int]] = []  # the best first

    def part(self) -> optuna.Study:
        """Returns the study, or if it is long a view of some of its trials."""
        trials = self.study.get_trials(deepcopy=False)
        self._update(trials)
        if len(trials) <= BEST + ENDED + RUNNING:
            return self.study
        latest = set(self._ended[-ENDED:])
        best = islice((number for _, number in self._completed if number not in latest), BEST)
        numbers = sorted({*best, *latest, *sorted(self._running)[-RUNNING:]})
        return cast(optuna.Study, Part(self.study, [trials[number] for number in numbers]))

    def _update(self, trials: list[FrozenTrial]) -> None:
        self._running.update(range(self._seen, len(trials)))
        self._seen = len(trials)
        for number in [number for number in self._running if trials[number].state.is_finished()]:
            self._running.remove(number)
            insort(self._ended, number)
            if trials[number].state == TrialState.COMPLETE:
                insort(self._completed, (self._sign * (trials[number].value or 0.0), number))


class Part:
    """A read-only view of a study with some of its trials."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]) -> None:
        self._whole, self._trials = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]
