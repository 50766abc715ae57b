"""Stores a trial's files while it trains; training does not wait for them."""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import os
import shutil
import threading
import time
from pathlib import Path

from hpsearch.contract import LOGS, OUTPUT
from hpsearch.errors import StorageFailed
from hpsearch.storage.snapshots import Snapshots

PAUSES = (0.5, 2.0, 8.0)  # seconds before each retry at the end of a trial
_log = logging.getLogger(__name__)


class Upload:
    """Stores what a trial saves: `look`, called while the training writes nothing, hands a new state to a thread.

    The thread stores the latest state and skips older ones. A state is a folder of hard links: nothing is copied.
    """

    def __init__(self, snapshots: Snapshots, folder: Path) -> None:
        """`folder`: the trial's folder; the states that wait are folders beside it."""
        self._snapshots, self._folder = snapshots, folder
        self._last_state = _state(folder)
        self._changed = threading.Condition()
        self._queued: Path | None = None
        self._ended = False
        self._failure = ""  # why the latest state is not stored
        self._n_states = 0
        self._thread = threading.Thread(target=self._work, name="upload", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Queues what the training has saved since the last call; logs a warning when the last state was not stored."""
        if self._failure:
            failure, self._failure = self._failure, ""
            _log.warning("a checkpoint is not stored: %s; training continues", failure)
        state = _state(self._folder)
        if state == self._last_state:
            return
        self._last_state = state
        linked = self._link()
        with self._changed:
            dropped, self._queued = self._queued, linked
            self._changed.notify_all()
        if dropped is not None:
            shutil.rmtree(dropped, ignore_errors=True)

    def finish(self) -> None:
        """Stores everything that the trial has saved; raises StorageFailed."""
        self.stop()
        for pause in (*PAUSES, None):
            try:
                self._snapshots.save(_files(self._folder))
                return
            except StorageFailed:
                if pause is None:
                    raise
                time.sleep(pause)

    def stop(self) -> None:
        """Ends the thread; drops a state that waits."""
        with self._changed:
            self._queued, self._ended = None, True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queued is not None or self._ended)
                folder, self._queued = self._queued, None
            if folder is None:
                return
            try:
                self._snapshots.save(_files(folder))
            except StorageFailed as error:
                self._failure = str(error)
            except OSError as error:
                self._failure = f"{folder}: {error.strerror}"
            shutil.rmtree(folder, ignore_errors=True)

    def _link(self) -> Path:
        """Links the current files into a new folder and returns it; those that grow are copied."""
        self._n_states += 1
        linked = self._folder.with_name(f"{self._folder.name}-{self._n_states}")
        linked.mkdir(mode=0o700)
        files = _files(self._folder)
        for name, path in sorted(files.items(), key=lambda item: _grows(item[0])):
            (linked / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a thread of the trial has removed it
                shutil.copy2(path, linked / name) if _grows(name) else _link_or_copy(path, linked / name)
        return linked


def _grows(name: str) -> bool:
    """Whether others append to the file: it is copied, and after what a program saved once it had printed that."""
    return name in LOGS or fnmatch.fnmatch(name, OUTPUT)


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copy2(path, target)


def _files(folder: Path) -> dict[str, Path]:
    """Returns the files of a trial's folder by relative name, without temporary ones (hidden)."""
    found: dict[str, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_file(follow_symlinks=False):
                found[entry.name] = path
            elif entry.is_dir(follow_symlinks=False):
                found |= {f"{entry.name}/{name}": inner for name, inner in _files(path).items()}
    return found


def _state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Returns inode, size and time of each file: they differ after a change."""
    state = {}
    for name, path in _files(folder).items():
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            state[name] = found.st_ino, found.st_size, found.st_mtime_ns
    return state
