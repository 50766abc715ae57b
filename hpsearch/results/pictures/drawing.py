"""Shared parts of the pictures: the figure, colours by outcome, legends, limits of axes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from hpsearch.results.pictures.marks import MARKS

SHOWN = (*(outcome for outcome in Outcome if outcome.ended), Outcome.PAUSED, Outcome.INTERRUPTED)  # order of legends
WINNER = "#137a3f"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "legend.frameon": False,
    "legend.fontsize": 8,
}
MOST_AXES = 16  # parameters in one picture
LINES_ONLY = ("x", "+")  # markers without a face


class Picture:
    """A figure being drawn; `png` is set when the `with` block of `picture` ends."""

    def __init__(self, width: float, height: float, margins: dict[str, float] | None) -> None:
        self.figure = Figure(figsize=(width, height), layout=None if margins else "constrained", facecolor="white")
        if margins:
            self.figure.subplots_adjust(**margins)
        FigureCanvasAgg(self.figure)
        self.png = b""


@contextmanager
def picture(width: float, height: float, *, margins: dict[str, float] | None = None) -> Iterator[Picture]:
    """Yields a new figure of `width` x `height` inches.

    margins: edges of the axes as shares of the figure. Without them matplotlib fits the axes, which doubles the time.
    """
    with rc_context(STYLE):  # type: ignore[arg-type,unused-ignore]
        drawn = Picture(width, height, margins)
        yield drawn
        buffer = io.BytesIO()
        drawn.figure.savefig(buffer, format="png", dpi=110)
        drawn.png = buffer.getvalue()


def score(history: History, trial: TrialHistory) -> float:
    """Returns the trial's value, of a stopped trial its best one; nan if there is none."""
    if trial.counts and math.isfinite(number(trial.value)):
        return number(trial.value)
    best = history.best_evaluation(trial.number)
    return math.nan if best is None else number(best.metrics[history.metric])


def valued(history: History) -> list[TrialHistory]:
    """Returns the trials that have ended with a finite score."""
    found = [history.trials[n] for n in history.finished if history.trials[n].outcome is not Outcome.FAILED]
    return [trial for trial in found if math.isfinite(score(history, trial))]


def shown_params(history: History, trials: list[TrialHistory]) -> list[str]:
    """Returns the names of the params to draw, at most MOST_AXES."""
    return read_params(history, trials)[:MOST_AXES]


def read_params(history: History, trials: Iterable[TrialHistory]) -> list[str]:
    """The names of the params that trials have, as people read them: those of the space first, in its order."""
    there = dict.fromkeys(name for trial in trials for name in trial.sampled_params)
    return [name for name in {**unfolded_space(history.space), **there} if name in there]


def scatter(axis: Axes, x: Sequence[float], y: Sequence[float], trials: Sequence[TrialHistory]) -> None:
    """Draws a point per trial, by the marks of the outcomes: filled if the trial counts."""
    for outcome in SHOWN:
        chosen = [i for i, trial in enumerate(trials) if outcome_of(trial) == outcome and math.isfinite(y[i])]
        places = [x[i] for i in chosen], [y[i] for i in chosen]
        mark = MARKS[outcome]
        if mark.marker in LINES_ONLY:
            axis.scatter(*places, s=26, marker=mark.marker, color=outcome.colour, lw=1.1, zorder=3)
            continue
        face = outcome.colour if mark.filled else "none"
        axis.scatter(*places, s=26, marker=mark.marker, facecolor=face, edgecolor=outcome.colour, lw=1.1, zorder=3)


def outcome_of(trial: TrialHistory) -> Outcome:
    """Returns how the trial ended; PAUSED or INTERRUPTED if it has not."""
    return Outcome.PAUSED if trial.paused else trial.outcome or Outcome.INTERRUPTED


def legend_handles(
    trials: list[TrialHistory], best: TrialHistory | None, *, best_label: str = "", lines: bool = False
) -> list[Line2D]:
    """The key of a picture; lines: its trials are lines."""
    present = {outcome_of(trial) for trial in trials}
    handles = [
        Line2D(
            [],
            [],
            color=outcome.colour,
            marker=MARKS[outcome].marker,
            ms=5,
            lw=1.1 if lines else 0,
            ls=MARKS[outcome].style,
            label=outcome.replace("_", " "),
            mfc=outcome.colour if MARKS[outcome].filled else "none",
        )
        for outcome in SHOWN
        if outcome in present
    ]
    if best is not None:
        label = best_label or f"best: trial {best.number}, {digits(number(best.value))}"
        handles.insert(0, Line2D([], [], color=WINNER, lw=2, label=label))
    return handles


def legend(
    axis: Axes, trials: list[TrialHistory], best: TrialHistory | None, *, best_label: str = "", lines: bool = False
) -> None:
    """Adds the key below the picture."""
    handles = legend_handles(trials, best, best_label=best_label, lines=lines)
    figure = axis.get_figure(root=True)
    if figure is not None:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def axis_limits(values: Sequence[float], direction: str, *, spread: float = 0.9) -> tuple[float, float]:
    """Returns limits of an axis that show the good values well; the worst tenth may lie outside."""
    found = sorted(value for value in values if math.isfinite(value))
    if not found:
        return 0.0, 1.0
    if direction == "minimize":
        low, high = found[0], _cap(found[0], found[int(spread * (len(found) - 1))], found[-1])
    else:
        low, high = _cap(found[-1], found[int((1 - spread) * (len(found) - 1))], found[0]), found[-1]
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def _cap(best: float, most: float, worst: float) -> float:
    """Returns the worst value, or `most` if the worst is more than twice as far from the best."""
    return worst if abs(worst - best) <= 2 * abs(most - best) or most == best else most


def count_of(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
