"""Names allowed for data sets, the keys that a rule checks together, and suggestions for a broken rule."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpsearch.document.document import Fault
from hpsearch.document.ranges import Choices, Fixed, Leaf, Number
from hpsearch.document.ranges import probes as all_probes
from hpsearch.training.config import ModelConfig

TIED = {
    "tokenizer": ("kind", "file"),
    "model": ("width", "n_heads", "n_kv_heads"),
    "training": ("schedule", "warmup", "cooldown"),
}
SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_names(sets: Iterable[str]) -> None:
    """Raises Fault for a data set whose name cannot be part of a metric's name."""
    for name in sets:
        if not SET.fullmatch(name):
            allowed = "letters, digits, '.', '_', '-' (up to 64, a letter or digit first)"
            raise Fault(("data", name), f"a data set's name may have {allowed}", at_key=True)


def probes(key: str, leaf: Leaf) -> Sequence[Any]:
    """The values to check a rule with: of a grid of widths the first two and the last are enough."""
    if key == "width" and isinstance(leaf, Number) and leaf.integer and leaf.low != leaf.high:
        grid = leaf.grid  # low + k * step is a multiple of the heads for every k if it is for k = 0 and 1
        return [*grid[:2], grid[-1]]
    return all_probes(leaf)


def remedy(ruled: Mapping[str, Leaf]) -> str:
    """Suggests a range in which n_heads divides width, if one of the two is a range of integers."""
    width, heads = ruled.get("width"), ruled.get("n_heads")
    if isinstance(width, Number):
        step = 2 * math.lcm(*(all_probes(heads) if heads else [ModelConfig().n_heads]))
        low, high = -(-int(width.low) // step) * step, int(width.high) // step * step
        return f"; {{low: {low}, high: {high}, step: {step}}} would do" if low < high else "; list them as choices"
    if isinstance(heads, Number):
        total = width.value if isinstance(width, Fixed) else ModelConfig().width
        even = [n for n in all_probes(heads) if total % (2 * n) == 0]
        return f"; {{choices: {even}}} would do" if even and not isinstance(width, Choices) else ""
    return ""
