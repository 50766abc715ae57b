"""What the parts of the MLflow view share: the store, the ids of a study's runs, and what was not sent yet."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from hpsearch.journal import Entry
from hpsearch.journal.branch_labels import unfolded
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import number
from hpsearch.views.mlflow.datasets import SPLITS, dataset_inputs
from hpsearch.views.mlflow.rows import Row, rounded
from hpsearch.views.mlflow.store import Store

Handler = Callable[[Entry], object]  # handles one kind of event


@dataclass
class Pending:
    """What was not sent to a run yet."""

    rows: list[Row] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)


class Runs:
    """The MLflow runs of one study: the parent and a child per trial."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state: dict[str, Any] = {}  # experiment, parent, tags, runs {trial: run id}, running [trials], winner
        self.history = History()
        self._pending: dict[str, Pending] = {}  # by run id

    def restart(self, state: dict[str, Any]) -> None:
        """Forgets what was not sent, and continues from `state`."""
        self.state = {"runs": {}, "running": [], **state}
        self.history, self._pending = History(), {}

    @property
    def has_parent(self) -> bool:
        """Whether the study's run exists."""
        return "parent" in self.state

    @property
    def parent(self) -> str:
        """The id of the study's run."""
        return str(self.state["parent"])

    def datasets(self, splits: Collection[str] = SPLITS) -> list[dict[str, str]]:
        """The study's data sets, as inputs of a run that sees these splits."""
        return dataset_inputs(self.history.origin.data, self.history.origin.experiment.get("data"), splits)

    def single(self, value: Any) -> float:
        """A value that stands for itself as it is sent: rounded for people, except in a study of the first layout."""
        return rounded(number(value)) if self.history.origin.layout > 1 else number(value)

    def params(self, params: dict[str, Any]) -> dict[str, Any]:
        """A trial's params as people read them, except in a study whose runs have them with the labels of branches."""
        return unfolded(params) if self.history.origin.layout > 2 else params

    def pending(self, run_id: str) -> Pending:
        """What the next `flush` sends to a run, in one request: each takes MLflow about 20 ms."""
        return self._pending.setdefault(run_id, Pending())

    def flush(self, run_id: str) -> None:
        """Sends what is pending for a run."""
        if pending := self._pending.pop(run_id, None):
            self.store.log(run_id, rows=pending.rows, params=pending.params, tags=pending.tags)

    def flush_all(self) -> None:
        """Sends what is pending for every run."""
        for run_id in list(self._pending):
            self.flush(run_id)
