"""Any policy, followed by a confirmation: the best trials are trained again with fresh seeds."""

from __future__ import annotations

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.audited import not_finite
from hpsearch.policies.finalists import missing, plan
from hpsearch.policies.policy import Decision, Judgement, New, Nothing, Policy
from hpsearch.space.experiment import Experiment


class ConfirmedPolicy:
    """Passes on what a policy decides; proposes repeats of the best trials once that one has nothing left.

    The policy never sees a repeat: `history.trials` has none.
    """

    def __init__(self, policy: Policy, experiment: Experiment) -> None:
        self.policy, self._seed, self._confirm = policy, experiment.seed, experiment.search.confirm

    def next(self, history: History) -> Decision:
        """Returns the policy's decision, or a repeat if the search is over and one is missing."""
        decision = Nothing() if history.closed else self.policy.next(history)
        if isinstance(decision, New) and decision.of is None and history.room == 0:
            decision = Nothing()
        if not isinstance(decision, Nothing) or not _is_searched(history):
            return decision
        found = missing(history, plan(history, self._confirm), self._seed)
        if found is None:
            return decision
        trial, seed = found
        return New(history.trials[trial].params, seed=seed, repeats=trial)

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns the policy's judgement; a repeat is trained to its end unless a loss is not finite."""
        if trial.confirms is None:
            return self.policy.judge(history, trial)
        return not_finite(history, trial)


def _is_searched(history: History) -> bool:
    """Whether no trial of the search is in training or will be resumed at once."""
    return history.closed or all(trial.outcome is not None or trial.paused for trial in history.trials.values())
