"""The latest best.yaml of a study, as the journal has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.journal.trial_history import BestEvaluation, TrialHistory


@dataclass(frozen=True)
class Export:
    """The latest best.yaml of a study: where it was written, and the trial in it."""

    path: str
    trial: int
    outcome: str | None = None  # None in this and the next two: an older version did not record it
    value: float | None = None
    best: BestEvaluation | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Export:
        """Returns the export of a study_exported event."""
        best = BestEvaluation.from_dict(event.get("best_evaluation"))
        return cls(event["path"], event["trial"], event.get("outcome"), event.get("value"), best)

    def is_of(self, trial: TrialHistory) -> bool:
        """Whether an export of the trial as it is now would have the same contents."""
        return (
            self.trial == trial.number
            and self.outcome in (None, trial.outcome)
            and self.value in (None, trial.value)
            and self.best in (None, trial.best)
        )
