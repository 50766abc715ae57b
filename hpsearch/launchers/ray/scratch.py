"""The folder that a worker has on its own node, where trials keep their files in a storage: for data and for trials.

It lies under HPSEARCH_SCRATCH, else under the folder for temporary files, readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hpsearch.atomic import make_folder
from hpsearch.errors import StorageFailed, UserError
from hpsearch.file_lock import hold, locked
from hpsearch.sealed import is_whole_folder
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import Storage


class Scratch:
    """One worker's folder; the node's prepared data lie beside those of all workers."""

    def __init__(self) -> None:
        """Removes what workers that were killed left behind; raises UserError where the folder is not to be trusted."""
        try:
            self.home = _own(_place())
            with locked(self.home / ".workers.lock"):  # so that no one takes a new folder for one that was left
                _remove_left(self.home)
                self.path = Path(tempfile.mkdtemp(prefix="worker-", dir=self.home))  # mode 0700
                self._alive = hold(self.path / "lock")
        except OSError as error:
            raise UserError(f"scratch folder {_place()}: {error.strerror}; set HPSEARCH_SCRATCH on the node") from None

    def prepared(self, storage: Storage, name: str, beat: Callable[[], None]) -> Path:
        """The folder of prepared data, fetched by the first worker of the node that wants it.

        Raises StorageFailed where it is not whole.
        """
        folder = self.home / name
        if not is_whole_folder(folder):
            with locked(folder.parent / f".{folder.name}.lock"):
                if not is_whole_folder(folder):
                    _fetch(Snapshots(storage, name), folder, beat)
        return folder

    def remove(self) -> None:
        """Deletes the worker's folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._alive.release()


def _fetch(snapshots: Snapshots, folder: Path, beat: Callable[[], None]) -> None:
    """Downloads into a temporary folder and renames it when it is complete."""
    snapshots.load_newest()
    staging = Path(tempfile.mkdtemp(prefix=f".new-{folder.name}-", dir=folder.parent))
    try:
        if not snapshots.files or not snapshots.fetch(staging, beat) or not is_whole_folder(staging):
            raise StorageFailed(f"storage {snapshots.storage.url}: {snapshots.folder}: the prepared data are not whole")
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _place() -> Path:
    chosen = os.environ.get("HPSEARCH_SCRATCH") or tempfile.gettempdir()
    return Path(chosen).absolute() / f"hpsearch-{os.getuid()}"


def _own(folder: Path) -> Path:
    """Makes the folder; raises OSError for one that somebody else may write: the place is known beforehand."""
    make_folder(folder)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(0, "it is not this user's alone (mode 0700)")
    return folder


def _remove_left(home: Path) -> None:
    """Deletes the folders of workers that have ended."""
    for folder in home.glob("worker-*"):
        try:
            hold(folder / "lock").release()
        except BlockingIOError:
            continue  # its worker lives
        except OSError:
            pass
        shutil.rmtree(folder, ignore_errors=True)
