"""Random values of ranges."""

from __future__ import annotations

import math
from random import Random

from hpsearch.document.ranges import Branches, Choices, Internal, Number, Range


def draw(node: Range, random: Random) -> Internal:
    """A random internal value of a range: uniform, or uniform in the logarithm if `log` is set."""
    if isinstance(node, Branches):
        return random.choice(node.labels)
    if isinstance(node, Choices):
        index = random.randrange(len(node.choices))
        return index if node.ordered else node.labels[index]
    return _integer(node, random) if node.integer else _float(node, random)


def _integer(node: Number, random: Random) -> int:
    low, high = int(node.low), int(node.high)
    if node.log:
        drawn = math.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return min(max(round(drawn), low), high)
    return random.randrange(low, high + 1, int(node.step or 1))


def _float(node: Number, random: Random) -> float:
    if node.step is not None:
        return node.low + node.step * random.randrange(node.size or 1)
    if node.log:
        return min(max(math.exp(random.uniform(math.log(node.low), math.log(node.high))), node.low), node.high)
    return random.uniform(node.low, node.high)
