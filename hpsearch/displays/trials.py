"""A table of trials with a column for each hyperparameter that differs, as wide as the terminal and no wider.

Where the columns do not fit, their names are broken at `_` and the lines between them are left out; then up to
three params stand one below the other in a row, as in the heading; then those that matter least are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.displays.text import cell, shown
from hpsearch.results.evidence.pruning_audit import spearman

LINES = (1, 2, 3)  # of params in a row

Params = Mapping[str, Any]


@dataclass(frozen=True)
class ParamColumns:
    """The params of some trials as columns of a table."""

    heads: tuple[str, ...]  # of several lines, where params stand one below the other
    rows: tuple[tuple[str, ...], ...]  # of each trial
    left_out: tuple[str, ...] = ()  # names of params
    framed: bool = True  # whether there are lines between the columns


def differing(trials: Sequence[Params]) -> tuple[list[str], dict[str, Any]]:
    """The names of the params that differ between trials, and the values of those that do not (of one trial: none)."""
    names = list(dict.fromkeys(name for params in trials for name in params))
    if len(trials) < 2:
        return names, {}
    same = {name: trials[0][name] for name in names if all(_is(params, name, trials[0]) for params in trials)}
    return [name for name in names if name not in same], same


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The last dotted part of each name, with the part before where two would be alike: a.rate and b.rate."""
    found = dict.fromkeys(names, 1)
    while True:
        short = {name: _end(name, parts) for name, parts in found.items()}
        alike = [name for name in names if list(short.values()).count(short[name]) > 1]
        longer = [name for name in alike if short[name] != name]
        if not longer:
            return short
        for name in longer:
            found[name] += 1


def importance(name: str, trials: Sequence[Params], values: Sequence[float]) -> float:
    """How closely a param goes with the trials' values: Spearman's rank correlation, without its sign.

    Values without an order count by the mean value of the trials that have them.
    """
    pairs = [(params[name], y) for params, y in zip(trials, values, strict=True) if name in params and math.isfinite(y)]
    if not all(isinstance(x, int | float) for x, _ in pairs):
        groups: dict[str, list[float]] = {}
        for x, y in pairs:
            groups.setdefault(str(x), []).append(y)
        pairs = [(sum(groups[str(x)]) / len(groups[str(x)]), y) for x, y in pairs]
    return abs(spearman([(float(x), y) for x, y in pairs]) or 0.0) if pairs else 0.0


def param_columns(
    names: Sequence[str], trials: Sequence[Params], fits: Callable[[ParamColumns], bool], weights: Mapping[str, float]
) -> ParamColumns:
    """The params as columns that fit; `weights`: how much each one matters."""
    kept = list(names)
    while True:
        heads = short_names(kept)
        broken = {name: head.replace("_", "_\n").rstrip("\n") for name, head in heads.items()}
        left_out = tuple(name for name in names if name not in kept)
        tries = ((1, heads, True), (1, broken, True), *((n, broken if n == 1 else heads, False) for n in LINES))
        for lines, named, framed in tries:
            found = replace(_stacked(kept, trials, named, lines), left_out=left_out, framed=framed)
            if fits(found) or not kept:
                return found
        kept.remove(min(kept, key=lambda name: (weights.get(name, 0.0), -kept.index(name))))


def _stacked(names: Sequence[str], trials: Sequence[Params], heads: Mapping[str, str], lines: int) -> ParamColumns:
    """The params in so many lines of a row, those of equal widths one below the other."""
    widths = {name: max(len(heads[name]), *(len(_value(params, name)) for params in trials), 0) for name in names}
    ordered = list(names) if lines == 1 else sorted(names, key=lambda name: -widths[name])
    columns = [ordered[at : at + lines] for at in range(0, len(ordered), lines)]
    rows = tuple(tuple("\n".join(_value(params, name) for name in column) for column in columns) for params in trials)
    return ParamColumns(tuple("\n".join(heads[name] for name in column) for column in columns), rows)


def _value(params: Params, name: str) -> str:
    return cell(shown(params[name])).replace("\n", " ") if name in params else ""


def _end(name: str, parts: int) -> str:
    """The last parts of a dotted name; a number at its end is none: n_layers.1."""
    words = name.split(".")
    numbers = 0
    while numbers < len(words) - 1 and words[-1 - numbers].isdecimal():
        numbers += 1
    return ".".join(words[-parts - numbers :])


def _is(params: Params, name: str, other: Params) -> bool:
    return name in params and name in other and params[name] == other[name]
