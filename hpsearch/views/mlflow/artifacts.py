"""Pictures and samples of a study's runs, as artifacts of MLflow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from hpsearch import report
from hpsearch.journal.history import History
from hpsearch.views.follower import Say, describe
from hpsearch.views.mlflow.rows import samples_text
from hpsearch.views.mlflow.store import Store


class Artifacts:
    """Draws and stores artifacts; a picture that cannot be drawn is reported and skipped."""

    def __init__(self, store: Store, *, say: Say) -> None:
        self._store, self._say = store, say

    def curves(self, run_id: str, history: History, trial: int) -> None:
        """Stores the picture of a trial's curves."""
        self._picture(run_id, "curves.png", partial(report.trial_curves, history, trial))

    def study(self, run_id: str, history: History) -> None:
        """Stores the pictures of a study."""
        for name, draw in report.STUDY_PICTURES.items():
            self._picture(run_id, f"{name}.png", partial(draw, history))

    def samples(self, path: Path, run_ids: tuple[str, ...]) -> None:
        """Stores the examples and confusion matrices of a trial's samples.json, if it exists, in each run."""
        try:
            sets = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        for name, found in sets.items():
            for run_id in run_ids:
                if "examples" in found:  # see tasks/measure.py
                    self._store.text(run_id, f"samples/{name}.txt", samples_text(found["examples"]))
                elif "confusion" in found:
                    draw = partial(report.confusion, found["labels"], found["confusion"])
                    self._picture(run_id, f"confusion_{name}.png", draw)

    def _picture(self, run_id: str, name: str, draw: Callable[[], bytes | None]) -> None:
        if not self._store.draws:
            return
        try:
            png = draw()
        except Exception as error:
            self._say(f"{name} could not be drawn ({describe(error)})")
            return
        if png is not None:
            with _as_file(name, png) as folder:
                self._store.files(run_id, folder)


@contextmanager
def _as_file(name: str, content: bytes) -> Iterator[Path]:
    """Yields a temporary folder with the content as a file of this name."""
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        (Path(folder) / name).write_bytes(content)
        yield Path(folder)
