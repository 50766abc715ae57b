"""Horizon shift: a policy's configs are tried in short trainings first, shifted to their horizon by the trainer.

The policy decides about configs as about trials that pause (promotion.py): it sees one trial for each config, whose
curve has the final values at the horizons (by_config.py), and what it resumes is trained again, three times as long.
Each of these trainings is a trial of its own here. Only those of the whole horizon can win.
"""

from __future__ import annotations

from hpsearch.journal.history import History
from hpsearch.journal.horizons import HORIZONS, horizon_at
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.budget.spending import extended, left
from hpsearch.policies.by_config import ByConfig
from hpsearch.policies.curve_rules import CurveRules
from hpsearch.policies.policy import Decision, GoOn, Judgement, New, Nothing, Policy
from hpsearch.space.experiment import Experiment

MARGIN = 1.2  # times the expected duration of a whole training: paces vary


class Horizons:
    """Tries the configs of a policy at HORIZONS; a pure function of the history."""

    def __init__(self, experiment: Experiment, policy: Policy) -> None:
        """`policy`: pauses its trials at evaluations `place(horizon)`, or trains them at the whole horizon at once."""
        self.policy = policy
        self._rules = CurveRules(experiment.search.overfitting, experiment.trainer)
        self._by_config = ByConfig(experiment)
        self._budget = experiment.budget

    def next(self, history: History) -> Decision:
        """Returns a training of a new config, or of a known one at the next horizon."""
        if (trial := self._last_chance(history)) is not None:
            return _longer(trial, HORIZONS[-1])
        decision = self.policy.next(self._by_config.of(history))
        if isinstance(decision, Nothing) and (trial := _missing(history)) is not None:
            return _longer(trial, HORIZONS[-1])
        if isinstance(decision, GoOn):
            first = history.trials[self._by_config.first(decision.trial)]
            return _longer(first, horizon_at(decision.until))
        if isinstance(decision, New):
            horizon = horizon_at(decision.until)
            return New(decision.params, seed=decision.seed, label=decision.label, horizon=horizon)
        return decision

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Ends a training that diverged or overfits: every other one is trained out."""
        return self._rules.judge(history, trial)

    # --------------------------------------------------------------------------------------------------------- inwards

    def _last_chance(self, history: History) -> TrialHistory | None:
        """The best config at the longest horizon, if the time is just enough to train it whole and none has been.

        Without a training at the whole horizon there would be no winner.
        """
        if any(_may_win(trial) for trial in _whole(history)):
            return None
        best = _best_short(history)
        if best is None:
            return None
        budget = extended(self._budget, history)
        time = left(budget, seconds=history.seconds, device_seconds=history.device_seconds)
        return best if MARGIN * best.seconds / best.horizon >= time.on(history.devices.spending) else None


def _missing(history: History) -> TrialHistory | None:
    """The best short training, if all of them have ended and the search has trained no config longer to the whole.

    What a policy predicts of the whole horizon rests on configs that were trained at both, and there are none.
    """
    if any(trial.outcome is None for trial in history.trials.values() if trial.horizon < 1):
        return None
    has_longer = any(trial.of is not None and _may_win(trial) for trial in _whole(history))
    return None if has_longer else _best_short(history)


def _best_short(history: History) -> TrialHistory | None:
    """The best training at the longest shorter horizon, of a config that was not trained whole."""
    return history.best_short(without={_first(trial) for trial in _whole(history)})


def _whole(history: History) -> list[TrialHistory]:
    return [trial for trial in history.trials.values() if trial.horizon == 1]


def _may_win(trial: TrialHistory) -> bool:
    return trial.outcome is None or trial.counts


def _first(trial: TrialHistory) -> int:
    """The trial that first tried a trial's config."""
    return trial.number if trial.of is None else trial.of


def _longer(trial: TrialHistory, horizon: float) -> New:
    return New(trial.params, horizon=horizon, of=_first(trial))
