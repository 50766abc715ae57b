"""The middle of ranges, and the value of a range that is nearest to a wanted one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hpsearch.document.ranges import Branches, Choices, Internal, Number, Range

DIGITS = 3  # significant digits of a number in a continuous range


def middle(node: Range, usual: Any = None) -> Internal:
    """The middle of a range, the geometric one if `log` is set; of an even number of choices the lower one.

    Of choices without order: `usual` (the field's default) if it is one of them, else the first.
    """
    if isinstance(node, Number):
        between = math.sqrt(node.low * node.high) if node.log else (node.low + node.high) / 2
        return nearest(node, between)
    if isinstance(node, Branches):
        return node.labels[(len(node.labels) - 1) // 2]
    if node.ordered:
        return (len(node.choices) - 1) // 2
    places = [i for i, choice in enumerate(node.choices) if choice == usual and type(choice) is type(usual)]
    return node.labels[places[0] if places else 0]


def nearest(node: Number | Choices, wanted: float) -> Internal:
    """The internal value of a range of numbers that is nearest to the wanted one, by ratio if all are above zero."""
    if isinstance(node, Choices):
        return _nearest_place([float(choice) for choice in node.choices], wanted)  # type: ignore[arg-type]
    value = min(max(wanted, node.low), node.high)
    if node.step is not None:
        steps = math.ceil((value - node.low) / node.step - 0.5)  # the lower one of two that are equally near
        return node.internal(node.value(min(node.low + steps * node.step, node.high)))
    if node.integer:
        return int(min(max(round(value), node.low), node.high))
    return min(max(float(f"{value:.{DIGITS}g}"), node.low), node.high)


def _nearest_place(choices: Sequence[float], wanted: float) -> int:
    by_ratio = min(*choices, wanted) > 0
    scale = math.log if by_ratio else float
    return min(range(len(choices)), key=lambda i: (abs(scale(choices[i]) - scale(wanted)), choices[i]))
