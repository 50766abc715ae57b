"""The folders in which trials keep what they go on from, and the best weights of those that may win."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from hpsearch import crash
from hpsearch.history import History, TrialHistory
from hpsearch.training.atomic import make_folder, write_atomically
from hpsearch.training.contract import CHECKPOINTS

KEPT = 3  # trials whose best weights stay on the disk: the best ones
PASSING = (*CHECKPOINTS, *(f".{name}.tmp" for name in (*CHECKPOINTS, "best.pt")))  # of no use once a trial has ended


class Checkpoints:
    """All trials' folders of one study."""

    def __init__(self, path: Path, history: History) -> None:
        self.path, self._history = path, history

    def folder(self, number: int) -> Path:
        """Where a trial's checkpoints lie."""
        return self.path / f"{number:04d}"

    def tidy(self) -> None:
        """Does what a driver that was killed may have left undone after the ends of trials.

        A folder without a trial is one's whose lines found no room on a full disk: its number is given anew.
        """
        for folder in self.path.glob("[0-9]*"):
            trial = self._history.trials.get(int(folder.name)) if folder.name.isdecimal() else None
            if trial is None:
                shutil.rmtree(folder, ignore_errors=True)
            elif trial.outcome is not None:
                self.sweep(trial)

    def sweep(self, trial: TrialHistory) -> None:
        """Removes what no one will read again: the states to go on from, and the weights of trials that cannot win."""
        for name in PASSING:
            with contextlib.suppress(OSError):
                (self.folder(trial.number) / name).unlink()
        ranked = self._history.ranked()
        kept = {t.number for t in ranked[:KEPT]}
        for number in [t.number for t in ranked[KEPT : KEPT + 1]] + [trial.number]:
            if number not in kept and not (self.folder(number) / "error.txt").exists():
                shutil.rmtree(self.folder(number), ignore_errors=True)
        crash.point("trial_swept")

    def write_error(self, number: int, details: str) -> None:
        """Leaves a traceback beside the trial for who wants to read it, if the disk takes it."""
        with contextlib.suppress(OSError):
            make_folder(self.folder(number))
            write_atomically(self.folder(number) / "error.txt", details.encode())
