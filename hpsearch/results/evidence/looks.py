"""Who has looked at which test data: a line of HOME/tests.jsonl for each test of a final training.

Choosing among models by their test values makes these as flattered as those of a search, so looks are counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RECORD = "tests.jsonl"
SHOWN = 3  # folders in a line


@dataclass(frozen=True)
class Look:
    """One final training that was tested."""

    study: str
    trial: int | None  # None: its config is not of a trial
    config: str  # digest of the config
    folder: str  # of the model
    contents: Mapping[str, str] = field(default_factory=dict)  # data set -> fingerprint
    time: float = 0.0  # unix seconds

    def is_same_training(self, other: Look) -> bool:
        """Whether both are of one final training, which was resumed after its test."""
        return (self.study, self.config, self.folder) == (other.study, other.config, other.folder)

    def shares_data(self, other: Look) -> bool:
        """Whether both have looked at the same test data: those of one study, or a set of equal contents."""
        return self.study == other.study or bool(set(self.contents.values()) & set(other.contents.values()))


def looks(home: Path) -> list[Look]:
    """All looks in a home, the earliest first; damaged lines are skipped."""
    found: list[Look] = []
    with contextlib.suppress(OSError):
        for line in (home / RECORD).read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError):
                value = json.loads(line)
                found.append(Look(**{key: value[key] for key in Look.__dataclass_fields__ if key in value}))
    return found


def earlier(home: Path, look: Look) -> list[Look]:
    """The other final trainings that have looked at the same test data, each once."""
    found: list[Look] = []
    for other in looks(home):
        is_new = not any(other.is_same_training(known) for known in (look, *found))
        if is_new and other.shares_data(look):
            found.append(other)
    return found


def record(home: Path, look: Look) -> None:
    """Adds a look, on the disk when this returns; raises OSError."""
    line = json.dumps(asdict(look) | {"time": time.time()}, ensure_ascii=False) + "\n"
    descriptor = os.open(home / RECORD, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # a crash has cut the last line off
        os.write(descriptor, ("\n" * is_torn + line).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def line(others: list[Look]) -> str:
    """One line about earlier looks; empty if there are none."""
    if not others:
        return ""
    times = "once" if len(others) == 1 else f"{len(others)} times"
    named = ", ".join(_named(one) for one in others[-SHOWN:]) + (", ..." if len(others) > SHOWN else "")
    return f"this test split was looked at {times} before ({named}): do not choose among models by their test values"


def _named(look: Look) -> str:
    trial = "" if look.trial is None else f"trial {look.trial} of "
    return f"{trial}{look.study} in {look.folder}"


def look_of(study: str, known: Mapping[str, Any], *, config: str, folder: Path, facts: Mapping[str, Any]) -> Look:
    """The look of a final training; known: its provenance, facts: the fingerprints of its data."""
    return Look(study, known.get("trial"), config, str(folder.resolve()), dict(facts.get("contents") or {}))
