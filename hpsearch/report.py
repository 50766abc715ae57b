"""The study as pictures: PNGs drawn from the journal's history.

Every function takes a History, gives the bytes of a PNG, or None where there is nothing to draw, and holds no state of
matplotlib (no pyplot).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter, PercentFormatter

from hpsearch.history import History, TrialHistory, number

COLOURS = {  # told apart by the colour-blind too
    "completed": "#2f6db3",
    "overfit": "#e0861a",
    "pruned": "#9aa3ad",
    "diverged": "#c5362f",
    "out_of_memory": "#7c4aa0",
    "failed": "#5a3b2e",
    "unfinished": "#4fa3a5",
}
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
FEWEST_FOR_IMPORTANCES = 4
MOST_AXES = 16  # parameters in one picture


class Picture:
    """A figure being drawn; `png` is there when its `with` block ends."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(self.figure)
        self.png = b""


@contextmanager
def picture(width: float, height: float) -> Iterator[Picture]:
    """A new figure of `width` x `height` inches in the house style."""
    with rc_context(STYLE):  # type: ignore[arg-type,unused-ignore]
        drawn = Picture(width, height)
        yield drawn
        buffer = io.BytesIO()
        drawn.figure.savefig(buffer, format="png", dpi=110)
        drawn.png = buffer.getvalue()


# ----------------------------------------------------------------------------------------------------------- one trial


def trial_curves(history: History, trial_number: int) -> bytes | None:
    """Training and validation loss over tokens, the best evaluation, and where overfitting began; below it the
    objective where that is another metric.
    """
    trial = history.trials[trial_number]
    if not trial.evaluations:
        return None
    other = history.metric != "val/loss" and any(map(math.isfinite, trial.curve(history.metric)[1]))
    with picture(7, 6 if other else 4) as drawn:
        axes = drawn.figure.subplots(2 if other else 1, 1, sharex=True, squeeze=False)[:, 0].tolist()
        _losses(axes[0], trial)
        if other:
            _line(axes[1], trial, history.metric, COLOURS["completed"], history.metric)
        _mark_best(axes, history, trial)
        for axis, label in zip(axes, ["loss (nats per token)", history.metric], strict=False):
            axis.set_ylabel(label)
            axis.legend(loc="best")
        axes[-1].set_xlabel("tokens seen")
        axes[-1].xaxis.set_major_formatter(EngFormatter())
        reason = f" ({trial.reason})" if trial.reason else ""
        axes[0].set_title(_cut(f"trial {trial_number}: {_outcome(trial)}{reason}", 110))
    return drawn.png


def _losses(axis: Axes, trial: TrialHistory) -> None:
    points: Iterable[tuple[float, float]] = trial.training or zip(*trial.curve("train/loss", "tokens"), strict=True)
    training = [(x, y) for x, y in points if math.isfinite(y)]
    if training:
        axis.plot(*zip(*training, strict=True), color="#9fb0c3", lw=1, label="training loss")
    _line(axis, trial, "val/loss", COLOURS["completed"], "validation loss")
    start = [y for _, y in training[:1]] + [y for y in trial.curve("val/loss")[1] if math.isfinite(y)][:1]
    shown = [y for _, y in training] + [y for y in trial.curve("val/loss")[1] if math.isfinite(y)]
    if shown:  # a loss that explodes must not flatten what came before
        low, high = min(shown), min(max(shown), 1.5 * max(start))
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1
        axis.set_ylim(low - margin, high + margin)


def _line(axis: Axes, trial: TrialHistory, metric: str, colour: str, label: str) -> None:
    x, y = trial.curve(metric, "tokens")
    marker = "o" if len(x) <= 60 else ""
    axis.plot(x, y, color=colour, lw=1.6, marker=marker, ms=3.5, label=label)
    finite = [value for value in y if math.isfinite(value)]
    broken = [place for place, value in zip(x, y, strict=True) if math.isnan(value)]
    if finite and broken:
        axis.plot(broken, [finite[-1]] * len(broken), "x", color=COLOURS["diverged"], mew=1.8, label="not a number")


def _mark_best(axes: list[Axes], history: History, trial: TrialHistory) -> None:
    best = history.best_evaluation(trial.number)
    if best is None:
        return
    last = max(e["tokens"] for e in trial.evaluations.values())
    for axis, metric in zip(axes, ["val/loss", history.metric], strict=False):
        if trial.outcome == "overfit":
            axis.axvspan(best["tokens"], last, color=COLOURS["overfit"], alpha=0.13, lw=0, label="overfitting")
            axis.axvline(best["tokens"], color=COLOURS["overfit"], lw=1, ls="--")
        value = number(best["metrics"].get(metric))
        if math.isfinite(value):
            label = f"best: {value:.4g} at epoch {best['epoch']:.3g}"
            axis.plot([best["tokens"]], [value], "*", color=WINNER, ms=13, mec="white", label=label, zorder=5)


# ---------------------------------------------------------------------------------------------------------- the study


def study_curves(history: History) -> bytes | None:
    """Every trial's objective over its own progress, coloured by outcome, the best trial emphasised."""
    curves = {n: t.curve(history.metric) for n, t in history.trials.items()}
    curves = {n: curve for n, curve in curves.items() if any(map(math.isfinite, curve[1]))}
    if not curves:
        return None
    best = history.best()
    with picture(7.5, 4.6) as drawn:
        axis = drawn.figure.subplots()
        alpha = max(0.25, min(0.8, 12 / len(curves)))
        for n, (x, y) in curves.items():
            trial, won = history.trials[n], best is not None and n == best.number
            colour = WINNER if won else COLOURS[_outcome(trial)]
            axis.plot(x, y, color=colour, lw=2.6 if won else 1.1, alpha=1 if won else alpha, zorder=4 if won else 2)
            axis.plot(x[-1:], y[-1:], "o", color=colour, ms=5 if won else 3, alpha=1 if won else alpha, zorder=5)
        axis.set(xlabel="progress of each trial's own training", ylabel=history.metric, xlim=(0, 1.02))
        axis.set_ylim(*_limits([y for _, curve in curves.values() for y in curve], history.direction, spread=0.85))
        axis.set_title(f"{history.study}: {history.metric} of {_count(len(curves), 'trial')}")
        _legend(axis, [history.trials[n] for n in curves], best)
    return drawn.png


def optimisation_history(history: History) -> bytes | None:
    """Each finished trial's value, filled where it counts (COMPLETE), and the best so far."""
    trials = [history.trials[n] for n in sorted(history.finished)]
    if not trials:
        return None
    values = [score(history, trial) for trial in trials]
    with picture(7.5, 4.2) as drawn:
        axis = drawn.figure.subplots()
        _scatter(axis, [t.number for t in trials], values, trials)
        _best_line(axis, history, trials)
        low, high = _limits(values, history.direction)
        axis.set_ylim(low, high)
        lost = [(t.number, COLOURS[_outcome(t)]) for t, value in zip(trials, values, strict=True) if math.isnan(value)]
        edge = high if history.direction == "minimize" else low
        for x, colour in lost:
            axis.plot([x], [edge], "x", color=colour, ms=6, mew=1.6, clip_on=False)
        axis.set(xlabel="trial", ylabel=history.metric, xlim=(-0.6, max(t.number for t in trials) + 0.6))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_title(f"{history.study}: value of each trial (hollow: stopped before it counted)")
        _legend(axis, trials, history.best(), best_label="best so far")
    return drawn.png


def _best_line(axis: Axes, history: History, trials: list[TrialHistory]) -> None:
    steps: list[tuple[int, float]] = []
    for trial in trials:
        if trial.state == "COMPLETE" and math.isfinite(number(trial.value)):
            value = number(trial.value)
            steps.append((trial.number, value if not steps or history.better(value, steps[-1][1]) else steps[-1][1]))
    if steps:
        steps.append((trials[-1].number, steps[-1][1]))
        axis.step(*zip(*steps, strict=True), where="post", color=WINNER, lw=1.6, zorder=1)


def slices(history: History) -> bytes | None:
    """The value over each parameter, one panel each, logarithmic where its range is."""
    trials = _valued(history)
    names = _shown_params(history, trials)
    if not names:
        return None
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    values = [score(history, trial) for trial in trials]
    with picture(max(4.5, 2.6 * columns), 2.5 * rows + 0.7) as drawn:
        panels = drawn.figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axis, name in zip(panels.flat, names, strict=False):
            chosen = [i for i, trial in enumerate(trials) if name in trial.params]
            scale = Scale(history.space.get(name, {}), [trials[i].params[name] for i in chosen])
            x = [scale.place(trials[i].params[name]) for i in chosen]
            _scatter(axis, x, [values[i] for i in chosen], [trials[i] for i in chosen])
            scale.apply(axis)
            axis.set_xlabel(name)
        for axis in panels.flat[len(names) :]:
            axis.set_visible(False)
        for axis in panels[:, 0]:
            axis.set_ylabel(history.metric)
        panels[0, 0].set_ylim(*_limits(values, history.direction))
        handles = _handles(trials, None)
        drawn.figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        panels[0, 0].set_title(f"{history.study}: {history.metric} over each parameter")
    return drawn.png


def parallel_coordinates(history: History) -> bytes | None:
    """A line for each trial across its parameters to its value; the better the darker, the best in green."""
    trials = sorted(_valued(history), key=lambda t: score(history, t), reverse=history.direction == "minimize")
    names = _shown_params(history, trials)
    if not names:
        return None
    values = [score(history, trial) for trial in trials]
    limits = _limits(values, history.direction)
    scales = [Scale(history.space.get(n, {}), [t.params[n] for t in trials if n in t.params]) for n in names]
    best = history.best()
    with picture(max(5.0, 1.35 * (len(names) + 1) + 0.8), 4.6) as drawn:
        axis = drawn.figure.subplots()
        for rank, (trial, value) in enumerate(zip(trials, values, strict=True)):
            places = zip(names, scales, strict=True)
            y = [scale.share(trial.params[n]) if n in trial.params else math.nan for n, scale in places]
            y.append(min(1.04, max(-0.04, (value - limits[0]) / (limits[1] - limits[0]))))
            won, good = best is not None and trial.number == best.number, (rank + 1) / len(trials)
            colour = WINNER if won else (0.78 - 0.62 * good, 0.83 - 0.43 * good, 0.88 - 0.2 * good)
            axis.plot(range(len(y)), y, color=colour, lw=2.8 if won else 1.2, alpha=1 if won else 0.35 + 0.5 * good)
        _vertical_scales(axis, names, scales, (history.metric, limits))
        axis.set_title(f"{history.study}: {_count(len(trials), 'trial')} (darker: better; green: the best)")
    return drawn.png


def _vertical_scales(axis: Axes, names: list[str], scales: list[Scale], last: tuple[str, tuple[float, float]]) -> None:
    axis.grid(False)
    for x in range(len(names) + 1):
        axis.axvline(x, color="#8a8f98", lw=0.8, zorder=0)
    for x, scale in enumerate(scales):
        for share, label in scale.marks():
            _mark(axis, x, share, label)
    for share in (0, 0.5, 1):
        _mark(axis, len(names), share, f"{last[1][0] + share * (last[1][1] - last[1][0]):.4g}")
    axis.set_xticks(range(len(names) + 1), [*names, last[0]], rotation=20, ha="right")
    axis.set(yticks=[], xlim=(-0.15, len(names) + 0.45), ylim=(-0.06, 1.06))
    axis.spines[["left", "bottom"]].set_visible(False)


def _mark(axis: Axes, x: float, share: float, label: str) -> None:
    box = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8}
    axis.text(x + 0.04, share, label, fontsize=7, color="#3c4148", va="center", bbox=box, zorder=6)


def importances(history: History) -> bytes | None:
    """How much of the differences between trials each parameter accounts for (fANOVA); None below 4 trials."""
    shares = importance_shares(history)
    if not shares:
        return None
    ordered = sorted(shares.items(), key=lambda item: item[1])[-MOST_AXES:]
    with picture(6.5, 0.9 + 0.34 * len(ordered)) as drawn:
        axis = drawn.figure.subplots()
        names, lengths = zip(*ordered, strict=True)
        bars = axis.barh(names, lengths, color=COLOURS["completed"], height=0.62)
        axis.bar_label(bars, fmt="{:.0%}", padding=3, fontsize=8)
        axis.set(xlim=(0, 1.1 * max(*lengths, 0.01)), xlabel=f"share of the differences in {history.metric}")
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.grid(axis="y", visible=False)
        axis.set_title(f"importance of parameters ({_count(len(_valued(history)), 'trial')})")
    return drawn.png


def importance_shares(history: History) -> dict[str, float]:
    """Parameter -> share of the variance of the trials' ranks that it explains (fANOVA, Hutter et al. 2014).

    Ranks, because a few diverged trials would else be all that counts; stopped trials stand by their best value.
    Parameters that only some trials have, or that never changed, are left out.
    """
    import optuna

    known, trials = distributions(history.space), _valued(history)
    everywhere = [name for name in known if all(name in trial.params for trial in trials)]
    shared = [name for name in everywhere if len({trial.params[name] for trial in trials}) > 1]
    if len(trials) < FEWEST_FOR_IMPORTANCES or not shared:
        return {}
    order = sorted({score(history, trial) for trial in trials})
    study = optuna.study.Study("report", _empty_storage())
    for trial in trials:
        params = {name: trial.params[name] for name in shared}
        rank = float(order.index(score(history, trial)))
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions={n: known[n] for n in shared}, value=rank)
        )
    if len(order) < 2:
        return dict.fromkeys(shared, 0.0)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, max_depth=16, seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _empty_storage() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "report")
    return storage


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> bytes | None:
    """A confusion matrix: true labels down, predicted across, shaded by share of the true label."""
    if not labels:
        return None
    n, names = len(labels), [_cut(label, 24) for label in labels]
    size = min(14.0, max(3.6, 2.2 + 0.36 * n))
    with picture(size + 0.6, size) as drawn:
        axis = drawn.figure.subplots()
        shares = [[count / max(1, sum(row)) for count in row] for row in counts]
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        bar = drawn.figure.colorbar(image, ax=axis, shrink=0.75, format=PercentFormatter(1))
        bar.set_label("share of the true label")
        small = 8 if n <= 25 else 6.5
        each = -(-n // 40)  # beyond 40 labels only some can be read, and each name takes its time to draw
        slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if n > 3 else {}
        axis.set_xticks(range(0, n, each), names[::each], fontsize=small, **slant)
        axis.set_yticks(range(0, n, each), names[::each], fontsize=small)
        axis.set(xlabel="predicted", ylabel="true")
        axis.grid(False)
        for i, row in enumerate(counts) if n <= 25 else ():
            for j, count in enumerate(row):
                colour = "white" if shares[i][j] > 0.55 else "#3c4148"
                axis.text(j, i, str(count), ha="center", va="center", fontsize=7, color=colour) if count else None
    return drawn.png


STUDY_PICTURES: dict[str, Callable[[History], bytes | None]] = {
    "curves": study_curves,
    "history": optimisation_history,
    "importances": importances,
    "parallel_coordinates": parallel_coordinates,
    "slices": slices,
}


def write_pictures(history: History, folder: Path) -> list[Path]:
    """Draws the study's pictures into a folder; gives the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in STUDY_PICTURES.items():
        png = draw(history)
        if png is not None:
            (folder / f"{name}.png").write_bytes(png)
            written.append(folder / f"{name}.png")
    return written


# -------------------------------------------------------------------------------------------------------------- scales


class Scale:
    """Where a parameter's values stand on an axis: numbers by size or logarithm, choices at equal distances."""

    def __init__(self, limits: dict[str, Any], seen: Sequence[Any]) -> None:
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen)
        self.choices: list[Any] | None = None
        if "choices" in limits or not numeric:
            listed = list(limits.get("choices", []))
            self.choices = listed + [value for value in dict.fromkeys(seen) if value not in listed]
            self.low, self.high = 0.0, float(len(self.choices) - 1)
        else:
            self.low = float(limits.get("low", min(seen, default=0)))
            self.high = float(limits.get("high", max(seen, default=1)))
        self.whole = all(isinstance(limits.get(end), int) for end in ("low", "high"))
        self.log = bool(limits.get("log")) and self.choices is None and self.low > 0

    def place(self, value: Any) -> float:
        """The coordinate of a value."""
        return float(value) if self.choices is None else float(self.choices.index(value))

    def share(self, value: Any) -> float:
        """The place between low (0) and high (1); a range of one value is the middle."""
        transform = math.log if self.log else float
        low, high = transform(self.low), transform(self.high)
        return (transform(self.place(value)) - low) / (high - low) if high > low else 0.5

    def apply(self, axis: Axes) -> None:
        """Makes this the scale of the x axis."""
        if self.choices is not None:
            labels = [_cut(str(choice), 16) for choice in self.choices]
            long = sum(map(len, labels)) > 22
            axis.set_xticks(range(len(labels)), labels, rotation=30 if long else 0, ha="right" if long else "center")
            axis.set_xlim(-0.5, len(labels) - 0.5)
            return
        if self.log:
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
            if self.high > self.low:
                axis.set_xlim(self.low / 1.15, self.high * 1.15)
            return
        margin = 0.05 * (self.high - self.low) or 0.5
        axis.set_xlim(self.low - margin, self.high + margin)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=self.whole))

    def marks(self) -> list[tuple[float, str]]:
        """(share, label) of the marks on a vertical axis."""
        if self.choices is not None:
            return [(self.share(choice), _cut(str(choice), 18)) for choice in self.choices]
        if self.low == self.high:
            return [(0.5, f"{self.low:.3g}")]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        marks = (self.low, self.high) if self.whole and middle % 1 else (self.low, middle, self.high)
        return [(self.share(value), f"{value:.3g}") for value in marks]


def distributions(space: dict[str, Any]) -> dict[str, Any]:
    """The space as the journal describes it in Optuna's distributions over values as people see them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, limits in space.items():
        if "choices" in limits:
            found[name] = CategoricalDistribution(tuple(limits["choices"]))
        elif isinstance(limits["low"], int) and isinstance(limits["high"], int):
            found[name] = IntDistribution(
                limits["low"], limits["high"], limits.get("log") or False, limits.get("step") or 1
            )
        else:
            found[name] = FloatDistribution(
                limits["low"], limits["high"], limits.get("log") or False, limits.get("step")
            )
    return found


def local_time(seconds: float) -> datetime:
    """Unix seconds as Optuna stores times: local and without a zone."""
    return datetime.fromtimestamp(seconds)


# ------------------------------------------------------------------------------------------------------------- helpers


def score(history: History, trial: TrialHistory) -> float:
    """The trial's value, or for one that was stopped the best it had; nan where there is none."""
    if trial.state == "COMPLETE" and math.isfinite(number(trial.value)):
        return number(trial.value)
    best = history.best_evaluation(trial.number)
    return math.nan if best is None else number(best["metrics"][history.metric])


def _valued(history: History) -> list[TrialHistory]:
    found = [history.trials[n] for n in history.finished if history.trials[n].outcome != "failed"]
    return [trial for trial in found if math.isfinite(score(history, trial))]


def _shown_params(history: History, trials: list[TrialHistory]) -> list[str]:
    seen = dict.fromkeys([*history.space, *(name for trial in trials for name in trial.params)])
    return [name for name in seen if any(name in trial.params for trial in trials)][:MOST_AXES]


def _scatter(axis: Axes, x: Sequence[float], y: Sequence[float], trials: Sequence[TrialHistory]) -> None:
    for outcome, colour in COLOURS.items():
        chosen = [i for i, trial in enumerate(trials) if _outcome(trial) == outcome and math.isfinite(y[i])]
        face = colour if outcome in ("completed", "overfit") else "none"
        axis.scatter(
            [x[i] for i in chosen], [y[i] for i in chosen], s=26, facecolor=face, edgecolor=colour, lw=1.1, zorder=3
        )


def _outcome(trial: TrialHistory) -> str:
    return trial.outcome if trial.outcome in COLOURS else "unfinished"


def _handles(trials: list[TrialHistory], best: TrialHistory | None, *, best_label: str = "") -> list[Line2D]:
    present = {_outcome(trial) for trial in trials}
    handles = [
        Line2D(
            [],
            [],
            color=colour,
            marker="o",
            ms=5,
            lw=0,
            label=outcome.replace("_", " "),
            mfc=colour if outcome in ("completed", "overfit") else "none",
        )
        for outcome, colour in COLOURS.items()
        if outcome in present
    ]
    if best is not None:
        label = best_label or f"best: trial {best.number}, {number(best.value):.4g}"
        handles.insert(0, Line2D([], [], color=WINNER, lw=2, label=label))
    return handles


def _legend(axis: Axes, trials: list[TrialHistory], best: TrialHistory | None, *, best_label: str = "") -> None:
    handles = _handles(trials, best, best_label=best_label)
    figure = axis.get_figure(root=True)
    if figure is not None:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _limits(values: Sequence[float], direction: str, *, spread: float = 0.9) -> tuple[float, float]:
    """The limits of an axis that show the good values well; the worst tenth may lie outside when they are far off."""
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
    """The worst value, unless it is more than twice as far from the best as most values are."""
    return worst if abs(worst - best) <= 2 * abs(most - best) or most == best else most


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
