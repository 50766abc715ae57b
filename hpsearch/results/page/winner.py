"""The winner: its hyperparameters with their bands, its values with fresh seeds, and the baselines beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.journal.branch_labels import branch_parts, unfolded_space
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.results.evidence import bands
from hpsearch.results.evidence.bands import Band
from hpsearch.results.evidence.comparisons import Comparison, comparisons
from hpsearch.results.page.figures import NONE, figure, measured, shown, text


@dataclass(frozen=True)
class Value:
    """One hyperparameter of the winner."""

    name: str
    value: str
    good: str  # values within two sigma of the best
    recommended: str
    searched: str  # its range
    note: str


@dataclass(frozen=True)
class Table:
    """A small table: heads and rows of text; `strong`: rows to emphasise."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    strong: frozenset[int] = frozenset()


def values(history: History, best: TrialHistory) -> list[Value]:
    """The winner's hyperparameters."""
    found, space = bands.of(history), unfolded_space(history.space)
    band = _bands(history, found)
    return [_value(name, value, space.get(name), band.get(name), found) for name, value in best.told_params.items()]


def _bands(history: History, found: bands.Bands) -> dict[str, Band]:
    """The bands by the names that people read; that of a choice between branches by each key that these set."""
    own = {found.names[one.name]: one for one in found.bands if one.name in found.names}
    for one in found.bands:
        for key in [] if one.name in found.names else branch_parts(one.name, one.best, history.space):
            parts = [branch_parts(one.name, label, history.space).get(key) for label in one.values]
            values = tuple(dict.fromkeys(part for part in parts if part is not None))
            best = branch_parts(one.name, one.recommended, history.space).get(key)
            own.setdefault(key, replace(one, values=values, recommended=best))
    return own


def _value(name: str, value: Any, limits: Mapping[str, Any] | None, band: Band | None, found: bands.Bands) -> Value:
    return Value(
        text(name),
        shown(value),
        _span(band) if band is not None and found.good > 1 else NONE,
        shown(band.recommended) if band is not None and found.good > 1 else NONE,
        _range(limits),
        _note(band, found),
    )


def _span(band: Band) -> str:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in band.values)
    if numbers and len(band.values) > 1:
        return f"{shown(band.values[0])} to {shown(band.values[-1])}"
    return ", ".join(map(shown, band.values))


def _range(limits: Mapping[str, Any] | None) -> str:
    if not limits:
        return "fixed"
    if "choices" in limits:
        return ", ".join(map(shown, limits["choices"]))
    return f"{shown(limits['low'])} to {shown(limits['high'])}{', log' if limits.get('log') else ''}"


def _note(band: Band | None, found: bands.Bands) -> str:
    if band is None:
        return ""
    said = []
    if band.cliff is not None:
        beyond = "up" if band.cliff.side == "upper" else "down"
        said.append(f"{'diverges' if band.cliff.diverged else 'far worse'} from {shown(band.cliff.start)} {beyond}")
    if band.name in found.idle:
        said.append("seems not to matter" if band.narrow is None else "no difference in this narrow range")
    elif band.edge:
        said.append(f"at the {band.edge} edge of its range")
    return "; ".join(said)


def fresh_seeds(history: History) -> Table | None:
    """The trials that were trained again with fresh seeds, the best first; None without any."""
    found, metric = history.confirmation, text(history.metric)
    if found is None:
        return None
    default = history.default()
    rows = []
    for one in found.finalists:
        margin = found.margin(one)
        mean = measured(one.mean) + ("" if margin is None else f" ± {figure(margin, 2)}")
        known = "worse" if found.sigma is not None or not math.isfinite(one.mean) else "worse, by unknown noise"
        note = "winner" if one is found.winner else "tie with the winner" if one.trial in found.tied else known
        note += ", the default config" if default is not None and one.trial == default.number else ""
        each = ", ".join(measured(value) for value in one.values)
        rows.append((f"trial {one.trial}", mean, each, measured(one.searched), note))
    return Table(("trial", f"{metric}, mean", "of each seed", "in the search", ""), rows, frozenset({0}))


def baselines(history: History) -> Table | None:
    """The baselines beside the winner, by the metric that both have; None without any."""
    found = comparisons(history)
    rows = [
        (text(one.name), text(one.metric), measured(one.baseline), measured(one.winner), _beaten(one)) for one in found
    ]
    return Table(("baseline", "metric", "baseline", "winner", "beaten"), rows) if rows else None


def _beaten(one: Comparison) -> str:
    return "no different" if one.tie else "yes" if one.beaten else "no"


def metrics(history: History, best: TrialHistory) -> list[tuple[str, str]]:
    """All metrics of the winner at its best evaluation."""
    evaluation = history.best_evaluation(best.number)
    return (
        []
        if evaluation is None
        else [(text(name), measured(value)) for name, value in sorted(evaluation.metrics.items())]
    )
