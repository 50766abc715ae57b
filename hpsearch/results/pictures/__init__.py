"""Pictures of a study, drawn from the journal's history.

Each function takes a History and returns the bytes of a PNG, or None if there is nothing to draw. None uses pyplot, so
matplotlib keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpsearch.journal.history import History
from hpsearch.results.pictures.curves import study_curves, trial_curves
from hpsearch.results.pictures.drawing import score
from hpsearch.results.pictures.importances import (
    Importances,
    distributions,
    importance_shares,
    importances,
    importances_of,
    local_time,
    warm_up,
)
from hpsearch.results.pictures.parameters import parallel_coordinates, slices
from hpsearch.results.pictures.scale import Scale
from hpsearch.results.pictures.values import confusion, optimisation_history

__all__ = [
    "STUDY_PICTURES",
    "Importances",
    "Scale",
    "confusion",
    "distributions",
    "importance_shares",
    "importances",
    "importances_of",
    "local_time",
    "optimisation_history",
    "parallel_coordinates",
    "score",
    "slices",
    "study_curves",
    "trial_curves",
    "warm_up",
    "write_pictures",
]


STUDY_PICTURES: dict[str, Callable[[History], bytes | None]] = {
    "curves": study_curves,
    "history": optimisation_history,
    "importances": importances,
    "parallel_coordinates": parallel_coordinates,
    "slices": slices,
}


def write_pictures(history: History, folder: Path) -> list[Path]:
    """Draws the study's pictures into a folder; returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in STUDY_PICTURES.items():
        png = draw(history)
        if png is not None:
            (folder / f"{name}.png").write_bytes(png)
            written.append(folder / f"{name}.png")
    return written
