"""Histories of every kind of study, for the tests of the report."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.export import Export
from hpsearch.journal.history import History
from hpsearch.journal.origin import Origin
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome

SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "step": None, "log": True},
    "batch_size": {"choices": [8, 16, 32]},
    "schedule": {"choices": ["wsd", "cosine"]},
    "n_layers": {"low": 1, "high": 4, "step": 1, "log": False},
    "epochs": {"low": 1.0, "high": 12.0, "step": None, "log": True},
}
EVERY = ("completed", "overfit", "pruned", "diverged", "out_of_memory", "failed", "short", None)
HOSTILE = "</script><script>alert(1)</script> \"'`& 漢字 العربية \u202e\x1b[31m <b>&amp;"


def evaluation(index: int, loss: float, *, of: int = 20, epochs: float = 4.0, **more: float) -> Evaluation:
    metrics = {"train/interval_loss": loss - 0.1, "val/loss": loss, **more}
    progress = index / of
    return Evaluation(index, 100 * index, progress, metrics, tokens=1000 * index, epoch=progress * epochs, time=index)


def trial(number: int, outcome: str | None, losses: list[float], **more: Any) -> TrialHistory:
    """A trial whose hyperparameters are drawn by its number."""
    draw = random.Random(number)
    params = {
        "learning_rate": 10 ** draw.uniform(-4, -1),
        "batch_size": draw.choice([8, 16, 32]),
        "schedule": draw.choice(["wsd", "cosine"]),
        "n_layers": draw.randint(1, 4),
        "epochs": 12 ** draw.uniform(0, 1),
    }
    evaluations = {i: evaluation(i, loss, epochs=params["epochs"]) for i, loss in enumerate(losses, start=1)}
    found = TrialHistory(number, params=params, config={"seed": 0}, evaluations=evaluations, reason="why")
    found.outcome = None if outcome is None else Outcome(outcome)
    finite = [e for e in evaluations.values() if math.isfinite(e.metrics["val/loss"])]
    best = min(finite, key=lambda e: e.metrics["val/loss"], default=None)
    if best is not None and found.counts:
        found.value, found.best = best.metrics["val/loss"], BestEvaluation.of(best, "val/loss")
    found.asked, found.last, found.trained = 60.0 * number, 60.0 * (number + 1), 3.0 * len(losses)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def study(trials: list[TrialHistory], *, name: str = "trials", **options: Any) -> History:
    origin = Origin(
        study=name,
        space=SPACE,
        source="study: trials\n",
        experiment={"data": {"pairs": {"task": "translation"}}, "budget": {"trials": 40}, "seed": 0},
        environment={"git_commit": "abc123", "git_dirty": True, "python": "3.11", "versions": {"torch": "2"}},
        data={"fingerprint": "f00d", "contents": {"pairs": "beef"}, "sets": {"pairs": {"train": {"tokens": 1234}}}},
    )
    ended = [t.number for t in trials if t.outcome is not None]
    known = {"trials": {t.number: t for t in trials}, "finished": ended, "last": 60.0 * len(trials), "created": 1e-9}
    return History(name, **{"space": SPACE, "origin": origin, **known, **options})


def falling(n: int, *, start: float = 5.0, to: float = 3.0) -> list[float]:
    return [to + (start - to) / i for i in range(1, n + 1)]


def mixed(n: int, **options: Any) -> History:
    """Trials of every outcome, running ones too."""
    trials = []
    for number in range(n):
        outcome = EVERY[number % len(EVERY)]
        losses = falling(20 if outcome in ("completed", "overfit", "short") else 4, to=3 + number / 100)
        if outcome == "overfit":
            losses[12:] = [loss + 0.1 * i for i, loss in enumerate(losses[12:], start=1)]
        if outcome == "diverged":
            losses[-1] = math.nan
        trials.append(trial(number, outcome, losses if outcome != "failed" else [], running=outcome is None))
    if trials:
        trials[0].label = "default"
    return study(trials, **options)


def cooled(history: History) -> History:
    """The same with a cool-down that left the curve of trial 1 and is its best value."""
    end = evaluation(9, 2.5)
    object.__setattr__(end, "branch", {"training": {"epochs": 2.0}})
    one = history.trials[1]
    one.branches[9] = end
    one.value, one.best = 2.5, BestEvaluation.of(end, "val/loss")
    return history


def branched(history: History) -> History:
    """The same with sub-configs in place of n_layers and epochs: half of the trials are of each branch."""
    model = ["n_layers=1, width=64", "n_layers=2..4, width=32"]
    epochs = ["epochs=1.0, weight_decay=0.5", "1.0..12.0"]
    space = {name: limits for name, limits in SPACE.items() if name not in ("n_layers", "epochs")}
    space |= {"model": {"choices": model}, "n_layers": {"low": 2, "high": 4, "step": 1}}
    space |= {"epochs": {"choices": epochs}, "epochs.2": SPACE["epochs"]}
    for number, one in history.trials.items():
        layers, length = one.params.pop("n_layers"), one.params.pop("epochs")
        one.params |= {"model": model[number % 2]} | ({"n_layers": max(2, layers)} if number % 2 else {})
        one.params |= {"epochs": epochs[number % 2]} | ({"epochs.2": length} if number % 2 else {})
    history.space = space
    return history


def confirmed(history: History, values: dict[int, list[float]]) -> History:
    """The same with repeats of some trials, by their values with fresh seeds."""
    number = 1_000_000
    for confirms, found in values.items():
        for repeat, value in enumerate(found, start=1):
            outcome = "completed" if math.isfinite(value) else "diverged"
            one = trial(number, outcome, [value], confirms=confirms, repeat=repeat)
            history.repeats[number] = one
            number += 1
    return history


def exported(history: History, folder: Path, text: str) -> History:
    """The same with best.yaml of its winner in the folder."""
    best = history.leader()
    assert best is not None
    (folder / "best.yaml").write_text(text, encoding="utf-8")
    history.exported = Export(str(folder / "best.yaml"), best.number, best.outcome, best.value, best.best)
    return history


STUDIES: dict[str, Any] = {
    "nothing yet": lambda: study([]),
    "no trial evaluated yet": lambda: study([trial(0, None, [], running=True)]),
    "no trial finished yet": lambda: study([trial(i, None, falling(3), running=True) for i in range(3)]),
    "one trial": lambda: study([trial(0, "completed", falling(20), label="default")]),
    "every outcome": lambda: mixed(24),
    "a cool-down": lambda: cooled(mixed(8)),
    "maximised": lambda: mixed(24, direction="maximize"),
    "all failed": lambda: study([trial(i, "failed", []) for i in range(5)]),
    "nothing but nan": lambda: study([trial(i, "diverged", [math.nan] * 3) for i in range(5)]),
    "equal trials": lambda: study([trial(i, "completed", [2.0, 2.0]) for i in range(5)]),
    "exploded": lambda: study([trial(i, "completed", [9.0, 1e30 if i else 3.0]) for i in range(6)]),
    "paused and interrupted": lambda: study([trial(i, None, falling(5), paused=i > 1) for i in range(4)]),
    "confirmed": lambda: confirmed(mixed(24), {0: [3.1, 3.2], 8: [3.12, 3.2]}),
    "a finalist diverged": lambda: confirmed(mixed(24), {0: [3.1], 8: [math.nan]}),
    "no ranges": lambda: mixed(10, space={}),
}
