"""Warnings about a study's space and data: a person is told each once, by the run that first meets it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hpsearch.output.redaction import redact

_PLACE = re.compile(r"^\S.*?:\d+(:\d+)?: ")  # file, line and column, which change when a comment is added


def untold(warnings: Iterable[str], told: Iterable[str]) -> list[str]:
    """Returns the warnings, without secrets, that `told` lacks; each once. The place in a file makes no difference."""
    known, found = {_without_place(line) for line in told}, list[str]()
    for line in map(redact, warnings):
        if (bare := _without_place(line)) not in known:
            known.add(bare)
            found.append(line)
    return found


def _without_place(line: str) -> str:
    return _PLACE.sub("", line)
