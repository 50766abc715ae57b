"""What trials and messages look like in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from hpsearch.history import TrialHistory
from hpsearch.printable import printable
from hpsearch.secrets import redact


def plain(text: str) -> str:
    """Text that is printed as it is: no markup, nothing that a terminal would obey."""
    return escape(printable(redact(text)))


def spinner(console: Console) -> str:
    """The name of a spinner that the terminal's encoding has."""
    return "line" if console.options.ascii_only else "dots"


def params(trial: TrialHistory) -> str:
    """A trial's params in one line."""
    return " ".join(f"{name}={shown(value)}" for name, value in trial.params.items())


def shown(value: Any) -> str:
    """A value as a person reads it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
