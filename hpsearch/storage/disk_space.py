"""Waits for a disk or a storage that has refused a write."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from hpsearch.errors import StorageFailed
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.system.atomic import make_folder

LEAST = 1 << 20  # bytes that must fit, even if all files are smaller
PATIENCE = 60.0  # seconds that a search waits for disk space
PAUSE = 1.0  # seconds between retries


class DiskSpace:
    """Whether the disk of a folder, or the storage of the checkpoints, accepts writes."""

    def __init__(self, folder: Path, study_storage: StudyStorage | None = None) -> None:
        self.folder, self._study_storage = folder, study_storage
        self._reason: str | None = None
        self._since = self._looked = 0.0

    @property
    def blocked(self) -> bool:
        """Whether a write has failed and none has succeeded since."""
        return self._reason is not None

    @property
    def _place(self) -> str:
        return str(self.folder) if self._study_storage is None else self._study_storage.storage.url

    def _probe(self) -> str | None:
        return probe(self.folder) if self._study_storage is None else self._study_storage.probe()

    def block(self, reason: str) -> str | None:
        """Notes a failed write; returns a message for the user the first time."""
        if self.blocked:
            return None
        self._reason, self._since = reason, time.monotonic()
        return f"nothing can be saved in {self._place}; waiting up to {PATIENCE:.0f} s for space"

    def retry(self) -> str | None:
        """Retries a write, at most once a second; returns a message for the user when it succeeds.

        Raises StorageFailed after PATIENCE seconds.
        """
        if not self.blocked or time.monotonic() - self._looked < PAUSE:
            return None
        self._looked = time.monotonic()
        if self._probe() is None:
            self._reason = None
            return "there is space again; the search resumes"
        if time.monotonic() - self._since > PATIENCE:
            raise StorageFailed(
                f"{self._place}: nothing can be saved ({self._reason}); finished trials are on the disk, and the same "
                "command resumes the study"
            )
        return None


def probe(folder: Path) -> str | None:
    """Returns why a file as big as the folder's biggest cannot be written there; None: it can."""
    probe = folder / ".room.tmp"
    try:
        make_folder(folder)
        probe.unlink(missing_ok=True)
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _reserve(file, max(LEAST, _biggest(folder)))
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return None


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)  # allocates the space without writing
    else:
        os.write(file, bytes(min(size, LEAST)))


def _biggest(folder: Path) -> int:
    sizes = [0]
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            sizes.append(path.stat().st_size)
    return max(sizes)
