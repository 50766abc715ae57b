"""Which configs of a space a plan measures: the default one, those at which the cost is extreme, some between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from random import Random
from typing import Any

from hpsearch.document.ranges import Branches, Choices, Range
from hpsearch.errors import ConfigError
from hpsearch.policies.optuna.priors import drawn
from hpsearch.space.default_config import NoDefault
from hpsearch.space.experiment import Experiment
from hpsearch.space.priors import priors

DEFAULT, SMALLEST, LARGEST, LONGEST = "default config", "smallest", "largest in memory", "longest"
MOST = 512  # combinations of ends that are looked at
DRAWN = 200  # random configs of the space
BETWEEN = 12  # configs that are measured at most, beside the named ones


@dataclass(frozen=True)
class Corner:
    """A config of the space, and why it is measured."""

    name: str  # empty: a random config, as trials have
    params: Mapping[str, Any]
    config: Any


def draws(experiment: Experiment, sets: Mapping[str, Any], count: int = DRAWN) -> list[Corner]:
    """Random configs of the space, drawn as the first trials of a study are."""
    values = drawn(experiment.space, priors(experiment, sets), count)
    found = (_corner(experiment, "", one) for one in values)
    return [one for one in found if one is not None]


def corners(experiment: Experiment, sets: Mapping[str, Any], random: Sequence[Corner]) -> list[Corner]:
    """The configs to measure, the most telling ones first; each differs from the others in what its cost grows with.

    Without `Trainer.work`: the default config and random ones.
    """
    default = _default(experiment, sets)
    own = [] if default is None else [default]
    work = _Work(experiment, sets)
    if not work.of(random[0].config):
        return [*own, *random[:BETWEEN]]
    ends = [*_ends(experiment, work, random[0]), *random]
    smallest = min(ends, key=lambda one: work.of(one.config).get("seconds", 0.0))
    largest = max(ends, key=lambda one: work.of(one.config).get("memory", 0.0))
    longest = max(ends, key=lambda one: work.of(one.config).get("seconds", 0.0))
    named = [(DEFAULT, default), (LONGEST, longest), (LARGEST, largest), (SMALLEST, smallest)]
    found = [Corner(name, one.params, one.config) for name, one in named if one is not None]
    return [*_distinct(found, work), *_between(found, random, work)]


class _Work:
    """What the cost of configs grows with, as the trainer says."""

    def __init__(self, experiment: Experiment, sets: Mapping[str, Any]) -> None:
        self._experiment, self._sets = experiment, sets

    def of(self, config: Any) -> dict[str, float]:
        return dict(self._experiment.trainer.work(config, self._sets))

    def place(self, config: Any) -> tuple[float, ...]:
        """The config as a point, whose distance to another says how much their costs differ."""
        return tuple(math.log(max(value, 1e-12)) for value in self.of(config).values())


def _default(experiment: Experiment, sets: Mapping[str, Any]) -> Corner | None:
    try:
        internal = experiment.default(sets).internal
    except NoDefault:
        return None
    return Corner(DEFAULT, experiment.space.values(internal), experiment.config(internal))


def _ends(experiment: Experiment, work: _Work, middle: Corner) -> Iterator[Corner]:
    """Every combination of the ends of the ranges by which the cost changes, up to MOST."""
    ends = {name: _values(experiment.space.params[name]) for name in _telling(experiment, work)}
    combinations = list(islice(product(*ends.values()), 100_000))
    if len(combinations) > MOST:
        combinations = [combinations[0], combinations[-1], *Random(0).sample(combinations, MOST)]
    for values in combinations:
        one = _corner(experiment, "", dict(zip(ends, values, strict=True)))
        if one is not None:
            yield one


def telling(experiment: Experiment, sets: Mapping[str, Any]) -> list[str]:
    """The params by which the cost of a config changes; all of them if the trainer does not say."""
    params = list(experiment.space.params)
    if not experiment.trainer.work(experiment.space_file.config, sets):
        return params
    return _telling(experiment, _Work(experiment, sets))


def _telling(experiment: Experiment, work: _Work) -> list[str]:
    params = experiment.space.params.items()
    return [name for name, node in params if _changes(experiment, work, name, _values(node))]


def _values(node: Range) -> Sequence[Any]:
    """The lowest and the highest value of numbers, every value of other choices."""
    if isinstance(node, Branches):
        return node.labels
    if isinstance(node, Choices):
        return [node.choices[0], node.choices[-1]] if node.ordered else node.choices
    return [node.value(node.low), node.value(node.high)]


def _changes(experiment: Experiment, work: _Work, name: str, values: Sequence[Any]) -> bool:
    """Whether the cost changes with a parameter; one of a sub-config counts as if it did."""
    found = [_corner(experiment, "", {name: value}) for value in values]
    places = {work.place(one.config) for one in found if one is not None}
    return len(places) > 1 or any(one is not None and name not in one.params for one in found)


def _corner(experiment: Experiment, name: str, given: Mapping[str, Any]) -> Corner | None:
    """The config with some values, completed by the middle of the other ranges; None if it is no valid config."""
    try:
        internal = experiment.space.middle(given)
        return Corner(name, experiment.space.values(internal), experiment.config(internal))
    except ConfigError:
        return None


def _distinct(found: Sequence[Corner], work: _Work) -> list[Corner]:
    """One corner for each place, with the names of all that are there."""
    names: dict[tuple[float, ...], list[str]] = {}
    first: dict[tuple[float, ...], Corner] = {}
    for one in found:
        place = work.place(one.config)
        names.setdefault(place, []).append(one.name)
        first.setdefault(place, one)
    return [Corner(", ".join(names[place]), one.params, one.config) for place, one in first.items()]


def _between(named: Sequence[Corner], random: Sequence[Corner], work: _Work) -> Iterator[Corner]:
    """Random configs, each the farthest from all before it."""
    known = [work.place(one.config) for one in named]
    left = {work.place(one.config): one for one in random}
    for _ in range(min(BETWEEN, len(left))):
        place = max(left, key=lambda at: min(math.dist(at, other) for other in known))
        if min(math.dist(place, other) for other in known) == 0:
            return
        known.append(place)
        yield left.pop(place)
