"""A trial's files on their way between a folder of this node and the storage; training does not wait for them."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hpsearch.atomic import make_folder
from hpsearch.errors import StorageFailed
from hpsearch.launchers.messages import Task
from hpsearch.launchers.ray.scratch import Scratch
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import RemoteFiles, Storage

PAUSES = (0.5, 2.0, 8.0)  # seconds before the second, third and fourth try at the end of a trial
_log = logging.getLogger(__name__)


class Upload:
    """Stores what a trial saves: `look`, called where nothing is being written, hands a new state to a thread.

    Of the states that wait the latest is stored. A state is a folder of hard links: nothing is copied or locked.
    """

    def __init__(self, snapshots: Snapshots, folder: Path) -> None:
        """`folder`: the trial's; a folder beside it is for the states that wait."""
        self._snapshots, self._folder = snapshots, folder
        self._seen = _state(folder)
        self._changed = threading.Condition()
        self._waiting: Path | None = None
        self._ended = False
        self._trouble = ""  # why the latest state is not stored
        self._made = 0
        self._thread = threading.Thread(target=self._work, name="upload", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Hands on what the training has saved since; says in the log when nothing could be stored."""
        if self._trouble:
            trouble, self._trouble = self._trouble, ""
            _log.warning("a checkpoint is not stored: %s; training goes on", trouble)
        state = _state(self._folder)
        if state == self._seen:
            return
        self._seen = state
        linked = self._link()
        with self._changed:
            former, self._waiting = self._waiting, linked
            self._changed.notify_all()
        if former is not None:
            shutil.rmtree(former, ignore_errors=True)

    def finish(self) -> None:
        """Returns when all that the trial has saved is in the storage; raises StorageFailed when it cannot be."""
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
        """Returns when nothing more will be stored."""
        with self._changed:
            self._waiting, self._ended = None, True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._ended)
                folder, self._waiting = self._waiting, None
            if folder is None:
                return
            try:
                self._snapshots.save(_files(folder))
            except StorageFailed as error:
                self._trouble = str(error)
            except OSError as error:
                self._trouble = f"{folder}: {error.strerror}"
            shutil.rmtree(folder, ignore_errors=True)

    def _link(self) -> Path:
        """The files as they are now, in a folder of their own."""
        self._made += 1
        linked = self._folder.with_name(f"{self._folder.name}-{self._made}")
        linked.mkdir(mode=0o700)
        for name, path in _files(self._folder).items():
            (linked / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                os.link(path, linked / name)
            except FileNotFoundError:  # a trainer's own thread has removed it
                continue
            except OSError:  # a file system without links
                shutil.copy2(path, linked / name)
        return linked


class Elsewhere:
    """A worker's way to trials whose folders are in a storage: `begin` brings one here, `end` takes it back."""

    def __init__(self, url: str) -> None:
        """Raises UserError for a storage or a folder that this node cannot use."""
        self.storage, self.scratch = Storage(url), Scratch()
        self._upload: Upload | None = None
        self._folder = self.scratch.path / "none"

    def begin(self, task: Task, remote: RemoteFiles, beat: Callable[[], None]) -> Task:
        """The task with folders of this node, in which its data and its checkpoint are; raises StorageFailed.

        beat: called from time to time.
        """
        self._folder = self.scratch.path / f"{task.trial:04d}"
        shutil.rmtree(self._folder, ignore_errors=True)
        make_folder(self._folder)
        prepared = {key: self.scratch.prepared(self.storage, name, beat) for key, name in remote.prepared.items()}
        snapshots = Snapshots(self.storage, remote.folder, attempt=task.attempt)
        snapshots.load_newest()
        snapshots.fetch(self._folder, beat)
        self._upload = Upload(snapshots, self._folder)
        return replace(task, folder=self._folder, prepared=prepared)

    def look(self) -> None:
        """Between steps of the training: stores what it has saved."""
        if self._upload is not None:
            self._upload.look()

    def end(self, *, keep: bool) -> None:
        """Stores what is to be kept and removes the trial's folder; raises StorageFailed when it is not stored."""
        upload, self._upload = self._upload, None
        try:
            if upload is not None:
                upload.finish() if keep else upload.stop()
        finally:
            for folder in self.scratch.path.glob(f"{self._folder.name}*"):
                with contextlib.suppress(OSError):
                    shutil.rmtree(folder)


def _files(folder: Path) -> dict[str, Path]:
    """What a trial's folder holds, without what is being written."""
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
    """By what one sees that files have changed."""
    state = {}
    for name, path in _files(folder).items():
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            state[name] = found.st_ino, found.st_size, found.st_mtime_ns
    return state
