"""The part of a storage that one study uses: its trials' checkpoints, and the prepared data that all studies share.

The driver uses it: it uploads the data, tells workers the names of files, and deletes files that are not needed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from hpsearch.config import digest
from hpsearch.errors import StorageFailed
from hpsearch.journal.history import History
from hpsearch.storage.integrity import CheckResult, check_storage
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import RemoteFiles, Storage
from hpsearch.system.atomic import make_folder
from hpsearch.system.sealed import SIZES, is_whole_folder, seal

_log = logging.getLogger(__name__)


class StudyStorage:
    """A study's part of a storage. A thread deletes files, so that no trial waits."""

    def __init__(self, storage: Storage, history: History, prepared: dict[str, str]) -> None:
        self.storage, self._history, self._prepared = storage, history, prepared
        # Studies of one name in two homes differ in the time and place of their creation.
        name = history.origin.first or history.study  # a study that is renamed keeps its folder
        origin = [name, history.created, history.origin.base]
        self.folder = f"studies/{name}-{digest(origin)[:16]}"
        self._given_up = False
        self._answer: Future[str | None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")

    def remote(self, number: int) -> RemoteFiles:
        """Returns a trial's files, for its worker."""
        return RemoteFiles(self._folder(number), self._prepared)

    def where(self, number: int) -> str:
        """Returns the URL of a trial's checkpoints, for messages."""
        return f"{self.storage.url}/{self._folder(number)}"

    def numbers(self) -> list[int]:
        """Returns the numbers of the trials that have files in the storage; raises StorageFailed."""
        return sorted(int(name) for name in self.storage.folders(self.folder) if name.isdecimal())

    def sweep(self, number: int, names: Collection[str] | None = None) -> None:
        """Deletes some or all (None) files of a trial, in the thread; the next `Checkpoints.tidy` retries failures."""
        self._thread.submit(self._sweep, number, names)

    def delete(self, number: int) -> None:
        """Deletes all files of a trial, in this thread; raises StorageFailed."""
        self.storage.remove_folder(self._folder(number))

    def download(self, number: int, name: str, path: Path) -> None:
        """Downloads a file of a trial, if it exists; raises StorageFailed or OSError."""
        snapshots = Snapshots(self.storage, self._folder(number))
        snapshots.load_newest()
        if name in snapshots.files:
            make_folder(path.parent)
            self.storage.get(f"{snapshots.folder}/{snapshots.files[name].object}", path)

    def check(self, number: int) -> CheckResult:
        """Checks the checkpoints that a trial can resume from; raises StorageFailed."""
        return check_storage(Snapshots(self.storage, self._folder(number)))

    def probe(self) -> str | None:
        """Returns why the storage refuses writes, or None; asks in the thread and does not wait for the answer."""
        if self._answer is None:
            self._answer = self._thread.submit(self.storage.probe)
        if not self._answer.done():
            return "it has not answered"
        answer, self._answer = self._answer.result(), None
        return answer

    def close(self) -> None:
        """Waits for the thread to delete the rest."""
        self._thread.shutdown()

    def _folder(self, number: int) -> str:
        return f"{self.folder}/{number:04d}"

    def _sweep(self, number: int, names: Collection[str] | None) -> None:
        if self._given_up:
            return
        try:
            if names is None:
                self.storage.remove_folder(self._folder(number))
                return
            snapshots = Snapshots(self.storage, self._folder(number))
            snapshots.load_newest()
            snapshots.delete(names)
        except StorageFailed as error:
            self._given_up = True  # else `close` waits for each one; the next run retries
            _log.warning("%s; the next run deletes the other files", error)


def upload_prepared(storage: Storage, folder: Path, progress: Callable[[str, float], None]) -> str:
    """Uploads a folder of prepared data unless the storage has it; returns its name there; raises StorageFailed.

    The name contains a digest of the files' sizes, so that another version's files are never used.
    """
    if not is_whole_folder(folder):  # made by a user's trainer
        seal(folder)
    sizes = json.loads((folder / SIZES).read_text())
    name = f"corpora/{folder.name}-{digest(sizes)[:8]}"
    snapshots = Snapshots(storage, name)
    snapshots.load_newest()
    stored = {own: found.bytes for own, found in snapshots.files.items() if own != SIZES}
    if stored != sizes:
        progress("storing the data", 0.0)
        snapshots.save({own: folder / own for own in [*sizes, SIZES]})
    return name
