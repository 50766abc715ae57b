"""Checks the targets (or labels) of one split: one type, and none missing (a test split may lack all of them)."""

from __future__ import annotations

from typing import Any

from hpsearch.config import DataSet
from hpsearch.data.record_values import kind_of, shown
from hpsearch.errors import DataError

NONE = ""  # stands for a missing target; a given target is never empty


class Targets:
    """The targets of a split that have been read so far."""

    def __init__(self, data_set: DataSet, part: str) -> None:
        self.key = data_set.target_key
        self.optional = self.key if part == "test" else None  # the key that may be missing
        self.typed = True  # False while rows of csv or tsv are read: every value there is text
        self._kinds: dict[str, tuple[str, Any]] = {}  # {type: (where, value) of its first label}
        self._given = self._missing = ""  # where the first example with a target is, and the first without

    def add_label(self, where: str, value: Any) -> None:
        """Records a label; raises DataError, with both places, for a second type."""
        kind = kind_of(value)
        if self.typed and kind not in self._kinds:
            for other, (place, first) in self._kinds.items():
                raise DataError(
                    f"{where}: the label {shown(value)} is {kind}, but {shown(first)} ({place}) is {other}, "
                    "labels of one type are expected"
                )
            self._kinds[kind] = where, value
        self.add(where)

    def add(self, where: str) -> None:
        """Records an example with a target."""
        if not self._given:
            self._given = where
            self._check()

    def add_missing(self, where: str) -> str:
        """Records an example without a target; returns the placeholder for the target."""
        if not self._missing:
            self._missing = where
            self._check()
        return NONE

    def _check(self) -> None:
        if self._given and self._missing:
            raise DataError(
                f"{self._missing}: the {self.key} is missing, but {self._given} has one: "
                f"give every test example its {self.key}, or none"
            )
