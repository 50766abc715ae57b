"""Compares the stores with the journal: every row exactly once, every run with its outcome.

The expected content comes from the view itself, which ships the journal to a store in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.journal import iterate
from hpsearch.journal.history import History
from hpsearch.views.follower import View
from hpsearch.views.mlflow.rows import Row, milliseconds, text
from hpsearch.views.mlflow.store import Store
from hpsearch.views.mlflow.trial_runs import run_name
from hpsearch.views.mlflow.view import MlflowView
from hpsearch.views.optuna import OptunaView, frozen_trial, lost_trial

Fact = tuple[str, str, int, int]  # metric name, value as Python writes it, milliseconds, step


@dataclass(frozen=True)
class Audit:
    """How a store differs from the journal."""

    extent: str  # of the journal, in words: "3 runs, 120 rows"
    lacking: int  # runs and rows, or trials and values, that the store lacks
    wrong: list[str]  # ids of runs, or numbers of trials, that differ from the journal

    @property
    def whole(self) -> bool:
        """Whether the store has exactly what the journal has."""
        return not self.lacking and not self.wrong


@dataclass
class Run:
    """A run, as the journal describes it."""

    facts: set[Fact] = field(default_factory=set)
    params: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"
    end: int | None = None


class RecordingStore(Store):
    """A store in memory; run ids are the runs' names. Tags and artifacts are ignored."""

    draws = False

    def __init__(self) -> None:
        super().__init__(Path(), None)
        self.runs: dict[str, Run] = {}

    def experiment(self, name: str) -> str:
        """Returns the name itself."""
        return name

    def run(self, experiment: str, *, name: str, tags: dict[str, str], identity: Iterable[str], began: float) -> str:
        """Creates a run of this name."""
        self.runs.setdefault(name, Run())
        return name

    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        """Ignores tags."""

    def inputs(self, run_id: str, datasets: Iterable[dict[str, str]]) -> None:
        """Ignores the names of data sets."""

    def log(
        self,
        run_id: str,
        *,
        rows: Iterable[Row] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
    ) -> None:
        """Records metrics and params."""
        self.runs[run_id].facts |= {(name, exact(value), milliseconds(at), step) for name, value, at, step in rows}
        self.runs[run_id].params |= {name: text(value) for name, value in (params or {}).items()}

    def tags(self, run_id: str) -> dict[str, str] | None:
        """Returns no tags; no run is ever deleted here."""
        return {}

    def running(self, run_id: str) -> None:
        """Records that the run is running."""
        self.runs[run_id].status = "RUNNING"

    def ended(self, run_id: str, status: str, *, at: float) -> None:
        """Records how and when the run ended."""
        self.runs[run_id].status, self.runs[run_id].end = status, milliseconds(at)

    def found(self, experiment: str, tags: dict[str, str], *, deleted: bool = False) -> dict[str, dict[str, str]]:
        """Returns nothing: every run is created here once."""
        return {}

    def untag(self, run_id: str, key: str) -> None:
        """Ignores tags."""

    def text(self, run_id: str, name: str, content: str) -> None:
        """Ignores artifacts."""

    def yaml(self, run_id: str, name: str, content: dict[str, Any]) -> None:
        """Ignores artifacts."""

    def files(self, run_id: str, folder: Path) -> None:
        """Ignores artifacts."""

    def artifacts(self, run_id: str) -> list[str]:
        """Returns none."""
        return []


def audit(view: View, study_folder: Path) -> Audit:
    """Compares an open view with the study's journal; the study must not be running."""
    if isinstance(view, MlflowView):
        return audit_mlflow(view, study_folder)
    if isinstance(view, OptunaView):
        return audit_optuna(view, study_folder)
    raise TypeError(view)


def discard(view: View, wrong: list[str]) -> None:
    """Deletes what is wrong from the store, so that it is written again."""
    if isinstance(view, OptunaView):
        view.storage.delete_study(view.state["study"])
    elif isinstance(view, MlflowView):
        delete_runs(view, wrong)


def restore(view: View) -> int:
    """Restores the study's runs that a person deleted in MLflow; returns their number."""
    if not isinstance(view, MlflowView):
        return 0
    runs = [view.state["parent"], *view.state["runs"].values()] if "parent" in view.state else []
    return sum(view.store.tags(run_id) is None and view.store.restore(run_id) for run_id in runs)


def delete_runs(view: MlflowView, wrong: list[str]) -> None:
    """Deletes runs; with the study's run also those of its trials."""
    for run_id in view.runs() if view.state["parent"] in wrong else wrong:
        view.store.delete(run_id)


def audit_mlflow(view: MlflowView, study_folder: Path) -> Audit:
    """Compares runs, with their metric rows, params, status and end."""
    wanted = wanted_runs(study_folder)
    history = History.of(iterate(study_folder / "journal.jsonl", points=False))
    ids = {run_name(history.trial(int(number))): run_id for number, run_id in view.state["runs"].items()}
    ids[study_folder.name] = view.state.get("parent", "")
    lacking = 0
    wrong = [run_id for run_id in view.runs() if run_id not in ids.values()]  # doubles
    for name, run in wanted.items():
        tags = view.store.tags(ids[name]) if ids.get(name) else None
        if tags is None:
            lacking += 1 + len(run.facts)
            continue
        found = list(view.store.rows(ids[name], sorted({fact[0] for fact in run.facts})))
        facts = {(metric, exact(value), at, step) for metric, value, at, step in found}
        lacking += len(run.facts - facts)
        if facts - run.facts or len(found) > len(facts) or not same_end(view.store, ids[name], run):
            wrong.append(ids[name])
    rows = sum(len(run.facts) for run in wanted.values())
    return Audit(f"{len(wanted)} runs, {rows} rows", lacking, wrong)


def wanted_runs(study_folder: Path) -> dict[str, Run]:
    """Returns the runs that MLflow should have, by name; the study must not be running."""
    store = RecordingStore()
    view = MlflowView(study_folder, store, say=lambda line: None)
    view.open({})
    view.ship(list(iterate(study_folder / "journal.jsonl")))
    view.abandon()
    return store.runs


def same_end(store: Store, run_id: str, run: Run) -> bool:
    """Whether the store's run has the expected status, end and params."""
    found = store.client.get_run(run_id)
    params = {name: found.data.params.get(name) for name in run.params}
    return (found.info.status, found.info.end_time, params) == (run.status, run.end, run.params)


def audit_optuna(view: OptunaView, study_folder: Path) -> Audit:
    """Compares trials, with their params, values and curves."""
    history = History.of(iterate(study_folder / "journal.jsonl"))
    there = {t.number: t for t in view.storage.get_all_trials(view.state["study"], deepcopy=False)}
    lacking, wrong, values = 0, [], 0
    for trial in (history.trials.get(n, lost_trial(n)) for n in range(max(history.trials, default=-1) + 1)):
        trial.running = False
        wanted, found = frozen_trial(history, trial), there.get(trial.number)
        values += len(wanted.intermediate_values)
        if found is None:
            lacking += 1 + len(wanted.intermediate_values)
            continue
        lacking += len(wanted.intermediate_values.keys() - found.intermediate_values.keys())
        if compared(wanted) != compared(found):
            wrong.append(str(trial.number))
    surplus = there.keys() - range(max(history.trials, default=-1) + 1)
    return Audit(f"{len(history.trials)} trials, {values} values", lacking, [*wrong, *map(str, sorted(surplus))])


def compared(trial: Any) -> list[Any]:
    """Returns the parts of a FrozenTrial to compare."""
    curve = sorted((index, exact(value)) for index, value in trial.intermediate_values.items())
    return [trial.state, exact(trial.value), trial.params, trial.user_attrs, curve]


def exact(value: float | None) -> str:
    """Formats a number exactly, so that nan equals nan."""
    return "nan" if value is None or math.isnan(value) else repr(float(value))
