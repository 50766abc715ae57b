"""Choices between sub-configs by what they set, as people read them: `tokenizer=bytes`, `n_layers=2 width=96`.

The reverse of journal/branch_labels.py, for what people type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.document.ranges import Branches, Fixed, Leaf
from hpsearch.journal.branch_labels import KINDS
from hpsearch.space.space import Space


def with_labels(space: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by short name, with the label of a branch in place of the values that only this branch sets.

    A choice that the values fit in no branch, or in several, is left as it is.
    """
    found = dict(given)
    for name, node in space.params.items():
        if isinstance(node, Branches) and found.get(name) not in node.labels:
            _choose(space, name, node, found)
    return found


def _choose(space: Space, name: str, node: Branches, found: dict[str, Any]) -> None:
    """Replaces the values of a branch by its label, if exactly one branch has them."""
    branches = [{_read(name, key): leaf for key, leaf in branch.items()} for branch in node.branches]
    fixed = {key for branch in branches for key, leaf in branch.items() if isinstance(leaf, Fixed)}
    wanted = {key: found[key] for key in fixed & found.keys()}
    fits = [n for n, branch in enumerate(branches) if all(_allows(branch.get(k), v) for k, v in wanted.items())]
    if not wanted or len(fits) != 1:
        return
    chosen = branches[fits[0]]
    for key, leaf in chosen.items():
        if key in found:
            value = found.pop(key)
            if not isinstance(leaf, Fixed):
                found[next((short for short, one in space.params.items() if one is leaf), key)] = value
    found[name] = node.labels[fits[0]]


def _read(name: str, key: str) -> str:
    """The name by which people read a key of a branch."""
    return name if key in KINDS else key


def _allows(leaf: Leaf | None, value: Any) -> bool:
    """Whether a branch may have this value of a key."""
    return leaf is not None and (not isinstance(leaf, Fixed) or leaf.value == value)
