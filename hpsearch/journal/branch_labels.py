"""Params for people: the label of a branch (`tuning=lora, lora_rank=4..32`) becomes the values that it stands for.

The journal, Optuna and programs keep the label, which names the branch whatever its ranges are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PART = r"[A-Za-z_][\w.]*=[^=,]*?"
_LABEL = re.compile(rf"({_PART}(?:, {_PART})*)(?: \(\d+\))?")  # a number tells equal labels apart
_RANGE = re.compile(r".*(\.\.|\|).*")


def unfolded(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params with the keys of their branches in place of the labels, ranges of a branch by their own params.

    {"tuning": "tuning=lora, lora_rank=4..32", "lora_rank": 16} is {"tuning": "lora", "lora_rank": 16}, and
    {"epochs": "epochs=3..9", "epochs.2": 5}, of the third branch, is {"epochs": 5}.
    """
    found: dict[str, Any] = {}
    numbered = set[str]()  # params that stand under the key of their branch
    for name, value in params.items():
        parts = _parts(name, value, params)
        if parts is None:
            found |= {name: value} if name not in numbered else {}
            continue
        for key, text in parts.items():
            own = _own(key, params, but=name) if _RANGE.fullmatch(text) else None
            if own is None:
                found[key] = _plain(text)
            elif own == key or re.fullmatch(rf"{re.escape(key)}\.\d+", own):
                found[key] = params[own]
                numbered.add(own)
    return found


def _own(key: str, params: Mapping[str, Any], *, but: str) -> str | None:
    """The param of a range in a branch: by its key, with the number of the branch, or with the names around it."""
    is_own = re.compile(rf"(.*\.)?{re.escape(key)}(\.\d+)?").fullmatch
    return next((name for name in params if name != but and is_own(name)), None)


def _plain(text: str) -> int | float | str:
    """The number that a text is, or else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parts(name: str, value: Any, params: Mapping[str, Any]) -> dict[str, str] | None:
    """Key and text of each part of a branch's label; None for another value."""
    made = _LABEL.fullmatch(value) if isinstance(value, str) else None
    if made is None:  # perhaps a branch that sets the key alone: its label is the range
        is_range = isinstance(value, str) and _RANGE.fullmatch(value) is not None
        numbered = re.compile(rf"{re.escape(name)}\.\d+").fullmatch
        return {name: value} if is_range and any(numbered(other) for other in params) else None
    parts = dict(part.split("=", 1) for part in made[1].split(", "))
    is_label = len(parts) > 1 or name.rpartition(".")[2] in parts or any(key in params for key in parts)
    return parts if is_label else None
