"""Params for people: the label of a branch (`tuning=lora, lora_rank=4..32`) becomes the values that it stands for.

The journal, Optuna and programs keep the label, which names the branch whatever its ranges are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PART = r"[A-Za-z_][\w.]*=[^=,]*"
_LABEL = re.compile(rf"({_PART}(?:, {_PART})*?)(?: \(\d+\))?")  # a number tells equal labels apart
_RANGE = re.compile(r".*(\.\.|\|).*")


def unfolded(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params with the keys of their branches in place of the labels, ranges of a branch by their own params.

    {"tuning": "tuning=lora, lora_rank=4..32", "lora_rank": 16} is {"tuning": "lora", "lora_rank": 16}.
    """
    found: dict[str, Any] = {}
    for name, value in params.items():
        parts = _parts(name, value, params)
        if parts is None:
            found[name] = value
        else:
            found |= {key: params.get(key, text) for key, text in parts.items() if not _has_own(key, text, params)}
    return found


def _parts(name: str, value: Any, params: Mapping[str, Any]) -> dict[str, str] | None:
    """Key and text of each part of a branch's label; None for another value."""
    made = _LABEL.fullmatch(value) if isinstance(value, str) else None
    if made is None:
        return None
    parts = dict(part.split("=", 1) for part in made[1].split(", "))
    is_label = len(parts) > 1 or name.rpartition(".")[2] in parts or any(key in params for key in parts)
    return parts if is_label else None


def _has_own(key: str, text: str, params: Mapping[str, Any]) -> bool:
    """Whether a part is a range whose value is a param of its own, perhaps by a longer name."""
    return _RANGE.fullmatch(text) is not None and any(
        name == key or name.endswith(f".{key}") for name, value in params.items() if value != text
    )
