"""A trial of a loaded study, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpsearch.api.tables import table
from hpsearch.contract import Evaluation
from hpsearch.journal.history import History, TrialHistory
from hpsearch.outcome import Outcome

HEADS = ("trial", "outcome", "value", "epoch", "params")


@dataclass(frozen=True)
class Trial:
    """One trial of a study, as it was when the study was loaded."""

    number: int
    params: dict[str, Any]  # what the space has a range for
    outcome: Outcome  # how it ended, or its state while it has not; a text ("completed", "running", ...)
    value: float | None  # of the objective at its best evaluation so far; None: no finite one
    best: Evaluation | None  # where the value was measured
    evaluations: tuple[Evaluation, ...]
    seconds: float  # of training and evaluating, once it has ended
    reason: str = ""  # why it ended, in one line
    peak_memory: int = 0  # bytes
    mlflow_run_id: str | None = None

    def __repr__(self) -> str:
        value = "" if self.value is None else f", value {self.value:.6g}"
        return f"<Trial {self.number}: {self.outcome}{value}, {self._params()}>"

    def _repr_html_(self) -> str:
        return table(HEADS, [self.cells()])

    def cells(self, *, mark: bool = False) -> list[str]:
        """The trial as a row of a table; `mark`: it is the best one."""
        value = "" if self.value is None else f"{self.value:.4g}"
        epoch = f"{self.best.epoch:.3g}" if self.best else ""
        return [f"{self.number}{' *' if mark else ''}", self.outcome, value, epoch, self._params()]

    def _params(self) -> str:
        return " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.params.items())

    def row(self) -> dict[str, Any]:
        """The trial as a row of a data frame."""
        row: dict[str, Any] = {"outcome": self.outcome, "value": self.value, "seconds": self.seconds}
        row |= {"epoch": self.best.epoch if self.best else None, "mlflow_run_id": self.mlflow_run_id}
        row |= {f"params.{name}": value for name, value in self.params.items()}
        return row | {f"metrics.{name}": value for name, value in (self.best.metrics if self.best else {}).items()}


def trial_of(history: History, trial: TrialHistory, runs: dict[int, str]) -> Trial:
    """The trial that a journal tells of; `runs`: the MLflow run of each."""
    return Trial(
        number=trial.number,
        params=trial.params,
        outcome=trial.status,
        value=history.so_far(trial).value,
        best=history.best_evaluation(trial.number),
        evaluations=tuple(evaluation for _, evaluation in sorted(trial.evaluations.items())),
        seconds=trial.seconds,
        reason=trial.reason,
        peak_memory=trial.peak_memory,
        mlflow_run_id=runs.get(trial.number),
    )
