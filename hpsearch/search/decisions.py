"""A policy's decisions, recorded in the study before the search obeys them."""

from __future__ import annotations

from hpsearch.policies.budget.saturation import saturation
from hpsearch.policies.policy import ENQUEUED, Decision, GoOn, Judgement, New, Nothing, Policy
from hpsearch.search.study import Study
from hpsearch.system import failpoints
from hpsearch.verdict import Verdict


class Decisions:
    """What a policy decides in one study, within the study's budget."""

    def __init__(self, study: Study, policy: Policy) -> None:
        self._study, self._policy = study, policy
        self.reason = ""  # why the policy had nothing to train when it was asked last
        self.is_ending = False  # nothing begins or resumes but what people enqueue, and the confirmation

    def has_next(self) -> bool:
        """Whether the policy has a trial for a free worker."""
        return not isinstance(self._next(), Nothing)

    def next_trial(self) -> int | None:
        """Records the policy's next trial and returns its number; None: no trial for now."""
        failpoints.hit("before_ask")
        decision = self._next()
        if isinstance(decision, New):
            number = self._study.accept(decision)
            failpoints.hit("after_ask")
            return number
        if isinstance(decision, GoOn):
            self._study.resume(decision.trial, until=decision.until)
            return decision.trial
        return None

    def judge(self, number: int) -> Judgement:
        """Returns the policy's judgement of a trial's latest evaluation; PAUSE if it has reached its `until`."""
        history, trial = self._study.history, self._study.history.trial(number)
        judgement = self._policy.judge(history, trial)
        if judgement.verdict is not Verdict.CONTINUE or trial.until is None:
            return judgement
        if max(trial.evaluations, default=0) >= trial.until:
            return Judgement(Verdict.PAUSE, f"it was to train to evaluation {trial.until}")
        return judgement

    def _next(self) -> Decision:
        """Returns the policy's decision; Nothing in place of a new trial beyond the budget."""
        history, stop = self._study.history, self._saturated()
        ending = self.is_ending and not history.closed
        if ending and not history.waiting():
            return Nothing()
        decision = self._policy.next(history)
        if ending and not (isinstance(decision, New) and decision.label == ENQUEUED):
            return Nothing()
        if isinstance(decision, New) and decision.repeats is None and decision.of is None and history.room == 0:
            decision = Nothing()
        self.reason = (stop or decision.reason) if isinstance(decision, Nothing) else ""
        return decision

    def _saturated(self) -> str:
        """Why `search.stop` ends the search, as if the budget had no further trial; empty if it does not."""
        history, stop = self._study.history, self._study.experiment.search.stop
        if not stop.enabled or history.closed:
            return ""
        found = saturation(history, stop)
        is_over = found is not None and found.is_reached
        history.allowed_trials = len(history.trials) if is_over else self._study.budget.trials
        return str(found) if is_over else ""
