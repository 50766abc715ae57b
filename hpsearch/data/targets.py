"""The labels (or targets) of one split as they are read: of one type, and all there (a test may lack all of them)."""

from __future__ import annotations

from typing import Any

from hpsearch.config import DataSet
from hpsearch.data.record_values import kind_of, shown
from hpsearch.errors import DataError

NONE = ""  # the answer of an example that has none; no other example has an empty one


class Answers:
    """The answers of a split that have been read so far."""

    def __init__(self, data_set: DataSet, part: str) -> None:
        self.key = data_set.answer
        self.optional = self.key if part == "test" else None  # the key that may be missing
        self.typed = True  # False while rows of csv or tsv come, where every value is text
        self._kinds: dict[str, tuple[str, Any]] = {}  # {kind: (where, value) of its first label}
        self._given = self._missing = ""  # where the first example with an answer is, and the first without

    def saw(self, where: str, value: Any) -> None:
        """Notes a label; raises DataError, with both places, for a second type."""
        kind = kind_of(value)
        if self.typed and kind not in self._kinds:
            for other, (place, first) in self._kinds.items():
                raise DataError(
                    f"{where}: the label {shown(value)} is {kind}, but {shown(first)} ({place}) is {other}, "
                    "labels of one type are wanted"
                )
            self._kinds[kind] = where, value
        self.given(where)

    def given(self, where: str) -> None:
        """Notes an example with an answer."""
        if not self._given:
            self._given = where
            self._check()

    def lacks(self, where: str) -> str:
        """Notes an example without an answer; returns the placeholder for it."""
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
