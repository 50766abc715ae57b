"""The part of a storage that one study uses: its trials' checkpoints, and the prepared data that all studies share.

The driver's end: it uploads the data, tells workers where everything is, and deletes what nothing will read again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from hpsearch.atomic import make_folder
from hpsearch.config import digest
from hpsearch.errors import StorageFailed
from hpsearch.journal.history import History
from hpsearch.sealed import SIZES, is_whole_folder, seal
from hpsearch.storage.integrity import CheckResult, check_storage
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import RemoteFiles, Storage

_log = logging.getLogger(__name__)


class StudyStorage:
    """A study's part of a storage. A thread deletes files, so that no trial waits for it."""

    def __init__(self, storage: Storage, history: History, prepared: dict[str, str]) -> None:
        self.storage, self._history, self._prepared = storage, history, prepared
        # Two homes may have studies of one name: the moment and the place of its creation tell them apart.
        origin = [history.study, history.created, history.origin.get("base")]
        self.folder = f"studies/{history.study}-{digest(origin)[:16]}"
        self._given_up = False
        self._answer: Future[str | None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")

    def remote(self, number: int) -> RemoteFiles:
        """What a worker is told of a trial."""
        return RemoteFiles(self._folder(number), self._prepared)

    def where(self, number: int) -> str:
        """Where a trial's checkpoints are, for people."""
        return f"{self.storage.url}/{self._folder(number)}"

    def numbers(self) -> list[int]:
        """The numbers of the trials that have files there; raises StorageFailed."""
        return sorted(int(name) for name in self.storage.folders(self.folder) if name.isdecimal())

    def sweep(self, number: int, names: Collection[str] | None = None) -> None:
        """Deletes some files of a trial, or all (None); what a failure leaves behind, the next `tidy` deletes."""
        self._thread.submit(self._sweep, number, names)

    def delete(self, number: int) -> None:
        """Deletes all files of a trial before it returns, because its number is used again; raises StorageFailed."""
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
        """Why the storage refuses writes, None when it accepts them. The thread asks; nobody waits for its answer."""
        if self._answer is None:
            self._answer = self._thread.submit(self.storage.probe)
        if not self._answer.done():
            return "it has not answered"
        answer, self._answer = self._answer.result(), None
        return answer

    def close(self) -> None:
        """Returns when everything is deleted that was to be."""
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
            self._given_up = True  # else the end of the run waits for each; the next run's tidying makes up for it
            _log.warning("%s; what is not needed any more stays there for now", error)


def upload_prepared(storage: Storage, folder: Path, progress: Callable[[str, float], None]) -> str:
    """Uploads a folder of prepared data unless the storage has it; returns its name there; raises StorageFailed.

    The name holds the files' sizes beside the fingerprint, so that another version's files are never used.
    """
    if not is_whole_folder(folder):  # as a trainer of the user's own left it
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
