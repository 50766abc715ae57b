"""What MLflow's pages say of a trial and of a study in words: Markdown for the tag `mlflow.note.content`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from hpsearch.results.evidence.caveats import at_chance
from hpsearch.results.evidence.comparisons import against_default, beaten, unbeaten
from hpsearch.views.mlflow.rows import describe_range

NOTE = "mlflow.note.content"
FILES = ("report.html", "best.yaml", "space.yaml", "history.png")  # artifacts of the study's run that are linked
LONGEST = 4900  # characters: a tag holds 5,000
LONGEST_REASON = 1000
SPECIAL = re.compile(r"([\\`*\[\]]|\b_|_\b|~~)")  # what Markdown gives a meaning inside a line
LABELS = {"default": "It is the default config, what published rules recommend.", "enqueued": "A person enqueued it."}
HOW = {
    Outcome.COMPLETED: "Trained to its end",
    Outcome.OVERFIT: "Stopped because it overfits; it counts by its best evaluation and can win",
    Outcome.SHORT: "Trained out at a shorter horizon, which says what to train longer; it cannot win",
    Outcome.PRUNED: "Pruned",
    Outcome.DIVERGED: "Diverged; it cannot win",
    Outcome.OUT_OF_MEMORY: "Ran out of memory; it cannot win",
    Outcome.FAILED: "Failed",
    Outcome.PAUSED: "Paused by the policy, which may resume it",
    Outcome.INTERRUPTED: "Interrupted; it counts by its best evaluation so far, and a run of the study resumes it",
}


def of_trial(history: History, trial: TrialHistory, *, winner: bool = False) -> str:
    """Says how a trial ended or why it stands still, and its best value; a table shows it without its markup."""
    return " ".join(_about(history, trial, winner))[:LONGEST]


def _about(history: History, trial: TrialHistory, winner: bool) -> Iterator[str]:
    if winner:
        yield "The winner: best.yaml has its config."
    if trial.confirms is not None:
        yield f"{escaped(trial.name).capitalize()}."
    elif trial.stage:
        yield f"{escaped(trial.stage).capitalize()}."
    if label := LABELS.get(trial.label):
        yield label
    yield f"{_ended(trial)}."
    if best := _best(history, trial):
        yield best


def _ended(trial: TrialHistory) -> str:
    """How it ended, where, and the reason in the journal's words."""
    how, _, rest = HOW.get(trial.status, str(trial.status).capitalize()).partition(";")
    if trial.measured and trial.outcome is not Outcome.COMPLETED:
        how += f" at {trial.furthest:.0%} of its training"
    if trial.cut is not None:
        how = f"{trial.ending.capitalize()} of its training, so that it had a value in time"
    elif trial.ending:
        how += f", {trial.ending}"
    reason = escaped(trial.reason[:LONGEST_REASON])
    return how + (f": {reason}" if reason else "") + (f";{rest}" if rest else "")


def _best(history: History, trial: TrialHistory) -> str:
    best = history.best_place(trial.number)
    if best is None:
        return f"It has no value of {escaped(history.metric)}."
    place = f"at evaluation {best.index}, {best.progress:.0%} of its training, epoch {best.epoch:.3g}"
    if best.branch:
        place = f"at the end of its cool-down from evaluation {best.index}, epoch {best.epoch:.3g}"
    others = "; ".join(f"{escaped(name)} {escaped(str(trial.told_params[name]))}" for name in trial.replaced)
    trained = f" It is the value of a shorter training (sampled -> trained: {others})." if others else ""
    return f"Best {escaped(history.metric)}: {digits(best.value)}, {place}.{trained}"


def of_study(history: History, *, experiment: str, run: str, option: str = "", files: Collection[str] = FILES) -> str:
    """Says what was searched and found, and links the files of `run`, the study's. Four paragraphs of Markdown.

    option: what a command needs to find the home (" --home PATH"). files: the names of those that are there.
    """
    there = [name for name in FILES if name in files]
    parts = [_result(history), _searched(history), _files(experiment, run, there), _commands(history.study, option)]
    return "\n\n".join(parts)[:LONGEST]


def _searched(history: History) -> str:
    ranges = (
        f"`{name.replace('`', '')}` {escaped(describe_range(r))}" for name, r in unfolded_space(history.space).items()
    )
    better = "lower" if history.direction == "minimize" else "higher"
    data = "; ".join(f"{escaped(name)}: {said}" for name, said in datasets(history.origin.data).items())
    parts = [f"**Searched** for {escaped(history.metric)} ({better} is better): {'; '.join(ranges)[:2000]}."]
    return " ".join([*parts, *([f"Data: {data[:1000]}."] if data else [])])


def datasets(data: Mapping[str, Any]) -> dict[str, str]:
    """The sizes of each data set's splits in words: "train 3,449 examples, valid 460"."""
    return {
        name: ", ".join(f"{split} {counts.get('examples', 0):,}" for split, counts in splits.items()) + " examples"
        for name, splits in (data.get("sets") or {}).items()
    }


def _result(history: History) -> str:
    """The winner, how sure that is, and the outcomes."""
    best = history.leader()
    count = Counter(trial.kind for trial in history.trials.values())
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in count.most_common())
    total = f"{len(history.trials)} trials: {outcomes}." if history.trials else "No trial has begun."
    if best is None or best.value is None:
        return f"**No trial has a value yet.** {total}"
    found = history.confirmation
    value = f"{escaped(history.metric)} **{digits(best.value)}**"
    if found is not None:
        margin = found.margin(found.winner)
        mean = f"{digits(found.winner.mean)}" + ("" if margin is None else f" ± {margin:.2g}")
        seeds = f"{len(found.winner.values)} fresh seed{'s' * (len(found.winner.values) > 1)}"
        value += f" in the search, {mean} with {seeds}, by which it was chosen"
    more = [against_default(history), beaten(history), *at_chance(history), *unbeaten(history)]
    said = "".join(f" {escaped(line[:1].upper() + line[1:])}." for line in more if line)
    return f"**Best: trial {best.number}**, {value}.{said} {total}"


def _files(experiment: str, run: str, names: Iterable[str]) -> str:
    place = f"#/experiments/{experiment}/runs/{run}"
    links = " · ".join(f"[{name}]({place}/artifacts/{name})" for name in names)
    return f"**Files** of [the study's run]({place})" + (f": {links}" if links else "")


def _commands(study: str, option: str) -> str:
    lines = {
        f"hpsearch show {study}{option}": "the trials in the terminal",
        f"hpsearch report {study}{option}": "the report as one page",
        f"hpsearch export {study}{option} -o best.yaml": "the winner's config",
        f"hpsearch train best.yaml{option} -o model": "train it, test it, write the model",
    }
    widest = max(map(len, lines))
    return "```\n" + "\n".join(f"{line:<{widest}}  # {what}" for line, what in lines.items()) + "\n```"


def escaped(text: str) -> str:
    """Text of a user's in Markdown: without markup, in one line."""
    plain = " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return SPECIAL.sub(r"\\\1", plain)
