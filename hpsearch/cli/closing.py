"""The lines after a search: an unusual winner, paused trials, and how to extend a budget that was too small."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.space.experiment import Experiment


def closing(history: History, experiment: Experiment, *, idle: bool, again: str) -> Iterator[str]:
    """Yields the lines below the closing table; `idle`: there was nothing to do; `again`: the command that resumes."""
    best = history.leader()
    if best is None:
        yield _why_no_winner(history)
    elif best.outcome is Outcome.UNFINISHED:
        yield f"the winner has not ended and counts by its best evaluation so far: {named(history, best)}"
    if paused := sum(trial.paused for trial in history.trials.values()):
        yield f"trials paused: {paused}; each counts by its best evaluation so far"
    interrupted = sum(trial.outcome is None and not trial.paused for trial in history.trials.values())
    waiting = interrupted + paused
    budget = experiment.budget
    if budget.hours is not None and history.seconds >= budget.hours * 3600 and (waiting or idle):
        stopped = f", trials interrupted: {interrupted}" if interrupted else ""
        more = 2 * max(budget.hours, history.seconds / 3600)  # the time spent may exceed the budget
        yield f"the budget of {budget.hours:g} h is spent{stopped}; with more: {again} --hours {more:.2g}"
    elif idle and budget.trials is not None and len(history.trials) >= budget.trials:
        yield f"the budget of {budget.trials} trials is spent; with more: {again} --trials {2 * budget.trials}"


def named(history: History, trial: TrialHistory) -> str:
    """Names a trial by its number, state, value and best epoch."""
    at = f" at epoch {trial.best.epoch:.3g}" if trial.best and trial.best.epoch else ""
    return f"trial {trial.number} ({history.trials[trial.number].status}), {history.metric} {trial.value:.6g}{at}"


def _why_no_winner(history: History) -> str:
    trials = history.trials.values()
    if any(trial.evaluations or trial.outcome is not None for trial in trials):
        return f"no winner yet: no trial has completed or measured a finite {history.metric}"
    return (
        f"no winner yet: no trial was evaluated in {history.seconds / 60:.2g} minutes; "
        "allow more hours, a smaller model or more evaluations (evaluation.times)"
    )
