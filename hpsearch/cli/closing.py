"""The lines after a search: an unusual winner, paused trials, what is spent, and how to extend the budget."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from hpsearch.displays.text import error_file
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.launchers.devices import could_share
from hpsearch.outcome import Outcome, in_words
from hpsearch.output.digits import digits
from hpsearch.policies.budget.spending import Limit, extended, said, spent
from hpsearch.results.evidence import idle_gpus
from hpsearch.space.experiment import Experiment

OPTIONS = {"trials": "--trials", "hours": "--hours", "device_hours": "--device-hours", "money": "--money"}


def closing(history: History, experiment: Experiment, *, more: str) -> Iterator[str]:
    """Yields the lines below the closing table; `more`: the command that extends the study, without its options."""
    best = history.leader()
    if best is None:
        if not history.is_fruitless:  # else an error says why
            yield _why_no_winner(history)
    elif best.outcome is Outcome.UNFINISHED:
        yield f"the winner has not ended and counts by its best evaluation so far: {named(history, best)}"
    elif best.outcome is Outcome.SHORT:
        yield f"no config was trained at its whole horizon; the winner is the shorter training {named(history, best)}"
    if paused := sum(trial.paused for trial in history.trials.values()):
        yield _paused(paused, history, experiment)
    if experiment.searches:
        yield _spent(history, experiment, more=more)
    yield from _idle_gpus(history, experiment)


def why_fruitless(history: History, folder: Path) -> str:
    """Says why no trial of a search that has ended has a value: the outcomes, the most common error and its file.

    folder: the study's.
    """
    outcomes = Counter(trial.status.replace("_", " ") for trial in history.trials.values())
    counts = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.most_common())
    return f"no winner: no trial has a value ({counts}){_most_common_cause(history, folder)}"


def _most_common_cause(history: History, folder: Path) -> str:
    """The most common reason of the trials that failed, or else of those that were not pruned."""
    trials = [trial for trial in history.trials.values() if trial.reason and trial.outcome is not Outcome.PRUNED]
    trials = [trial for trial in trials if trial.outcome is Outcome.FAILED] or trials
    if not trials:
        return ""
    [(reason, _)] = Counter(trial.reason for trial in trials).most_common(1)
    first = next(trial for trial in trials if trial.reason == reason)
    file = error_file(folder, first)
    return f"; trial {first.number}: {reason}" + (f"; see {file}" if file else "")


def _paused(paused: int, history: History, experiment: Experiment) -> str:
    """What the paused trials are: given up, if our own policy has trained out all that may win."""
    search, best, trials = experiment.search, history.leader(), history.trials.values()
    is_over = history.room == 0 and all(trial.outcome is not None or trial.paused for trial in trials)
    is_ours = search.policy == "optuna" and search.pruner.name == "promotion"
    if is_ours and is_over and best is not None and best.counts:
        return f"trials resumed no further: {paused} (paused); by their curves, none would beat the winner"
    return f"trials paused: {paused}; each counts by its best evaluation so far"


def _spent(history: History, experiment: Experiment, *, more: str) -> str:
    """What is spent of the budget, and the command that gives it more if it is spent."""
    budget = extended(experiment.budget, history)
    reached = [limit for limit in spent(budget, history) if limit.is_reached or _is_kept(limit, history)]
    unfinished = [trial for trial in history.everything.values() if trial.outcome is None and not trial.audits]
    waiting = sum(not trial.paused for trial in unfinished)
    interrupted = f"; trials interrupted: {waiting}" if waiting else ""
    if history.is_fruitless:
        return f"spent: {said(budget, history)}"
    add = f"; to add as much again: {more} {more_of(reached)}" if reached else ""
    return f"spent: {said(budget, history)}{interrupted}{add}"


def more_of(reached: Iterable[Limit]) -> str:
    """The options of `hpsearch extend` that raise these limits by as much again."""
    return " ".join(f"{OPTIONS[limit.name]} {_more(limit)}" for limit in reached)


def _idle_gpus(history: History, experiment: Experiment) -> Iterator[str]:
    """Says that trials could have shared the GPUs, if those were idle most of the time."""
    trials = [trial for trial in history.everything.values() if trial.device.startswith("cuda")]
    devices = {trial.device for trial in trials}
    if len(trials) <= len(devices) or not could_share(experiment.resources, len(devices)):
        return
    measured = [evaluation for trial in trials for evaluation in trial.measured]
    peak = max((evaluation.peak_memory for evaluation in measured), default=0)
    size = min((evaluation.device_memory for evaluation in measured), default=0)
    percent = idle_gpus.busy([*trial.evaluations.values()] for trial in trials)
    if said := idle_gpus.idle(percent, peak=peak, size=size):
        yield f"{said}; {idle_gpus.REMEDY}"


def _is_kept(limit: Limit, history: History) -> bool:
    """Whether the search has ended because the rest of this limit was for the confirmation."""
    return history.closed and limit.name != "trials"


def _more(limit: Limit) -> str:
    """As much again; of hours that are far overdrawn, as much as was spent."""
    return f"{limit.total:g}" if limit.name == "trials" else f"{max(limit.total, limit.spent):.2g}"


def named(history: History, trial: TrialHistory) -> str:
    """Names a trial by its number, state, value and best epoch."""
    at = f" at epoch {trial.best.epoch:.3g}" if trial.best and trial.best.epoch else ""
    status = in_words(history.trials[trial.number].status, trial.ending)
    value = math.nan if trial.value is None else trial.value
    return f"trial {trial.number} ({status}), {history.metric} {digits(value)}{at}"


def _why_no_winner(history: History) -> str:
    trials = history.trials.values()
    if any(trial.evaluations or trial.outcome is not None for trial in trials):
        return f"no winner yet: no trial has completed or measured a finite {history.metric}"
    return (
        f"no winner yet: no trial was evaluated in {history.seconds / 60:.2g} minutes; "
        "allow more hours, a smaller model or more evaluations (evaluation.times)"
    )
