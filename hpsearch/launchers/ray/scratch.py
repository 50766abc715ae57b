"""A worker's folder on its node, for data and trials whose files are in a storage.

It is in HPSEARCH_SCRATCH, else in the folder for temporary files, and only its owner can read it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hpsearch.errors import StorageFailed, UserError
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import Storage
from hpsearch.system.atomic import make_folder
from hpsearch.system.file_lock import acquire, locked
from hpsearch.system.sealed import is_whole_folder


class Scratch:
    """One worker's folder; prepared data are beside it, shared by the node's workers."""

    def __init__(self) -> None:
        """Deletes the folders of killed workers; raises UserError if other users can write to the folder."""
        try:
            self.home = _private_folder(_location())
            with locked(self.home / ".workers.lock"):  # so that no other worker deletes the new folder
                _remove_abandoned(self.home)
                self.path = Path(tempfile.mkdtemp(prefix="worker-", dir=self.home))  # mode 0700
                self._alive = acquire(self.path / "lock")
        except OSError as error:
            place = f"scratch folder {_location()}"
            raise UserError(f"{place}: {error.strerror}; set HPSEARCH_SCRATCH on the node") from None

    def prepared(self, storage: Storage, name: str, beat: Callable[[], None]) -> Path:
        """Returns the folder of prepared data; the node's first worker downloads it.

        Raises StorageFailed if the data in the storage are incomplete.
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


def _location() -> Path:
    chosen = os.environ.get("HPSEARCH_SCRATCH") or tempfile.gettempdir()
    return Path(chosen).absolute() / f"hpsearch-{os.getuid()}"


def _private_folder(folder: Path) -> Path:
    """Makes the folder; raises OSError if others can write to it, since its path is predictable."""
    make_folder(folder)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(0, "it is not this user's alone (mode 0700)")
    return folder


def _remove_abandoned(home: Path) -> None:
    """Deletes the folders of workers that have ended."""
    for folder in home.glob("worker-*"):
        try:
            acquire(folder / "lock").release()
        except BlockingIOError:
            continue  # its worker is alive
        except OSError:
            pass
        shutil.rmtree(folder, ignore_errors=True)
