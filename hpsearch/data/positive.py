"""The label whose own F1 a classification set asks for (`positive`), found among the labels of the data."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hpsearch.config import AnySet, ClassificationSet
from hpsearch.errors import DataError

SHOWN = 10  # labels in a message


def place(name: str, data_set: AnySet, labels: Sequence[str]) -> int | None:
    """Its place among the labels, None where the set names none; raises DataError where the data do not have it."""
    if not isinstance(data_set, ClassificationSet) or data_set.positive is None:
        return None
    wanted = str(data_set.positive)
    spellings = [wanted, wanted.lower()] if isinstance(data_set.positive, bool) else [wanted]
    for spelling in spellings:
        if spelling in labels:
            return labels.index(spelling)
    error = DataError(f"data.{name}.positive: no label {wanted!r} in the data; {_instead(wanted, labels)}")
    error.data_set = name
    raise error


def _instead(wanted: str, labels: Sequence[str]) -> str:
    if near := difflib.get_close_matches(wanted, labels, n=1, cutoff=0.6):
        return f"did you mean {near[0]!r}?"
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return f"there are {', '.join(map(repr, labels[:SHOWN]))}{more}"
