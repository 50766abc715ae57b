"""A trial of a loaded study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hpsearch.api.tables import table
from hpsearch.contract import Evaluation
from hpsearch.journal.branch_labels import unfolded
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome, in_words
from hpsearch.output.digits import digits

HEADS = ("trial", "outcome", "value", "epoch", "params")


@dataclass(frozen=True)
class Trial:
    """One trial, as it was when the study was loaded."""

    number: int
    params: dict[str, Any]  # of the training that has `value`: with them it can be trained again
    outcome: Outcome  # how it ended, or its state until then; a str ("completed", "running", ...)
    value: float | None  # the objective at the best evaluation so far; None: none is finite
    best: Evaluation | None  # the evaluation that measured `value`
    evaluations: tuple[Evaluation, ...]
    seconds: float  # of training and evaluating, over all attempts; 0 until it has ended
    reason: str = ""  # why it ended
    peak_memory: int = 0  # bytes
    mlflow_run_id: str | None = None
    branches: tuple[Evaluation, ...] = ()  # ends of its cool-downs, beside the curve
    confirms: int | None = None  # the trial that it repeats; None: it is a trial of the search
    seed: int | None = None  # of its training
    sampled: dict[str, Any] = field(
        default_factory=dict
    )  # the values drawn from the ranges: a cool-down has fewer epochs
    cut: float | None = (
        None  # share of its training after which the end of the budget had it cool down; None: it did not
    )
    ending: str = ""  # what its outcome does not say: "cut by the budget at 5%", "cooled down"
    device_seconds: float = 0.0  # with a worker, over all attempts: `seconds`, and starting, loading, saving, testing

    def __repr__(self) -> str:
        value = "" if self.value is None else f", value {digits(self.value)}"
        return f"<Trial {self.number}: {self.outcome}{value}, {self._params()}>"

    def _repr_html_(self) -> str:
        return table(HEADS, [self.cells()])

    def cells(self, *, mark: bool = False) -> list[str]:
        """Returns the trial as a row of a table; `mark`: adds the star of the best trial."""
        value = "" if self.value is None else digits(self.value)
        epoch = f"{self.best.epoch:.3g}" if self.best and self.best.epoch else ""
        return [
            f"{self.number}{' *' if mark else ''}",
            in_words(self.outcome, self.ending),
            value,
            epoch,
            self._params(),
        ]

    def _params(self) -> str:
        return " ".join(
            f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in unfolded(self.params).items()
        )

    def row(self) -> dict[str, Any]:
        """Returns the trial as a row of a data frame, with the values that the label of a branch stands for."""
        params, sampled = unfolded(self.params), unfolded(self.sampled)
        row: dict[str, Any] = {"outcome": self.outcome, "value": self.value, "seconds": self.seconds, "cut": self.cut}
        row |= {"epoch": self.best.epoch if self.best else None, "mlflow_run_id": self.mlflow_run_id}
        row |= {f"params.{name}": value for name, value in params.items()}
        row |= {f"sampled.{name}": value for name, value in sampled.items() if value != params.get(name)}
        return row | {f"metrics.{name}": value for name, value in (self.best.metrics if self.best else {}).items()}


def trial_of(history: History, trial: TrialHistory, runs: dict[int, str]) -> Trial:
    """Makes a Trial from the journal; `runs`: MLflow run ids by trial number."""
    return Trial(
        number=trial.number,
        params=trial.trained_params,
        outcome=trial.status,
        value=history.so_far(trial).value,
        best=history.best_evaluation(trial.number),
        evaluations=tuple(evaluation for _, evaluation in sorted(trial.evaluations.items())),
        branches=tuple(evaluation for _, evaluation in sorted(trial.branches.items())),
        seconds=trial.seconds,
        reason=trial.reason,
        peak_memory=trial.peak_memory,
        mlflow_run_id=runs.get(trial.number),
        confirms=trial.confirms,
        seed=trial.config.get("seed"),
        sampled=dict(trial.params),
        cut=trial.cut,
        ending=trial.ending,
        device_seconds=trial.seconds_so_far(history.last),
    )
