"""Formats trials, values and messages for a terminal."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.printable import printable
from hpsearch.redaction import redact

SHOWN = 5  # trial numbers in a line


def plain(text: str) -> str:
    """Returns text that prints as it is: markup escaped, control characters removed."""
    return escape(printable(redact(text)))


def spinner(console: Console) -> str:
    """The name of a spinner that the terminal's encoding can show."""
    return "line" if console.options.ascii_only else "dots"


class HasParams(Protocol):
    """A trial, from the journal or loaded."""

    @property
    def params(self) -> dict[str, Any]:
        """Its params by name."""


def params(trial: HasParams) -> str:
    """A trial's params in one line."""
    return " ".join(f"{name}={shown(value)}" for name, value in trial.params.items())


def measured(value: float) -> str:
    """Formats a metric: four decimals, or an exponent for very small and large values."""
    ordinary = value == 0 or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if ordinary or not math.isfinite(value) else f"{value:.4g}"


def equals(history: History, best: TrialHistory) -> str | None:
    """A line about the trials with the same value as the best one; None if there are none."""
    tied = history.tied(best)
    if not tied:
        return None
    others = ", ".join(map(str, tied[:SHOWN])) + (", ..." if len(tied) > SHOWN else "")
    kind = "trial has" if len(tied) == 1 else "trials have"
    return (
        f"tie: {len(tied)} other {kind} the same {history.metric} {measured(best.value or 0.0)} ({others}); "
        f"the first of them, trial {best.number}, is the winner"
    )


def shown(value: Any) -> str:
    """Formats a param's value."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def quoted(path: Path | str) -> str:
    """Quotes a path for a shell."""
    return shlex.quote(str(path))
