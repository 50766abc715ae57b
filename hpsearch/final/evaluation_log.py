"""The evaluations of a training that may be resumed, as it had them first: lines of JSON.

A resumed training yields some of them again, with other times. MLflow is to have each once: it takes a row with another
time for another row.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.contract import Evaluation


class EvaluationLog:
    """A file of evaluations; the first line has the time at which it was made."""

    def __init__(self, path: Path) -> None:
        """Reads the file, or makes it; a line that a crash has cut off is left out."""
        self.path, self.began = path, time.time()
        self.known: dict[int, Evaluation] = {}  # by index, in their order
        found = list(_lines(path))
        if found:
            self.began = float(found[0].get("began", self.began))
            self.known = {one["index"]: Evaluation.from_dict(one, time=one.get("at", 0.0)) for one in found[1:]}
        else:
            self._append({"began": self.began})

    def note(self, evaluation: Evaluation) -> Evaluation:
        """Adds an evaluation, with the time; returns the known one if it is the same, which came again."""
        known = self.known.get(evaluation.index)
        if known is not None and repr(known.metrics) == repr(evaluation.metrics):  # repr: nan is nan
            return known
        now = time.time()
        self._append({"at": now, **evaluation.to_dict()})
        self.known[evaluation.index] = found = replace(evaluation, time=now)
        return found

    def _append(self, value: Mapping[str, Any]) -> None:
        """Writes a line; what a killed process has written is in the file, what the machine has lost comes again."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, ("\n" * is_torn + json.dumps(value) + "\n").encode())
        finally:
            os.close(descriptor)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict) and ("index" in value or "began" in value):
                    yield value
