"""What the terminal and the notebook say of a search in the same words, as plain text."""

from __future__ import annotations

import math

from rich.cells import cell_len
from rich.text import Text

from hpsearch.displays.frame import params as fitting
from hpsearch.displays.live.state import telling
from hpsearch.displays.text import inline, named, params, plain
from hpsearch.events import Interrupted, Measured, Opened, Paused, Started
from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome, in_words
from hpsearch.output.digits import digits
from hpsearch.policies.budget.spending import extended, limits, raised, said
from hpsearch.space.priors import description


def head(event: Opened) -> list[str]:
    """Describes the study, its data and workers, and the trials of earlier runs."""
    experiment, history = event.experiment, event.history
    confirm, wanted = experiment.search.confirm, limits(extended(experiment.budget, history))
    if not experiment.searches:
        wanted = [f"training the best {confirm.top} trials again, fresh seeds each: {confirm.seeds}"]
    if experiment.audits:
        wanted = [f"an audit of {experiment.audits} of the trials that were pruned or are paused"]
    goal = f"{history.direction} {experiment.objective.metric}"
    priors = description(experiment, history.origin.data.get("sets", {}))
    ranges = ", ".join(unfolded_space(experiment.space.describe())) or "nothing (one training)"
    return [
        f"study {history.study} in {event.folder}: {' and '.join(wanted)}, {goal}",
        *(f"  {line}" for line in event.data),
        *([f"  searching {ranges}", *([f"  {priors}"] if priors else [])] if experiment.searches else []),
        f"  workers: {_workers(event)}",
        *_resumed(event),
    ]


def _workers(event: Opened) -> str:
    each = event.experiment.resources.trials_per_worker
    named = ", ".join(f"{s.device} ({s.threads} thread{'s' * (s.threads > 1)})" for s in event.workers)
    return named if each == 1 else f"{named}; up to {each} trials each"


def _resumed(event: Opened) -> list[str]:
    history = event.history
    if not history.trials:
        return []
    if not event.experiment.searches:
        return []
    paused = sum(trial.paused for trial in history.trials.values())
    budget = event.experiment.budget
    spent, more = said(extended(budget, history), history), raised(budget, history)
    return [
        *([f"  hpsearch extend has raised {more}"] if more else []),
        f"  resuming: {len(history.finished)} finished, {event.waiting} interrupted, {paused} paused",
        f"  spent so far: {spent}",
    ]


def started(event: Started) -> str:
    """Names a trial in training: its number, its attempt if it is not the first, its horizon, its params."""
    attempt = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    return f"{named(event.trial)}{attempt}  {params(event.trial)}"


def value(event: Measured, metric: str) -> str:
    """The latest value of a metric."""
    return digits(event.evaluation.metrics.get(metric, math.nan))


def stopped(event: Paused | Interrupted) -> str:
    """Says in one line that a trial was paused or interrupted, and why."""
    return f"{event.trial.name} {type(event).__name__.lower()}: {event.reason}"


def finished(trial: TrialHistory, metric: str, *, see: str = "") -> str:
    """Says how a trial ended, in one line of markup of any length; see: the file with its error, if it has one."""
    outcome = f"[{trial.status.colour}]{in_words(trial.status, trial.ending)}[/]"
    value = f" {metric} {digits(trial.value)}" if trial.value is not None else ""
    at = f" at epoch {trial.best.epoch:.3g}" if trial.best and trial.best.epoch else ""
    words = f"[dim]{plain(params(trial))}[/]"
    file = f"; see {plain(see)}" if see else ""
    return f"{named(trial)} finished: {outcome}{value}{at}, {trial.seconds:.0f} s  {words}{_why(trial)}{file}"


def finished_in(
    trial: TrialHistory, width: int, default: TrialHistory | None, cut: str, *, is_best: bool = False
) -> str:
    """The same in one line of a terminal; params that do not fit are left out, those like the default's first."""
    value = "" if trial.value is None else f"  {digits(trial.value)}"
    best = " best" if is_best else ""
    at = f" at epoch {trial.best.epoch:.3g}" if trial.best and trial.best.epoch else ""
    text = Text.assemble(f"{named(trial)} ", (trial.said, trial.status.colour))
    text.append(value, style="bold").append(best, style="green").append(f"{at}, {trial.seconds:.0f} s")
    why = inline(_why(trial))
    left = width - text.cell_len - 2 - min(cell_len(why), width // 2)
    text.append(f"  {fitting(telling(trial.told_params, default), left)}".rstrip(), style="dim").append(why)
    if text.cell_len > width:
        text.truncate(width - 1)
        text.append(cut)
    return text.markup


def _why(trial: TrialHistory) -> str:
    return f": {plain(trial.reason)}" if trial.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY) else ""
