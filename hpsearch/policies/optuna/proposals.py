"""The Optuna study in the driver's memory: which trials its sampler proposes and which its pruner would stop.

No config is proposed twice: the same config with the same seed is the same training.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import optuna

from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies.optuna.priors import Draws
from hpsearch.policies.optuna.samplers import OwnTrials, make_pruner, make_sampler, takes_notes
from hpsearch.policies.optuna.seeds import mix
from hpsearch.policies.optuna.shortlist import Shortlist
from hpsearch.policies.optuna.trainings import Trainings
from hpsearch.space.experiment import Experiment
from hpsearch.space.priors import priors

WORST = 1e30  # what Optuna is told of a loss that is not finite: behind all others, in whatever order they come
DRAWS = 1000  # configs drawn in place of one that the study has, at most


class OutOfConfigs(Exception):
    """The study has every training that its space has."""


class Proposals:
    """Trials as Optuna knows them, by our numbers."""

    def __init__(self, experiment: Experiment, *, sets: Mapping[str, Any] | None = None) -> None:
        """Starts without trials; `rebuild` adds those of a history. `sets`: counts of the data, for rules."""
        self.experiment = experiment
        self._draws, self._learnt = Draws(experiment.space, priors(experiment, sets or {})), 0
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._storage = optuna.storages.InMemoryStorage()
        self.study = optuna.create_study(
            study_name=experiment.study,
            storage=self._storage,
            direction=experiment.objective.direction,
            pruner=make_pruner(experiment.pruner, evaluations=experiment.evaluations),
        )
        self._study_id = self._storage.get_study_id_from_name(experiment.study)
        self._opened = datetime.now()  # Optuna's time of all trials that had ended by then
        self._shortlist = Shortlist(self.study)
        self._trials: dict[int, optuna.Trial] = {}  # that have not ended
        self._heard: dict[int, int] = {}  # of those, how many evaluations Optuna knows
        self.reports = 0  # evaluations that Optuna has heard of
        self._metric = experiment.objective.metric
        self._worst = WORST if experiment.objective.direction == "minimize" else -WORST
        self._distributions = {name: experiment.space.distribution(name) for name in experiment.space.params}
        self.trainings = Trainings(experiment.space)

    def learn(self, trials: Sequence[TrialHistory]) -> None:
        """Adds trials of other studies, before all others: the sampler knows them, and the pruner does not."""
        for trial in trials:
            self._storage.create_new_trial(self._study_id, self._frozen(trial))
        if trials:
            self.study.pruner, self._learnt = OwnTrials(self.study.pruner, others=len(trials)), len(trials)

    def ask(self, number: int) -> dict[str, Any]:
        """Returns the internal values of a new trial: what the sampler proposes, or another config if that is not new.

        A trial that was asked for and not accepted is asked for again. Raises OutOfConfigs if the study has every
        training of the space.
        """
        self.study.sampler = make_sampler(
            self.experiment, number, self._shortlist, draws=self._draws, learnt=self._learnt
        )
        trial = self._trials[number] = self._again(number) if number in self._trials else self.study.ask()
        self._heard[number] = 0
        internal = self.experiment.space.suggest(trial)
        if self.trainings.has(internal):
            internal = self._another(number)
        self.trainings.add(internal)
        return internal

    def accept(self, trial: TrialHistory, proposed: dict[str, Any]) -> None:
        """Sets the internal values of the trial asked for last to those that were recorded."""
        if trial.internal != proposed:  # a number on a grid may differ in its last bit
            self.trainings.discard(proposed)
            self.trainings.add(trial.internal)
            self._put(trial.number, trial.internal)

    @property
    def open(self) -> list[int]:
        """The trials that have not ended."""
        return list(self._trials)

    def hear(self, trial: TrialHistory) -> None:
        """Reports a trial's new evaluations to Optuna."""
        heard = self._heard.get(trial.number)
        if heard is not None and heard < len(trial.evaluations):
            for evaluation in islice(trial.evaluations.values(), heard, None):
                self._report(trial.number, evaluation)

    def would_prune(self, number: int) -> bool:
        """Whether the pruner would stop the trial after its latest evaluation."""
        return number in self._trials and self._trials[number].should_prune()

    def tell(self, trial: TrialHistory) -> None:
        """Tells Optuna how a trial ended, and its value where that counts."""
        if trial.number in self._trials:
            self.hear(trial)
            self._tell(trial)

    def rebuild(self, trial: TrialHistory) -> None:
        """Adds a trial of the journal under its number."""
        if not trial.config:  # its params stood on damaged lines alone; the sampler passes it over
            self.study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
            return
        self.trainings.add(trial.internal)
        if trial.outcome is None or takes_notes(self.experiment.pruner):
            self._replay(trial)
        else:
            self._storage.create_new_trial(self._study_id, self._frozen(trial))  # a fifth of the time, the same trial

    # --------------------------------------------------------------------------------------------------------- inwards

    def _report(self, number: int, evaluation: Evaluation) -> None:
        self._heard[number] += 1
        self.reports += 1
        value = self._value(evaluation)
        if value is not None:
            self._trials[number].report(value, evaluation.index)

    def _tell(self, trial: TrialHistory) -> None:
        state = state_of(trial.outcome or Outcome.FAILED)
        value = trial.value if state == optuna.trial.TrialState.COMPLETE else None
        if trial.best is not None and trial.best.branch:
            self._put(trial.number, self._trained(trial))
        self.study.tell(self._closed(trial.number), value, state=state)

    def _closed(self, number: int) -> optuna.Trial:
        """Returns Optuna's trial, which is not open any more."""
        del self._heard[number]
        return self._trials.pop(number)

    def _another(self, number: int) -> dict[str, Any]:
        """Replaces the proposed config by a random one that no trial has; raises OutOfConfigs."""
        found = self._drawn(number)
        if found is None:
            self.trainings.none_left = True
            self.study.tell(self._closed(number), state=optuna.trial.TrialState.FAIL)
            raise OutOfConfigs
        self._put(number, found)
        return found

    def _drawn(self, number: int) -> dict[str, Any] | None:
        """A random new config of a listed space; else the first new one of many draws, or None."""
        if self.trainings.listed:
            return self.trainings.left(mix(self.experiment.seed, number))
        for draw in range(DRAWS):
            sampler = optuna.samplers.RandomSampler(seed=mix(self.experiment.seed, number, draw))
            found = self.experiment.space.suggest(optuna.create_study(sampler=sampler).ask())
            if not self.trainings.has(found):
                return found
        return None

    def _again(self, number: int) -> optuna.Trial:
        """Optuna's open trial without params, for which the sampler proposes others."""
        return optuna.Trial(self.study, self._cleared(number))

    def _cleared(self, number: int) -> int:
        """Removes the params of Optuna's trial and returns its id in the storage."""
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, self._trials[number].number)
        frozen = self._storage.get_trial(trial)  # the storage's own, not a copy
        frozen.params, frozen.distributions = {}, {}
        return trial

    def _put(self, number: int, internal: dict[str, Any]) -> None:
        """Replaces the params of Optuna's trial, which may be of another branch of the space."""
        trial = self._cleared(number)
        for name, value in internal.items():
            distribution = self._distributions[name]
            self._storage.set_trial_param(trial, name, distribution.to_internal_repr(value), distribution)

    def _value(self, evaluation: Evaluation) -> float | None:
        """The value that Optuna is told of an evaluation; None if the objective was not measured in it."""
        value = evaluation.metrics.get(self._metric)
        return value if value is None or math.isfinite(value) else self._worst

    def _replay(self, trial: TrialHistory) -> None:
        """Adds a running trial to Optuna's study and reports its evaluations one by one."""
        template = self._template(trial, optuna.trial.TrialState.RUNNING, fixed_params=trial.internal)  # as if enqueued
        trial_id = self._storage.create_new_trial(self._study_id, template)
        self._trials[trial.number], self._heard[trial.number] = optuna.Trial(self.study, trial_id), 0
        trainer = self.experiment.trainer
        ends_at = trainer.phases(trainer.config.model_validate(trial.config)).ends_at
        for index, evaluation in sorted(trial.evaluations.items()):
            self._report(trial.number, evaluation)
            if _was_compared(trial, index, ends_at):  # successive halving notes in the study who reached which rung
                self.study.pruner.prune(self.study, self._storage.get_trial(trial_id))  # should_prune() without copies
        if trial.outcome is not None:
            self._tell(trial)

    def _trained(self, trial: TrialHistory) -> dict[str, Any]:
        """The params that the trial's value is of: for a branch those of the shorter training."""
        branch = trial.best.branch if trial.best is not None else {}
        return self.experiment.space.trained(trial.internal, branch) if branch else trial.internal

    def _frozen(self, trial: TrialHistory) -> optuna.trial.FrozenTrial:
        """A trial that has ended, as Optuna's study would hold it."""
        state = state_of(trial.outcome or Outcome.FAILED)
        curve = sorted((index, e.metrics.get(self._metric)) for index, e in trial.evaluations.items())
        reports = {i: value if math.isfinite(value) else self._worst for i, value in curve if value is not None}
        value = trial.value if state == optuna.trial.TrialState.COMPLETE else None
        if state == optuna.trial.TrialState.PRUNED and reports:
            value = reports[max(reports)]  # `tell` does so
        return self._template(trial, state, value=value, reports=reports)

    def _template(
        self,
        trial: TrialHistory,
        state: optuna.trial.TrialState,
        *,
        value: float | None = None,
        reports: dict[int, float] | None = None,
        **attributes: Any,
    ) -> _Template:
        return _Template(
            number=-1,  # the storage sets the number and the id
            trial_id=-1,
            state=state,
            value=value,
            datetime_start=self._opened,
            datetime_complete=self._opened if state.is_finished() else None,
            params=self._trained(trial),
            distributions={name: self._distributions[name] for name in trial.internal},
            user_attrs={},
            system_attrs=attributes,
            intermediate_values=reports or {},
        )


class _Template(optuna.trial.FrozenTrial):
    """A trial for the storage, which stores a deep copy: params and distributions are immutable and need none."""

    def __deepcopy__(self, memo: dict[int, Any]) -> optuna.trial.FrozenTrial:
        copied = object.__new__(optuna.trial.FrozenTrial)
        for name, value in vars(self).items():
            vars(copied)[name] = value.copy() if isinstance(value, dict | list) else value
        return copied


def state_of(outcome: Outcome) -> optuna.trial.TrialState:
    """Optuna's state for an outcome."""
    return optuna.trial.TrialState[outcome.optuna_state]


def _was_compared(trial: TrialHistory, index: int, ends_at: float) -> bool:
    """Whether `judge` asked the pruner at this evaluation; it has yet to ask at the last one of an unfinished trial."""
    at_end = trial.evaluations[index].progress >= ends_at
    is_last = index == max(trial.evaluations)
    is_due = index > trial.paused_at  # a resumed trial is not judged again where it paused
    return not at_end and not (is_last and is_due and trial.outcome in (None, Outcome.OVERFIT, Outcome.DIVERGED))
