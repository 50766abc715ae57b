"""What trials and messages look like in a terminal."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from hpsearch.journal.history import History, TrialHistory
from hpsearch.printable import printable
from hpsearch.redaction import redact

SHOWN = 5  # trial numbers in a line


def plain(text: str) -> str:
    """Text that is printed as it is: no markup, nothing that a terminal would obey."""
    return escape(printable(redact(text)))


def spinner(console: Console) -> str:
    """The name of a spinner that the terminal's encoding has."""
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
    """A metric's value as a person reads it: four decimals, or an exponent where that would hide or stretch it."""
    ordinary = value == 0 or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if ordinary or not math.isfinite(value) else f"{value:.4g}"


def equals(history: History, best: TrialHistory) -> str | None:
    """A line on the trials that have the very value of the best one; None where none has."""
    tied = history.tied(best)
    if not tied:
        return None
    others = ", ".join(map(str, tied[:SHOWN])) + (", ..." if len(tied) > SHOWN else "")
    kind = "trial has" if len(tied) == 1 else "trials have"
    return (
        f"tie: {len(tied)} other {kind} {history.metric} {measured(best.value or 0.0)} as well ({others}); "
        f"trial {best.number}, the first of them, is the winner"
    )


def shown(value: Any) -> str:
    """A value as a person reads it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def quoted(path: Path | str) -> str:
    """A path as a shell reads it."""
    return shlex.quote(str(path))
