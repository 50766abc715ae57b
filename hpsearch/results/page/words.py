"""What was searched and found, and how sure that is, in sentences."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.confirmation import Confirmation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.results.evidence import band_lines, bands
from hpsearch.results.evidence.caveats import caveats
from hpsearch.results.evidence.comparisons import (
    against_default,
    beaten,
    fresh_margin,
    lead_margin,
    unbeaten,
    unmeasured,
)
from hpsearch.results.evidence.pruning_audit import audit_of
from hpsearch.results.evidence.short_budgets import short_budgets
from hpsearch.results.page.figures import NONE, count, duration, figure, listed, measured, text

WARNING = "warning: "
STATES = {"finished": "finished", "failed": "ended by a failure", "interrupted": "interrupted; it can be resumed"}
MEANING = {
    Outcome.COMPLETED: "trained to its end",
    Outcome.OVERFIT: "its validation loss had turned up; it counts by its best evaluation or its cool-down",
    Outcome.SHORT: "trained to its end at a shorter horizon",
    Outcome.PRUNED: "stopped early: worse than its peers at equal progress",
    Outcome.DIVERGED: "its loss exploded or was not a number",
    Outcome.OUT_OF_MEMORY: "its device had too little memory",
    Outcome.FAILED: "ended by an error; see its reason in the table",
    Outcome.RUNNING: "in training now",
    Outcome.PAUSED: "paused by the policy, which may resume it",
    Outcome.INTERRUPTED: "the run ended first; it counts by its best evaluation so far",
}


@dataclass(frozen=True)
class Card:
    """A figure at the top of the page."""

    name: str
    value: str
    note: str = ""


def state(history: History, *, running: bool) -> str:
    """What the study is doing."""
    if running:
        return "running"
    return STATES.get(history.stopped or "", "interrupted; it can be resumed")


def searched(history: History) -> list[str]:
    """What was searched, on which data, for how long."""
    names = [text(name) for name in unfolded_space(history.space)]
    lower = "lower" if history.direction == "minimize" else "higher"
    said = [
        f"{count(history.configs, 'config')} of {count(len(names), 'hyperparameter')} were tried: {listed(names, 12)}.",
        *filter(None, [_data(history)]),
        f"The objective is {text(history.metric)}: {lower} is better.",
    ]
    if how := _how(history):
        said.append(how)
    held = duration(history.device_seconds)
    said.append(f"The search took {duration(history.seconds)}, and {held} of device time{_budget(history)}.")
    return said


def _data(history: History) -> str:
    sets = history.origin.experiment.get("data") or {}
    sizes = history.origin.data.get("sets") or {}
    named = [
        _set(text(name), section, sizes.get(name)) for name, section in sets.items() if isinstance(section, Mapping)
    ]
    return f"The data: {listed(named)}." if named else ""


def _set(name: str, section: Mapping[str, Any], splits: Mapping[str, Any] | None) -> str:
    train = ((splits or {}).get("train") or {}).get("tokens")
    kind = text(section.get("task", "data"))
    return f"{name} ({kind}{f', {train:,} training tokens' if isinstance(train, int) else ''})"


def _how(history: History) -> str:
    experiment = history.origin.experiment
    search = experiment.get("search") or {}
    policy, pruner = search.get("policy", ""), (search.get("pruner") or {}).get("name", "")
    if policy and policy != "optuna":
        return f"The policy {text(policy)} chose the configs."
    if not search.get("sampler"):
        return ""
    stopped = sum(trial.outcome is Outcome.PRUNED for trial in history.trials.values())
    given = sum(bool(trial.label) for trial in history.longest())  # the default config, first and enqueued ones
    drawn = history.configs - given
    chose = [f"The sampler {text(search['sampler'])} chose {count(drawn, 'config')}."] if drawn > 0 else []
    stops = [f"{text(pruner).replace('_', ' ').capitalize()} stopped {stopped} early."] if stopped else []
    return " ".join([*chose, *stops])


def _budget(history: History) -> str:
    units = {"trials": "trials", "hours": "hours", "device_hours": "device-hours", "money": "money"}
    known = {**(history.origin.experiment.get("budget") or {}), **history.extension}
    limits = [f"{figure(known[name], 3)} {unit}" for name, unit in units.items() if known.get(name)]
    return f"; the budget was {listed(limits)}" if limits else ""


def found(history: History) -> list[str]:
    """What was found: the winner, beside the default config and the baselines."""
    best = history.leader()
    if best is None:
        return ["No trial has a value yet, so there is no winner."]
    at = f" at epoch {figure(best.best.epoch, 3)}" if best.best and best.best.epoch else ""
    ended = _ending(best)
    said = [f"The best config is {_named(best)}: {text(history.metric)} {measured(best.value)}{at}{ended}."]
    return [*said, *(_sentence(line) for line in (against_default(history), beaten(history)) if line)]


def _named(trial: TrialHistory) -> str:
    return f"trial {trial.number}" + (f" ({trial.stage})" if trial.stage else "")


def _ending(best: TrialHistory) -> str:
    if best.cut is not None:
        return f"; it was {best.ending} of its training, so that it had a value in time"
    if best.best is not None and best.best.branch:
        return ", at the end of its cool-down"
    if best.outcome is Outcome.OVERFIT:
        return ", before it began to overfit"
    return ". It has not ended: this is its best evaluation so far" if best.outcome is Outcome.UNFINISHED else ""


def certainty(history: History) -> list[str]:
    """How sure that is: fresh seeds, ties, optimism, what the pruner may have missed."""
    if history.leader() is None:
        return []
    confirmed = history.confirmation
    said = list(_unconfirmed(history)) if confirmed is None else list(_confirmed(history, confirmed))
    return [*said, *_audited(history)]


def _unconfirmed(history: History) -> Iterator[str]:
    counted = len(history.ranked(unfinished=True))
    yield (
        f"This value is of one seed, and the best of {count(counted, 'trial')} with a final value: chosen for being "
        f"the best, it is flattered. hpsearch confirm {text(history.study)} trains the best trials with fresh seeds."
    )
    if tied := history.tied(history.leader()):  # type: ignore[arg-type]
        yield f"Its value is exactly that of {count(len(tied), 'other trial')}."


def _confirmed(history: History, found: Confirmation) -> Iterator[str]:
    winner = found.winner
    yield (
        f"The best {count(len(found.finalists), 'trial')} were trained again with fresh seeds, and the winner was "
        f"chosen by these alone. Its mean over {count(len(winner.values), 'seed')} is {_mean(found)}"
        f"{' (95% interval)' if found.margin(winner) is not None else ''}."
    )
    if found.tied:
        names = listed([f"trial {n}" for n in found.tied])
        within = "are equal" if found.sigma is None else "differ by less than the noise between seeds"
        yield f"It cannot be told from {names}: their means {within}."
    if found.sigma is None:
        yield _sentence(unmeasured(history))
    elif not found.tied and len(found.finalists) > 1:
        yield "The other finalists are worse by more than the noise between seeds."
    better = "better" if found.optimism >= 0 else "worse"
    if measured(found.searched) == measured(found.winner.mean):
        yield "The search's best value was this mean."
    elif math.isfinite(found.optimism):
        yield f"The search's best value was {figure(abs(found.optimism), 2)} {better} than this mean."


def _mean(found: Confirmation) -> str:
    margin = found.margin(found.winner)
    return measured(found.winner.mean) + ("" if margin is None else f" ± {figure(margin, 2)}")


def _audited(history: History) -> Iterator[str]:
    found = audit_of(history)
    if found is None:
        return
    low, high = found.interval
    yield (
        f"Of {count(found.stopped, 'stopped trial')}, {len(found.audited)} were trained to their end afterwards: "
        f"{found.better} would have beaten the winner (95% interval: {low:.0%} to {high:.0%} of all such trials)."
    )


def warnings(history: History) -> list[str]:
    """What is doubtful, a sentence each."""
    lines = [*caveats(history), *unbeaten(history), *band_lines.at_edges(bands.of(history))]
    lines += [line.removeprefix(WARNING) for line in short_budgets(history)]
    lines += [*history.baselines_failed, *history.warnings]
    failed = [trial for trial in history.trials.values() if trial.outcome is Outcome.FAILED]
    if failed:
        lines.append(f"{count(len(failed), 'trial')} failed; the first: {_named(failed[0])}: {failed[0].reason}")
    return [_sentence(line, _names(history)) for line in lines]


def good_values(history: History) -> list[str]:
    """What the good values of the hyperparameters rest on, and which of these seem not to matter."""
    found = bands.of(history)
    if not found.bands:
        return []
    how = bands.source(found.assumed, found.repeats) or "measured by fresh seeds"
    assumed = f" (sigma {figure(found.sigma, 2)}, {how})"
    near = (
        f"those of the {count(found.good, 'trial')} within two sigma of the best"
        if found.good > 1
        else ("unknown, because no other trial is within two sigma of the best")
    )
    return [
        _sentence(line, _names(history)) for line in (f"Good values: {near}{assumed}", *band_lines.on_effects(found))
    ]


def _names(history: History) -> set[str]:
    """The names that a line may begin with."""
    return {*history.space, *unfolded_space(history.space)}


def _sentence(line: str, names: Collection[str] = ()) -> str:
    """A line as a sentence; the name of a hyperparameter, and a key or a file (data.sms:), stay as they are."""
    cleaned = text(line).strip()
    first = cleaned.split(" ", 1)[0].strip(":,")
    begin = cleaned[:1] if first in names or re.search(r"\w[._/]\w", first) else cleaned[:1].upper()
    return begin + cleaned[1:] + ("" if cleaned.endswith((".", "!", "?")) else ".")


def cards(history: History, *, running: bool) -> list[Card]:
    """The figures at the top."""
    best, confirmed = history.leader(), history.confirmation
    value = Card(text(history.metric), NONE, "no value yet")
    if best is not None:
        note = f"trial {best.number}, one seed"
        value = Card(text(history.metric), measured(best.value), note)
        if confirmed is not None:
            seeds = f"trial {best.number}, {count(len(confirmed.winner.values), 'fresh seed')}"
            value = Card(text(history.metric), _mean(confirmed), seeds)
    return [value, _lead(history), _outcomes(history), _time(history, running=running)]


def _lead(history: History) -> Card:
    best, default, name = history.leader(), history.default(), "lead over the default"
    if default is not None and (again := _lead_by_seeds(history, default.number)):
        return Card(name, again, f"trial {default.number}, by fresh seeds")
    place = None if default is None else history.best_place(default.number)
    if best is None or default is None or place is None:
        return Card(name, NONE, "not measured" if default is None else f"trial {default.number}: {default.status}")
    if best.number == default.number:
        return Card("winner", f"trial {best.number}", "it is the default config")
    gap = number(best.value) - place.value
    gap = -gap if history.direction == "minimize" else gap
    open_ = "" if default.is_whole else f", {default.ending or default.status}"
    found = lead_margin(history, best, default)
    by = "" if found is None else f" ± {figure(found, 2)}"
    return Card(name, figure(gap, 3) + by, f"trial {default.number}: {measured(place.value)}{open_}")


def _lead_by_seeds(history: History, default: int) -> str:
    """The lead by fresh seeds of both; empty if the default config was not trained again, or is the winner."""
    found = history.confirmation
    theirs = None if found is None else found.of(default)
    if found is None or theirs is None or theirs is found.winner:
        return ""
    gap = (theirs.mean - found.winner.mean) * (1 if found.minimize else -1)
    margin = fresh_margin(history, found, theirs)
    return figure(gap, 3) + ("" if margin is None else f" ± {figure(margin, 2)}")


def _outcomes(history: History) -> Card:
    counts = Counter(trial.kind for trial in history.trials.values())
    note = ", ".join(f"{n} {name}" for name, n in counts.most_common())
    return Card("trials", f"{len(history.trials):,}", note or "none yet")


def _time(history: History, *, running: bool) -> Card:
    repeats = len(history.repeats)
    again = f", {count(repeats, 'repeat')} with fresh seeds or audits" if repeats else ""
    return Card("device time", duration(history.device_seconds), f"{'running' if running else 'of all trials'}{again}")
