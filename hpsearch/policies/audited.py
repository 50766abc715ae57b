"""The policy of an audit: the next trial of the sample, trained to its end as if there were no pruner."""

from __future__ import annotations

import math

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.curve_rules import CurveRules
from hpsearch.policies.policy import Decision, Judgement, New, Nothing
from hpsearch.results.evidence.pruning_audit import sample, stopped
from hpsearch.space.experiment import Experiment
from hpsearch.system.user_modules import PREFIX
from hpsearch.verdict import Verdict

NOTHING = "no trial was pruned or is paused: there is nothing to audit"


class AuditedPolicy:
    """Proposes the audits that the study lacks; asks no other policy, and proposes no trial of the search."""

    def __init__(self, experiment: Experiment) -> None:
        search = experiment.search
        self._seed, self._size = experiment.seed, experiment.audits
        own = search.policy.startswith(PREFIX)  # what it stops for is unknown
        self._rules = None if own else CurveRules(search.overfitting, experiment.trainer)

    def next(self, history: History) -> Decision:
        """Returns the next audit of the sample, with the seed of its trial."""
        for number in sample(history, self._seed, self._size):
            trial = history.trials.get(number)
            if trial is not None and number not in history.audits:
                return New(trial.params, seed=trial.config.get("seed"), repeats=number, audit=True)
        return Nothing("" if history.audits or stopped(history) else NOTHING)

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Judges by the trial's own curve, as the search does: a trial that overfits or diverges ends.

        Where the search has a policy of the user's own, only a loss that is not finite ends it.
        """
        if self._rules is not None:
            return self._rules.judge(history, trial)
        return not_finite(history, trial)


def not_finite(history: History, trial: TrialHistory) -> Judgement:
    """Returns DIVERGED if a loss or the objective is not a finite number, else CONTINUE."""
    latest = trial.evaluations[max(trial.evaluations)]
    for name in ("val/loss", history.metric):
        if not math.isfinite(latest.metrics.get(name, 0.0)):
            return Judgement(Verdict.DIVERGED, f"{name} at evaluation {latest.index} is not a finite number")
    return Judgement()
