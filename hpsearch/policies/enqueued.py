"""Any policy, preceded by the configs that people enqueue (`hpsearch enqueue`): the policy sees them as trials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpsearch.document.ranges import Internal
from hpsearch.errors import ConfigError, UserError
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.optuna.trainings import StudyTrainings, Trainings
from hpsearch.policies.policy import ENQUEUED, Decision, Judgement, New, Policy
from hpsearch.space.branch_values import with_labels
from hpsearch.space.default_config import check_given
from hpsearch.space.experiment import Experiment
from hpsearch.space.space import Space


class EnqueuedPolicy:
    """Proposes the enqueued configs that the study has not trained whole, after its first trial; else as a policy."""

    def __init__(self, policy: Policy, experiment: Experiment) -> None:
        self.policy, self._space = policy, experiment.space
        self._trainings, self._whole = StudyTrainings(self._space), StudyTrainings(self._space, whole=True)

    def next(self, history: History) -> Decision:
        """Returns an enqueued config, or the policy's decision."""
        if history.requests and history.trials and not history.closed:
            found = next(filter(None, (self._new(history, internal) for internal in self._missing(history))), None)
            if found is not None:
                return found
        return self.policy.next(history)

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns the policy's judgement."""
        return self.policy.judge(history, trial)

    # --------------------------------------------------------------------------------------------------------- inwards

    def _missing(self, history: History) -> Iterator[Mapping[str, Internal]]:
        """The enqueued configs that no trial trains whole."""
        whole = self._whole.of(history)
        for request in history.requests.values():
            if request.internal is not None and not whole.has(request.internal):
                yield request.internal

    def _new(self, history: History, internal: Mapping[str, Internal]) -> New | None:
        """The whole training of a config; None: the config is new, and the budget has no room for it."""
        earlier = self._trainings.of(history).trial_of(internal)
        if earlier is not None:  # only in a short training, by search.shift
            trial = history.trials[earlier]
            return New(trial.params, label=ENQUEUED, of=earlier if trial.of is None else trial.of)
        return None if history.room == 0 else New(self._space.values(internal), label=ENQUEUED)


def needs_room(space: Space, history: History, internal: Mapping[str, Internal]) -> bool:
    """Whether a config counts for the budget's trials: not if a short training has tried it (`search.shift`)."""
    return not StudyTrainings(space).of(history).has(internal)


def completed(
    experiment: Experiment, history: History, params: Mapping[str, Any], *, waiting: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Internal]:
    """The internal values of a config with these params, which the default config completes.

    waiting: params of other enqueued configs, which the history has not. Raises UserError, in one line, for params that
    are not in the space, and for a training that the study has, at its whole horizon, or that waits already.
    """
    space, sets = experiment.space, history.origin.data.get("sets", {})
    params = with_labels(space, space.short_names(params))
    check_given(space, experiment.config, params)
    internal = experiment.default(sets, params).internal
    trial = StudyTrainings(space, whole=True).of(history).trial_of(internal)
    if trial is not None:
        raise UserError(f"trial {trial} has this config")
    if _known(space, history, waiting).has(internal):
        raise UserError("this config is enqueued already")
    return internal


def _known(space: Space, history: History, waiting: Iterable[Mapping[str, Any]]) -> Trainings:
    """The trainings that are enqueued."""
    found = Trainings(space)
    for request in history.requests.values():
        if request.internal is not None:
            found.add(request.internal)
    for params in waiting:
        with contextlib.suppress(ConfigError):  # a line that somebody else wrote; the driver refuses it
            found.add(space.internal(params))
    return found
