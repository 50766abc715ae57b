"""Pictures and samples of a study's runs, as artifacts of MLflow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from hpsearch.journal.history import History
from hpsearch.results import pictures
from hpsearch.results.page import page
from hpsearch.views.follower import Say, describe
from hpsearch.views.mlflow.rows import samples_text
from hpsearch.views.mlflow.store import Store


class Artifacts:
    """Draws and stores artifacts; a picture that cannot be drawn is reported and skipped."""

    def __init__(self, store: Store, *, say: Say) -> None:
        self._store, self._say = store, say

    def curves(self, run_id: str, history: History, trial: int) -> None:
        """Stores the picture of a trial's curves."""
        self._file(run_id, "curves.png", partial(pictures.trial_curves, history, trial))

    def study(self, run_id: str, history: History) -> None:
        """Stores the pictures of a study."""
        for name, draw in pictures.STUDY_PICTURES.items():
            self._file(run_id, f"{name}.png", partial(draw, history))

    def page(self, run_id: str, history: History, folder: Path) -> None:
        """Stores the study's report; `folder`: the study's."""
        self._file(run_id, "report.html", lambda: page(history, folder).encode())

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
                    draw = partial(pictures.confusion, found["labels"], found["confusion"])
                    self._file(run_id, f"confusion_{name}.png", draw)

    def logged(self, run_id: str, folder: Path) -> None:
        """Stores what a user's function logged in a trial (`trial.log_artifact`), if anything."""
        if folder.is_dir():
            self._store.files(run_id, folder)

    def _file(self, run_id: str, name: str, draw: Callable[[], bytes | None]) -> None:
        if not self._store.draws:
            return
        try:
            content = draw()
        except Exception as error:
            self._say(f"{name} could not be drawn ({describe(error)})")
            return
        if content is not None:
            with _as_file(name, content) as folder:
                self._store.files(run_id, folder)


@contextmanager
def _as_file(name: str, content: bytes) -> Iterator[Path]:
    """Yields a temporary folder with the content as a file of this name."""
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        (Path(folder) / name).write_bytes(content)
        yield Path(folder)
