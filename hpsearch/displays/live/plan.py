"""What a run has to do, as far as its progress depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.journal.history import History
from hpsearch.space.budget import Budget
from hpsearch.space.experiment import Experiment
from hpsearch.space.search import Confirm


@dataclass(frozen=True)
class Plan:
    """The budget of a run without what `hpsearch extend` has added, and what else it is to train."""

    budget: Budget = field(default_factory=Budget)
    confirm: Confirm = field(default_factory=Confirm)
    workers: int = 1
    audits: int = 0  # trials to train to their end; above 0 it trains nothing else
    searches: bool = True  # False: it trains repeats alone

    @classmethod
    def of(cls, experiment: Experiment, *, workers: int) -> Plan:
        """The plan of an experiment."""
        search = experiment.search
        return cls(experiment.budget, search.confirm, max(1, workers), experiment.audits, experiment.searches)

    @classmethod
    def recorded(cls, history: History) -> Plan:
        """The plan of the latest driver, from the journal; of an older version's, that of the space file."""
        driver, settings = history.driver, history.origin.experiment
        confirm = driver.get("confirm", (settings.get("search") or {}).get("confirm"))
        return cls(
            _read(Budget, driver.get("budget", settings.get("budget"))),
            _read(Confirm, confirm),
            max(1, driver.get("workers", 1)),
            driver.get("audits", 0),
            driver.get("searches", True),
        )


def _read(kind: Any, values: Mapping[str, Any] | None) -> Any:
    """A section of these values; its defaults if a later version wrote what this one does not know."""
    with contextlib.suppress(ValueError, TypeError):
        return kind(**{name: value for name, value in (values or {}).items() if value is not None})
    return kind()
