"""The first trials of a study: the default config, the best one of other studies (`search.warm_start`), then the
known-good configs of the space file; then a policy's.

Trial 0 is the default config, so that every later word on the winner can say by how much it is better. A config of
`search.first` is tried as soon as the study lacks it, also in a study that is resumed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.document.ranges import Internal
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.optuna.trainings import StudyTrainings, Trainings
from hpsearch.policies.policy import DEFAULT, FIRST, WARM, Decision, Judgement, New, Policy
from hpsearch.space.default_config import NoDefault
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import Rule

NO_SETS: Mapping[str, Any] = {}
CLOSE = 0.01  # relative difference that is rounding


class FirstTrials:
    """Proposes the first trials, and leaves everything else to a policy."""

    def __init__(self, experiment: Experiment, policy: Policy) -> None:
        self._experiment, self.policy = experiment, policy
        self._trainings = StudyTrainings(experiment.space)
        self._completed_for: Mapping[str, Any] | None = None  # counts of the data that `_first` is of
        self._first: list[dict[str, Internal] | None] = []  # search.first, completed; None: the trainer refuses it

    def next(self, history: History) -> Decision:
        """Returns a first trial that the study lacks, else what the policy decides."""
        if history.trials and not self._experiment.search.first and not history.warm:
            return self.policy.next(history)
        trainings = self._trainings.of(history)
        if history.room != 0:
            for label, internal in self._wanted(history):
                if not trainings.has(internal):
                    return New(self._experiment.space.values(internal), label=label)
        return self.policy.next(history)

    def description(self, history: History) -> str:
        """A line about the values that rules choose for trial 0; empty if it is not the default config."""
        if not self._experiment.search.default:
            return ""
        try:
            default = self._experiment.default(_sets(history))
        except NoDefault:
            return ""
        values = self._experiment.space.values(default.internal)
        ruled = "; ".join(_because(name, values[name], rule) for name, rule in default.rules.items())
        return "trial 0 is the default config" + (f": {ruled}; else the middle of the ranges" if ruled else "")

    def doubts(self, history: History) -> list[str]:
        """A line for each rule that may not hold for the default config, before the first trial or if it is a prior."""
        search = self._experiment.search
        if not search.prior and (history.trials or not search.default):
            return []
        with contextlib.suppress(NoDefault):
            rules = self._experiment.default(_sets(history)).rules
            return [f"{name}: {rule.doubt}" for name, rule in rules.items() if rule.doubt]
        return []

    def repeated(self, history: History) -> list[str]:
        """A line for each config of `search.first` that is not tried, because another trial is the same training."""
        found, known = list[str](), self._trainings.of(history)
        earlier = Trainings(self._experiment.space)
        with contextlib.suppress(NoDefault):
            if self._experiment.search.default and not history.trials:
                earlier.add(self._experiment.default(_sets(history)).internal, 0)
        for index, internal in enumerate(self._configs(history)):
            if internal is None:
                continue
            other = _named(history, known.trial_of(internal), earlier, internal)
            if other:
                place = self._experiment.where("search", "first", index)
                found.append(f"{place}: search.first[{index + 1}] is not tried: {other}")
            earlier.add(internal, -1 - index)
        return found

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns the policy's judgement."""
        return self.policy.judge(history, trial)

    # --------------------------------------------------------------------------------------------------------- inwards

    def _wanted(self, history: History) -> Iterator[tuple[str, dict[str, Internal]]]:
        """Yields the default config, if it is to be trial 0, and those of other studies and of the space file.

        The experiment has warned of a default config that the trainer's sections refuse.
        """
        search, sets = self._experiment.search, _sets(history)
        if search.default and not history.trials:
            with contextlib.suppress(NoDefault):
                yield DEFAULT, self._experiment.default(sets).internal
        yield from ((WARM, dict(internal)) for warm in history.warm.values() for internal in warm.first)
        yield from ((FIRST, internal) for internal in self._configs(history) if internal is not None)

    def _configs(self, history: History) -> list[dict[str, Internal] | None]:
        """The configs of the space file, completed."""
        sets = _sets(history)
        if self._completed_for is not sets:
            self._first = [self._completed(sets, given) for given in self._experiment.search.first]
            self._completed_for = sets
        return self._first

    def _completed(self, sets: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Internal] | None:
        try:
            return self._experiment.default(sets, given).internal
        except NoDefault:
            return None


def _sets(history: History) -> Mapping[str, Any]:
    """The counts of the study's data."""
    sets: Mapping[str, Any] = history.origin.data.get("sets", NO_SETS)
    return sets


def _named(history: History, trial: int | None, earlier: Trainings, internal: Mapping[str, Any]) -> str:
    """Says which training a config would repeat; empty if it has its own trial, or none yet.

    earlier: the trainings that come before it, by the number of a trial or, below zero, -1 - its place in the list.
    """
    place = earlier.trial_of(internal)
    if place is not None and place < 0:
        return f"search.first[{-place}] is the same training"
    if trial is not None and history.trials[trial].label != FIRST:
        return f"trial {trial} is the same training"
    return "" if place is None else f"trial {place}, the default config, is the same training"


def _because(name: str, value: float, rule: Rule) -> str:
    """Names a value and the rule that chose it, with the rule's own value if the range has only one near it."""
    moved = f"the nearest to {rule.value:.3g}, " if abs(value - rule.value) > CLOSE * abs(rule.value) else ""
    return f"{name} {value:.3g} ({moved}{rule.source})"
