"""A warning about spaces whose cool-down begins so early that overfitting, which is judged before it, stays unseen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.document.ranges import Branches, Choices, Range
from hpsearch.space.search import Overfitting
from hpsearch.space.space import Space
from hpsearch.space.space_file import SpaceFile

EARLY = 0.5  # share of the schedule: a cool-down that begins before it is long
FEW = 2  # evaluations before the cool-down, beside those that must have risen: with fewer, none is a clear best


def long_cooldown(file: SpaceFile, first: Mapping[str, Any], overfitting: Overfitting) -> str | None:
    """Returns the line for a space in which some config has too few evaluations before its cool-down; None if none has.

    first: an internal value of each parameter. Each number is also tried at its highest value.
    """
    if not overfitting.enabled:
        return None
    for node, values in [(None, dict(first)), *_highest(file.space, first)]:
        if (said := _seen(file, values, least=overfitting.evaluations + FEW)) is not None:
            place = "" if node is None else f"{file.where(*node.keys)}: "
            return f"{place}{said}, so overfitting, which is judged before it, is seen late or never"
    return None


def _highest(space: Space, first: Mapping[str, Any]) -> Iterator[tuple[Range, dict[str, Any]]]:
    for name, node in space.params.items():
        if isinstance(node, Branches) or (isinstance(node, Choices) and not node.ordered):
            continue
        yield node, {**first, name: len(node.choices) - 1 if isinstance(node, Choices) else node.high}


def _seen(file: SpaceFile, values: Mapping[str, Any], *, least: int) -> str | None:
    """Says how few evaluations precede the cool-down of a config; None if they are enough, or it has none."""
    trainer = file.space.trainer
    with contextlib.suppress(ValueError):  # no valid config
        raw = file.config.model_dump(mode="json") | dict(file.space.config(values))
        config = trainer.config.model_validate(raw)
        phases, times = trainer.phases(config), trainer.evaluations(config)
        if times is None or phases.cooldown_from >= EARLY:
            return None
        before = sum(phases.warmup_until <= n / times <= phases.cooldown_from for n in range(1, times + 1))
        if before < least:
            return f"a cool-down of {1 - phases.cooldown_from:.2g} leaves {before} of {times} evaluations before it"
    return None
