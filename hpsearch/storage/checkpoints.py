"""The folders of trials: checkpoints to resume from, and the best weights of the best trials (`export --model`)."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from hpsearch.contract import ARTIFACTS, CHECKPOINTS, LOGS, OUTPUT, STABLE
from hpsearch.errors import StorageFailed
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.storage.storage import RemoteFiles
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.system import failpoints
from hpsearch.system.atomic import make_folder, write_atomically

KEEP_BEST = 3  # the number of best trials whose best weights are kept
KEPT = (*LOGS, ARTIFACTS)  # of every trial: what a user's code printed, and what it logged for MLflow
ERROR = "error.txt"  # the traceback of a failed trial, or of one that is retried
TEMPORARY = (  # not needed after a trial has ended
    *CHECKPOINTS,
    *(f".{name}.tmp" for name in (*CHECKPOINTS, "best.pt")),
    STABLE,
    OUTPUT,
)


class Checkpoints:
    """The trials' folders of a study, on a disk that the workers see or in a storage."""

    def __init__(self, path: Path, history: History, study_storage: StudyStorage | None = None) -> None:
        """`study_storage`: where the checkpoints are if not in `path`; the driver writes its own files to `path`."""
        self.path, self._history, self.study_storage = path, history, study_storage
        self._best: set[int] | None = None  # trials whose weights are kept; None: not known yet

    def folder(self, number: int) -> Path:
        """Returns the folder of a trial's checkpoints."""
        return self.path / f"{number:04d}"

    def remote(self, number: int) -> RemoteFiles | None:
        """Returns a trial's files in the storage; None: they are in its folder."""
        return None if self.study_storage is None else self.study_storage.remote(number)

    def lend(self, audit: TrialHistory) -> None:
        """Copies the state of a paused trial to its audit, which continues from it, before the audit's first attempt.

        Does nothing for other trials, for states in a storage, and where a copy fails: the audit then starts over.
        """
        if not audit.audits or audit.confirms is None or audit.attempt > 1 or self.study_storage is not None:
            return
        source, target = self.folder(audit.confirms), self.folder(audit.number)
        with contextlib.suppress(OSError):
            make_folder(target)
            for path in sorted(source.iterdir(), key=lambda path: path.name in CHECKPOINTS):  # what resumes comes last
                if path.is_file() and path.name != ERROR and not path.name.startswith("."):
                    shutil.copyfile(path, temporary := target / f".{path.name}.tmp")
                    temporary.replace(target / path.name)

    def where(self, number: int) -> str:
        """Returns the path or URL of a trial's checkpoints, for messages."""
        return str(self.folder(number)) if self.study_storage is None else self.study_storage.where(number)

    def tidy(self) -> None:
        """Deletes the files of ended trials that a killed driver has left behind.

        Also deletes folders without a trial: a full disk kept the trial out of the journal, and its number is reused.
        """
        for number, folder in self._present():
            trial = self._history.everything.get(number)
            if trial is None:
                self._discard(number, folder)
            elif trial.outcome is not None:
                self.sweep(trial)

    def sweep(self, trial: TrialHistory) -> None:
        """Deletes the checkpoints of an ended trial, and the best weights of all but the KEEP_BEST best trials."""
        has_failed = trial.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
        for name in TEMPORARY if has_failed else (*TEMPORARY, ERROR):
            for path in self.folder(trial.number).glob(name):
                with contextlib.suppress(OSError):
                    path.unlink()
        if trial.confirms is not None:  # its value is wanted, not its weights
            self._remove(trial.number)
            failpoints.hit("trial_swept")
            return
        among = None if self._best is None else {*self._best, trial.number}  # all trials the first time
        ranked = self._history.ranked(among=among)
        self._best = best = {t.number for t in ranked[:KEEP_BEST]}
        if self.study_storage is not None and trial.number in best:
            self.study_storage.sweep(trial.number, TEMPORARY)
        for number in [t.number for t in ranked[KEEP_BEST : KEEP_BEST + 1]] + [trial.number]:
            if number not in best:
                self._remove(number)
        failpoints.hit("trial_swept")

    def write_error(self, number: int, details: str) -> None:
        """Writes a traceback into the trial's folder; does nothing if the disk is full."""
        with contextlib.suppress(OSError):
            make_folder(self.folder(number))
            write_atomically(self.folder(number) / ERROR, details.encode())

    def download_samples(self, number: int) -> None:
        """Downloads a trial's samples from the storage, if any, for the views; raises StorageFailed."""
        if self.study_storage is not None:
            self.study_storage.download(number, "samples.json", self.folder(number) / "samples.json")

    def _present(self) -> list[tuple[int, Path]]:
        """Returns number and local folder of each trial with files here or in the storage; -1: not a trial."""
        names = {folder.name for folder in self.path.glob("[0-9]*")}
        if self.study_storage is not None:
            with contextlib.suppress(StorageFailed):  # the first trial reports it when it starts
                names |= {f"{number:04d}" for number in self.study_storage.numbers()}
        return [(int(name) if name.isdecimal() else -1, self.path / name) for name in sorted(names)]

    def _remove(self, number: int) -> None:
        if self.study_storage is not None:
            self.study_storage.sweep(number)
        folder = self.folder(number)
        if (folder / ERROR).exists():
            return
        if not any((folder / name).exists() for name in KEPT):
            shutil.rmtree(folder, ignore_errors=True)
            return
        for path in [path for path in folder.iterdir() if path.name not in KEPT]:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _discard(self, number: int, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if self.study_storage is not None and number >= 0:
            with contextlib.suppress(StorageFailed):  # a checkpoint of another config is never used
                self.study_storage.delete(number)
