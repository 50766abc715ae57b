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

from hpsearch.journal.history import History
from hpsearch.space.space import Space
from hpsearch.trainers import Trainer

LISTED = 10_000  # configs, at most, of a space that is listed
DIGITS = 12  # of a number, beyond which two learning rates are one
_ENCODER = json.JSONEncoder(sort_keys=True, default=str)


class Trainings:
    """The different trainings of a space, and which of them a study has."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._known: dict[str, int | None] = {}  # each with the first trial that has it
        self.none_left = False  # no draw found another one, in a space that is not listed

    def has(self, internal: Mapping[str, Any]) -> bool:
        """Whether the study has the training of a trial with these internal values."""
        return self._key(internal) in self._known

    def add(self, internal: Mapping[str, Any], trial: int | None = None) -> None:
        """Notes that the study has this training, in this trial."""
        self._known.setdefault(self._key(internal), trial)

    def trial_of(self, internal: Mapping[str, Any]) -> int | None:
        """The first trial with this training; None: none has it, or it is not known which."""
        return self._known.get(self._key(internal))

    def discard(self, internal: Mapping[str, Any]) -> None:
        """Notes that the study lacks this training."""
        self._known.pop(self._key(internal), None)

    @cached_property
    def listed(self) -> bool:
        """Whether the space is small enough to be listed."""
        return (self.space.size or LISTED + 1) <= LISTED

    @property
    def used_up(self) -> bool:
        """Whether the study has every training of the space."""
        if not self.listed:
            return self.none_left
        return len(self._known) >= len(self._all)

    def left(self, seed: int) -> dict[str, Any] | None:
        """One of the trainings of a listed space that the study lacks, each as likely as the others."""
        left = [index for key, index in self._all.items() if key not in self._known]
        return self.space.point(left[np.random.default_rng(seed).integers(len(left))]) if left else None

    @cached_property
    def _all(self) -> dict[str, int]:
        """The trainings of a listed space, each with the index of the first config that stands for it."""
        keys = (self._key(self.space.point(index)) for index in range(self.space.size or 0))
        found: dict[str, int] = {}
        for index, key in enumerate(keys):
            found.setdefault(key, index)
        return found

    def _key(self, internal: Mapping[str, Any]) -> str:
        return training_key(self.space.trainer, self.space.config(internal))


def training_key(trainer: Trainer, config: Mapping[str, Mapping[str, Any]]) -> str:
    """A text that is the same for the sections of configs that are the same training."""
    parts = trainer.dedup_key(config)
    rounded = {name: {key: _rounded(value) for key, value in part.items()} for name, part in parts.items()}
    return _ENCODER.encode(rounded)


class StudyTrainings:
    """The trainings of a study's trials; each call costs time for the trials that are new.

    whole: without those at a shorter horizon than their config's.
    """

    def __init__(self, space: Space, *, whole: bool = False) -> None:
        self._history, self._read, self._found = History(), 0, Trainings(space)
        self._whole = whole

    def of(self, history: History) -> Trainings:
        """The trainings of the trials in a history."""
        if history is not self._history:
            self._history, self._read, self._found = history, 0, Trainings(self._found.space)
        for trial in (history.trials[number] for number in range(self._read, len(history.trials))):
            if trial.config and (trial.horizon == 1 or not self._whole):  # no config: it stood on damaged lines alone
                self._found.add(trial.internal, trial.number)
        self._read = len(history.trials)
        return self._found


def _rounded(value: Any) -> Any:
    """A value for comparison: 1 equals 1.0, and floats that differ only in their last bits are equal."""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
