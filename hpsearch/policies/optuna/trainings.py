"""Which configs of a space are the same training, how many different trainings it has, and which are left to try.

Two configs are the same training if two branches resolve to the same values, or if the values that differ have no
effect (the cool-down of a cosine schedule).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from hpsearch.space.space import Space

LISTED = 10_000  # configs, at most, of a space that is listed
DIGITS = 12  # of a number, beyond which two learning rates are one


class Trainings:
    """The different trainings of a space, and which of them a study has."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._known: set[str] = set()
        self.none_left = False  # no draw found another one, in a space that is not listed

    def has(self, internal: Mapping[str, Any]) -> bool:
        """Whether the study has the training of a trial with these internal values."""
        return self._key(internal) in self._known

    def add(self, internal: Mapping[str, Any]) -> None:
        """Notes that the study has this training."""
        self._known.add(self._key(internal))

    def discard(self, internal: Mapping[str, Any]) -> None:
        """Notes that the study lacks this training."""
        self._known.discard(self._key(internal))

    @cached_property
    def listed(self) -> bool:
        """Whether the space is small enough to be listed."""
        return (self._space.size or LISTED + 1) <= LISTED

    @property
    def used_up(self) -> bool:
        """Whether the study has every training of the space."""
        if not self.listed:
            return self.none_left
        return len(self._known) >= len(self._all)

    def left(self, seed: int) -> dict[str, Any] | None:
        """One of the trainings of a listed space that the study lacks, each as likely as the others."""
        left = [index for key, index in self._all.items() if key not in self._known]
        return self._space.point(left[np.random.default_rng(seed).integers(len(left))]) if left else None

    @cached_property
    def _all(self) -> dict[str, int]:
        """The trainings of a listed space, each with the index of the first config that stands for it."""
        keys = (self._key(self._space.point(index)) for index in range(self._space.size or 0))
        found: dict[str, int] = {}
        for index, key in enumerate(keys):
            found.setdefault(key, index)
        return found

    def _key(self, internal: Mapping[str, Any]) -> str:
        parts = self._space.trainer.dedup_key(self._space.config(internal))
        rounded = {name: {key: _rounded(value) for key, value in part.items()} for name, part in parts.items()}
        return json.dumps(rounded, sort_keys=True, default=str)


def _rounded(value: Any) -> Any:
    """A value for comparison: 1 equals 1.0, and floats that differ only in their last bits are equal."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value) if isinstance(value, int) else f"{value:.{DIGITS}g}"
