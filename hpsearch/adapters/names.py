"""The metrics of other libraries under hpsearch's names: `eval_loss` and `val_loss` are `val/loss`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

PREFIXES = {"eval_": "val/", "val_": "val/", "valid_": "val/", "test_": "test/", "train_": "train/"}


def named(metrics: Mapping[str, Any], *, otherwise: str = "") -> dict[str, float]:
    """The numbers of metrics by our names; names without a known prefix get the one of `otherwise`."""
    found = {}
    for name, value in metrics.items():
        with contextlib.suppress(TypeError, ValueError):
            found[_name(name, otherwise)] = float(value)
    return found


def _name(name: str, otherwise: str) -> str:
    for prefix, ours in PREFIXES.items():
        if name.startswith(prefix):
            return ours + name.removeprefix(prefix)
    return name if "/" in name else otherwise + name
