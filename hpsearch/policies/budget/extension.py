"""What `hpsearch extend` asks for: new totals of a study's budget, in a file that its driver takes."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from hpsearch.errors import StorageFailed
from hpsearch.policies.budget.spending import LIMITS
from hpsearch.system.atomic import write_atomically

NAME, TAKEN = "extension.json", ".extension.taken"  # in the study's folder; a driver renames the one to the other


class Extension:
    """The file in a study's folder. Totals are absolute, so that nothing is added twice if a driver is killed."""

    def __init__(self, folder: Path) -> None:
        self._asked, self._taken = folder / NAME, folder / TAKEN

    def ask(self, totals: Mapping[str, float]) -> None:
        """Asks for at least these totals; raises StorageFailed if the file cannot be written."""
        try:
            write_atomically(self._asked, json.dumps(_larger(self.waiting(), totals)).encode())
        except OSError as error:
            raise StorageFailed(f"{self._asked}: cannot be written: {error.strerror}") from error

    def waiting(self) -> dict[str, float]:
        """The totals that no driver has recorded yet."""
        return _larger(_read(self._taken), _read(self._asked))

    def take(self) -> dict[str, float]:
        """Returns the totals that wait; `done` forgets them."""
        if not self._taken.exists():  # else a driver was killed before it had recorded it
            with contextlib.suppress(OSError):
                os.replace(self._asked, self._taken)
        return _read(self._taken)

    def done(self) -> None:
        """Notes that what was taken is in the journal."""
        with contextlib.suppress(OSError):
            self._taken.unlink()


def _larger(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in LIMITS if name in {*one, *other}}


def _read(path: Path) -> dict[str, float]:
    """The totals in a file; none if it is missing, or not one of ours."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: found[name] for name in LIMITS if _is_total(found.get(name))} if isinstance(found, dict) else {}


def _is_total(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
