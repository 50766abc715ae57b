"""Params for people: the label of a branch (`tuning=lora, lora_rank=4..32`) becomes the values that it stands for.

The journal, Optuna and programs keep the label, which names the branch whatever its ranges are, and the number of the
branch behind the name of its range (`epochs.2`). People read neither: what they see goes through here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_PART = r"[A-Za-z_][\w.]*=[^=,]*?"
_LABEL = re.compile(rf"({_PART}(?:, {_PART})*)(?: \(\d+\))?")  # a number tells equal labels apart
_RANGE = re.compile(r".*(\.\.|\|).*")
_NUMBER = re.compile(r"\.\d+$")  # of a branch, behind the name of its range
_A_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?")
KINDS = {"kind", "name"}  # keys that say what the whole is: people read tokenizer=bpe, not kind=bpe
_SECTIONS = {"tokenizer", "model", "training", "evaluation"}  # choices of a whole section are never texts


def unfolded(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params with the keys of their branches in place of the labels, ranges of a branch by their own params.

    {"tuning": "tuning=lora, lora_rank=4..32", "lora_rank": 16} is {"tuning": "lora", "lora_rank": 16},
    {"tokenizer": "kind=bytes"} is {"tokenizer": "bytes"}, and {"epochs": "epochs=3..9", "epochs.2": 5}, of the second
    branch, is {"epochs": 5}.
    """
    found: dict[str, Any] = {}
    numbered = set[str]()  # params that stand under the key of their branch
    for name, value in params.items():
        parts = _parts(name, value, params)
        if parts is None:
            found |= {name: _plain(value)} if name not in numbered else {}
            continue
        for key, text in parts.items():
            own = _own(key, params, but=name) if _RANGE.fullmatch(text) else None
            if own is None:
                found[key] = _plain(text)
            elif own == key or _NUMBER.search(own):
                found[_NUMBER.sub("", own)] = params[own]
                numbered.add(own)
    return found


def is_label(name: str, params: Mapping[str, Any]) -> bool:
    """Whether the value of a param is the label of a branch."""
    return _parts(name, params[name], params) is not None


def branch_parts(name: str, label: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a branch sets, by key: a value, or a range as text; of another value of the param the value itself."""
    found = _parts(name, label, params)
    return {name: label} if found is None else {key: _plain(text) for key, text in found.items()}


def label_in_words(label: str) -> str:
    """The label of a branch in words: "n_layers 1 with width 64"; another text as it is."""
    made = _LABEL.fullmatch(label)
    if made is None:
        return label
    first, *others = (part.replace("=", " ", 1) for part in made[1].split(", "))
    return first + (f" with {' and '.join(others)}" if others else "")


def unfolded_space(space: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The ranges of a space by the names that `unfolded` gives the params of its trials, in the same order.

    {"model": {"choices": ["n_layers=1, width=64", "n_layers=2..4, width=32"]}, "n_layers": {"low": 2, "high": 4}} is
    {"n_layers": {"low": 1, "high": 4}, "width": {"choices": [32, 64]}}: a key that some branches fix and others search
    has the range that spans both.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    names = read_names(space)
    for name, limits in space.items():
        if name in names:
            given = {"choices": [_plain(value) for value in limits["choices"]]} if "choices" in limits else {}
            found.setdefault(names[name], []).append({**limits, **given})
            continue
        for key, text in (part for parts in _branches(name, space) for part in parts.items()):
            own = _RANGE.fullmatch(text) and _own(key, space, but=name)
            values = [] if own else [{"choices": [_plain(text)]}]
            found.setdefault(names.get(own, key) if own else key, []).extend(values)
    return {name: _spanned(ranges) for name, ranges in found.items() if ranges}


def read_names(space: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The name by which people know each param of a space that is a range, and no choice between branches.

    It is without the number of the branch that has the range: {"epochs.2": "epochs"}, where `epochs` has the choices.
    """
    ranged = {
        _NUMBER.sub("", own)
        for name in space
        for parts in _branches(name, space)
        for key, text in parts.items()
        if _RANGE.fullmatch(text) and (own := _own(key, space, but=name)) is not None
    }
    short = {name: _NUMBER.sub("", name) for name in space if not _branches(name, space)}
    return {name: base if base in ranged else name for name, base in short.items()}


def _branches(name: str, space: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Key and text of each part of each label, if the param's choices are branches; else none."""
    choices: Sequence[Any] = space[name].get("choices", ())
    parts = [_parts(name, choice, space) for choice in choices]
    if not any(found is not None for found in parts):
        return []
    return [{name: str(choice)} if found is None else found for choice, found in zip(choices, parts, strict=True)]


def _spanned(ranges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The range that spans all of these: from the lowest number to the highest, or the choices of all."""
    if len(ranges) == 1:
        return dict(ranges[0])
    wide = [limits for limits in ranges if "low" in limits]
    values = list(dict.fromkeys(value for limits in ranges for value in limits.get("choices", ())))
    if not all(isinstance(value, int | float) for value in values):
        return {"choices": [*values, *(f"{limits['low']:g}..{limits['high']:g}" for limits in wide)]}
    if not wide:
        return {"choices": sorted(values)}
    low = min([*values, *(limits["low"] for limits in wide)])
    high = max([*values, *(limits["high"] for limits in wide)])
    return {"low": low, "high": high} | ({"log": True} if low > 0 and all(limits.get("log") for limits in wide) else {})


def _own(key: str, params: Mapping[str, Any], *, but: str) -> str | None:
    """The param of a range in a branch: by its key, with the number of the branch, or with the names around it."""
    is_own = re.compile(rf"(.*\.)?{re.escape(key)}(\.\d+)?").fullmatch
    return next((name for name in params if name != but and is_own(name)), None)


def _plain(value: Any) -> Any:
    """The number that a text is; another value as it is. A number beside sub-configs has its text as its label."""
    if not isinstance(value, str) or not _A_NUMBER.fullmatch(value):
        return value
    return int(value) if value.lstrip("-").isdecimal() else float(value)


def _parts(name: str, value: Any, params: Mapping[str, Any]) -> dict[str, str] | None:
    """Key and text of each part of a branch's label; None for another value."""
    if not isinstance(value, str):
        return None
    made = _LABEL.fullmatch(value)
    if made is None:  # perhaps a branch that sets the key alone: its label is the range
        numbered = re.compile(rf"{re.escape(name)}\.\d+").fullmatch
        return {name: value} if _RANGE.fullmatch(value) and any(map(numbered, params)) else None
    parts = dict(part.split("=", 1) for part in made[1].split(", "))
    known = name in _SECTIONS or name.rpartition(".")[2] in parts or any(key in params for key in parts)
    if not known and len(parts) == 1:
        return None
    return {name if key in KINDS and key not in params else key: text for key, text in parts.items()}
