"""Policies of tests, as modules that a space file can name: `write(folder)` puts one beside it.

Pauses every trial at each of its evaluations, and resumes the one that came least far; Optuna decides all else.
"""

from hpsearch import GoOn, Judgement, Verdict
from hpsearch.policies.optuna.policy import OptunaPolicy

TOGETHER = 2  # trials that are paused at once, before one of them is resumed


class Pausing:
    """Judges at evaluations 1, 3 and later (the last one too) to pause; at 2 the search pauses by `until`."""

    def __init__(self, experiment):
        self.optuna = OptunaPolicy(experiment)

    def next(self, history):
        paused = sorted((t for t in history.trials.values() if t.paused), key=lambda t: (t.paused_at, t.number))
        if not paused or (history.room and len(paused) < TOGETHER):
            return self.optuna.next(history)
        return GoOn(paused[0].number, until=2 if paused[0].paused_at == 1 else None)

    def judge(self, history, trial):
        found, index = self.optuna.judge(history, trial), max(trial.evaluations)
        if found.verdict is Verdict.CONTINUE and index != 2:
            return Judgement(Verdict.PAUSE, f"every trial pauses at evaluation {index}")
        return found


make = Pausing
