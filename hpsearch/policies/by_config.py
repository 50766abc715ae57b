"""The history of a search over horizons by configs: one trial for each config, its curve the values of its horizons."""

from __future__ import annotations

import math
from dataclasses import replace

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.horizons import place
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.journal.warm import Warm
from hpsearch.outcome import Outcome
from hpsearch.space.experiment import Experiment


class ByConfig:
    """A history in which each config is one trial, kept from one call to the next; it follows from the real one.

    A config pauses when its training at a horizon has ended, and resumes with the training at the next one. Its params
    and its config are those of the whole horizon.
    """

    configs: History
    _seen: int  # trials of the real history
    _ended: int  # of those

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._reset(History())

    def of(self, history: History) -> History:
        """Returns the history by configs; the same object as long as it is asked about the same history."""
        if history is not self._history:
            self._reset(history)
        self.configs.allowed_trials, self.configs.origin = history.allowed_trials, history.origin
        self.configs.searched, self.configs.last, self.configs.driver = history.seconds, history.last, history.driver
        self.configs.devices, self.configs.extension = history.devices, history.extension
        self.configs.warm = {name: _final(warm) for name, warm in history.warm.items()}
        for number in range(self._seen, len(history.trials)):
            self._asked(history.trials[number])
        self._seen = len(history.trials)
        for number in history.finished[self._ended :]:
            self._finished(history.trials[number])
        self._ended = len(history.finished)
        return self.configs

    def first(self, config: int) -> int:
        """The number of the first trial of a config."""
        return self._first[config]

    # --------------------------------------------------------------------------------------------------------- inwards

    def _reset(self, history: History) -> None:
        self._history, self._seen, self._ended = history, 0, 0
        self.configs = History(
            study=history.study, metric=history.metric, direction=history.direction, warm=history.warm
        )
        self._first: list[int] = []  # config -> its first trial
        self._config: dict[int, int] = {}  # trial -> its config
        self._latest: dict[int, TrialHistory] = {}  # config -> the trial of its longest horizon

    def _asked(self, trial: TrialHistory) -> None:
        """Adds a trial: a new config, or a longer horizon of one, which resumes."""
        if trial.of is None:
            number = len(self._first)
            self._first.append(trial.number)
            config = self._experiment.config(trial.internal).model_dump(mode="json") if trial.config else {}
            self.configs.trials[number] = TrialHistory(
                number, params=trial.params, internal=trial.internal, config=config, label=trial.label
            )
        else:
            number = self._config[trial.of]
            self.configs.trials[number].paused = False
        self._config[trial.number], self._latest[number] = number, trial

    def _finished(self, trial: TrialHistory) -> None:
        """Adds the value of a horizon; the config pauses, or ends with its last training."""
        number = self._config[trial.number]
        config = self.configs.trials[number]
        if config.outcome is not None:
            return  # it was trained at the whole horizon meanwhile
        if trial.outcome is Outcome.SHORT or trial.counts or trial.outcome is Outcome.DIVERGED:
            self._measured(config, trial)
        if trial.outcome is not Outcome.SHORT:
            config.outcome, config.value, config.best = trial.outcome, trial.value, trial.best
            self.configs.finished.append(number)
        elif self._latest[number] is trial:
            config.paused, config.paused_at = True, place(trial.horizon)

    def _measured(self, config: TrialHistory, trial: TrialHistory) -> None:
        index = place(trial.horizon)
        lost = trial.value is None or trial.outcome is Outcome.DIVERGED
        value = math.nan if trial.value is None or lost else trial.value
        config.evaluations[index] = Evaluation(
            index=index,
            step=index,
            progress=trial.horizon,
            metrics={self.configs.metric: value},
            seconds=trial.seconds,
        )


def _final(warm: Warm) -> Warm:
    """What was learnt from another study, without curves: their evaluations are those of a training."""
    return replace(warm, trials=tuple(replace(trial, evaluations={}) for trial in warm.trials if trial.counts))
