"""How MLflow's pages of a study are arranged: the saved view, the ranks of the trials, the descriptions."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from hpsearch.journal import Entry
from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.history import History
from hpsearch.tasks import LOSSES, TASKS
from hpsearch.views.mlflow import descriptions, saved_view
from hpsearch.views.mlflow.descriptions import NOTE
from hpsearch.views.mlflow.rows import VALIDATION, at_best
from hpsearch.views.mlflow.runs import Handler, Runs

ARRANGED = ("study_created", "driver_started", "driver_stopped", "study_exported", "budget_extended")
FOREMOST = (("bleu", "chrf"), ("f1_macro", "accuracy"))
FIRST = ("bleu", "chrf", "f1_macro", "accuracy", "mcc", "perplexity", "bits_per_byte")  # what people ask for first
CURVES = ("learning_rate", "gradient_norm", "tokens_per_second")  # of training points, beside losses
NOISE = "_stderr"  # end of the names of standard errors


class Arrangement:
    """Writes what arranges the pages, once the view has caught up with the journal; what stands there already is kept.

    It costs a few requests when a study begins and ends or has a new leader, none for an evaluation.
    """

    def __init__(self, runs: Runs, *, option: str = "") -> None:
        """option: what a command needs to find the home."""
        self._runs, self._option = runs, option
        self._due, self._leader = True, -1
        self.handlers: dict[str, Handler] = dict.fromkeys(ARRANGED, self._note_change)
        self.handlers["trial_finished"] = self._note_leader

    def _note_change(self, event: Entry) -> None:
        self._due = True

    def _note_leader(self, event: Entry) -> None:
        """Has a new leader described; what else a trial changes waits for the end of the search."""
        leader = self._runs.history.leader()
        if leader is not None and leader.number != self._leader:
            self._due, self._leader = True, leader.number

    def refresh(self) -> None:
        """Has everything compared with what was last written, as when the view is opened."""
        self._due = True

    def forget(self) -> None:
        """Has everything written again, as to a store that may have lost it."""
        for kept in ("written", "ranks"):
            self._runs.state.pop(kept, None)

    def arrange(self, *, running: bool) -> bool:
        """Writes what has changed since it was last written; returns whether anything has.

        running: the study has a driver. Ranks are then left alone: each new trial would change most of them.
        """
        if not self._due or not self._runs.has_parent:
            return False
        ranked = not running and self._rank()
        view = self._view(by_rank=not running)
        files = self._runs.store.artifacts(self._runs.parent)
        place = {"experiment": self._experiment, "run": self._runs.parent}
        note = descriptions.of_study(self._runs.history, **place, option=self._option, files=files)
        wrote = [ranked, self._tag(saved_view.TAG, view), self._note(note)]
        self._due = False
        return any(wrote)

    @property
    def _experiment(self) -> str:
        return str(self._runs.state["experiment"])

    def _rank(self) -> bool:
        """Gives each trial with a value its rank as a tag, the winner's the first: MLflow sorts tags as texts."""
        order, known = ranking(self._runs.history), self._runs.state.setdefault("ranks", {})
        ranks = {str(trial): f"{rank:0{len(str(len(order)))}d}" for rank, trial in enumerate(order, 1)}
        changed = {trial: ranks.get(trial, "") for trial in known | ranks if known.get(trial) != ranks.get(trial)}
        for trial, rank in changed.items():
            if run_id := self._runs.state["runs"].get(trial):
                self._runs.store.log(run_id, tags={"rank": rank})
        self._runs.state["ranks"] = ranks
        return bool(changed)

    def _view(self, *, by_rank: bool) -> str:
        history = self._runs.history
        return saved_view.value(shown(history, by_rank=by_rank), at=history.created)

    def _note(self, note: str) -> bool:
        if not self._tag(NOTE, note):
            return False
        self._runs.store.log(self._runs.parent, tags={NOTE: note})
        return True

    def _tag(self, key: str, value: str) -> bool:
        """Sets a tag of the experiment, unless it was last set to the same value; returns whether it did."""
        written, mark = self._runs.state.setdefault("written", {}), zlib.crc32(value.encode())
        if written.get(key) == mark:
            return False
        self._runs.store.tag_experiment(self._experiment, key, value)
        written[key] = mark
        return True


def ranking(history: History) -> list[int]:
    """The numbers of the trials with a value, best first; the winner by fresh seeds comes before all."""
    winner = history.leader()
    ranked = [trial.number for trial in history.ranked(unfinished=True)]
    stopped = sorted(_stopped(history), key=lambda number: _order(history, number))
    first = [] if winner is None else [winner.number]
    return list(dict.fromkeys([*first, *ranked, *stopped]))


def _stopped(history: History) -> Iterable[int]:
    """Trials that were stopped and cannot win, though they have values."""
    return [n for n, trial in history.trials.items() if not trial.counts and history.best_place(n) is not None]


def _order(history: History, number: int) -> tuple[bool, float, int]:
    """The key that sorts them: those that were pruned first, then by value."""
    best, trial = history.best_place(number), history.trials[number]
    sign = 1 if history.direction == "minimize" else -1
    return trial.status.mlflow_status != "FINISHED", sign * best.value if best else 0.0, number


def shown(history: History, *, by_rank: bool) -> saved_view.Shown:
    """What the saved view shows of a study, from the metrics that its trials have so far."""
    measured = dict.fromkeys(name for trial in history.trials.values() for e in trial.measured for name in e.metrics)
    validated = [name for name in measured if name.startswith(VALIDATION) and not name.endswith(NOISE)]
    losses = [name for name in validated if last(name) == "loss"]
    scores = sorted((n for n in validated if n not in losses), key=importance)
    of_all = [name for name in [*scores, *losses] if name != history.metric and name.count("/") == 1]
    first = foremost(of_all)
    return saved_view.Shown(
        objective=history.metric,
        minimize=history.direction == "minimize",
        by_rank=by_rank,
        params=list(unfolded_space(history.space) if history.origin.layout > 2 else history.space),
        scores=scores,
        losses=[*sorted(losses, key=lambda name: (name.count("/"), name)), *trained(losses)],
        training=CURVES if measured else (),
        columns=[at_best(name) for name in [*first, *(name for name in of_all if name not in first)]],
        before=len(first),
    )


def foremost(names: list[str]) -> list[str]:
    """The metrics that stand before the params: for each task the one that people ask for first; else the first two."""
    found = [next((name for name in names if last(name) in some), None) for some in FOREMOST]
    return [name for name in found if name is not None] or names[:2]


def trained(losses: Iterable[str]) -> list[str]:
    """The training losses beside validation losses: train/loss, train/SET/loss."""
    return [f"train/{name.removeprefix(VALIDATION)}" for name in losses]


def importance(name: str) -> tuple[int, int, str]:
    """The key that sorts scores: of all sets before those of one, the ones that people ask for first."""
    metric = last(name)
    of_tasks = [one.name for section in TASKS.values() for one in section.METRICS] + [one.name for one in LOSSES]
    order = [*FIRST, *(one for one in of_tasks if one not in FIRST)]
    return name.count("/"), order.index(metric) if metric in order else len(order), name


def last(name: str) -> str:
    """The metric in a name: bleu of val/pairs/bleu."""
    return name.rsplit("/", 1)[-1]
