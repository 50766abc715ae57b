"""How charts tell outcomes apart, in grey print and to colour-blind readers too: by markers and dashes."""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.outcome import Outcome


@dataclass(frozen=True)
class Mark:
    """The marker and the line of trials of one outcome."""

    marker: str  # of matplotlib
    symbol: str  # the same of plotly
    dash: str  # of plotly: solid, dash, dot, dashdot, longdash, longdashdot
    style: str | tuple[int, tuple[float, ...]]  # the same of matplotlib
    filled: bool = False  # the marker


MARKS = {
    Outcome.COMPLETED: Mark("o", "circle", "solid", "-", filled=True),
    Outcome.OVERFIT: Mark("D", "diamond", "dashdot", "-.", filled=True),
    Outcome.SHORT: Mark("s", "square", "longdash", (0, (8, 3)), filled=True),
    Outcome.PRUNED: Mark("o", "circle-open", "dot", ":"),
    Outcome.DIVERGED: Mark("x", "x-thin-open", "dash", "--"),
    Outcome.OUT_OF_MEMORY: Mark("^", "triangle-up-open", "longdashdot", (0, (8, 2, 1, 2))),
    Outcome.FAILED: Mark("+", "cross-thin-open", "dash", "--"),
    Outcome.RUNNING: Mark(">", "triangle-right", "solid", "-", filled=True),
    Outcome.PAUSED: Mark("s", "square-open", "longdash", (0, (8, 3))),
    Outcome.INTERRUPTED: Mark("v", "triangle-down-open", "dash", "--"),
    Outcome.UNFINISHED: Mark("v", "triangle-down-open", "dash", "--"),
}
