"""What the winner makes of examples: translations beside their references, and confusion matrices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.journal.history import History
from hpsearch.results.page.figures import text

COLUMNS = ("source", "reference", "hypothesis")  # see tasks/measure.py
FIRST = 5  # examples that are shown unfolded


@dataclass(frozen=True)
class Sample:
    """One data set's samples; only one of the two kinds."""

    name: str
    examples: list[dict[str, str]] = field(default_factory=list)  # column -> text
    labels: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)  # rows: true labels, columns: predictions


def samples(history: History, folder: Path) -> list[Sample]:
    """The winner's samples, as its training wrote them; none where they were not kept, or cannot be read."""
    best = history.leader()
    if best is None:
        return []
    path = folder / "checkpoints" / f"{best.number:04d}" / "samples.json"
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = [_sample(name, one) for name, one in sets.items()] if isinstance(sets, dict) else []
    return [one for one in found if one is not None]


def _sample(name: str, found: Any) -> Sample | None:
    if not isinstance(found, Mapping):
        return None
    if examples := [one for one in found.get("examples") or () if isinstance(one, Mapping)]:
        rows = [{str(key): text(value) for key, value in one.items()} for one in examples]
        return Sample(text(name), examples=rows)
    if (labels := found.get("labels")) and _is_square(found.get("confusion"), len(labels)):
        return Sample(text(name), labels=[text(one) for one in labels], confusion=found["confusion"])
    return None


def _is_square(counts: Any, n: int) -> bool:
    return isinstance(counts, list) and len(counts) == n and all(isinstance(r, list) and len(r) == n for r in counts)
