"""Moves a trial's files between the storage and a folder of this node."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace

from hpsearch.launchers.messages import Task
from hpsearch.launchers.ray.scratch import Scratch
from hpsearch.launchers.ray.upload import Upload
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import RemoteFiles, Storage
from hpsearch.system.atomic import make_folder


class TrialTransfer:
    """Moves trials between a storage and this node: `begin` downloads one, `end` stores it."""

    def __init__(self, url: str) -> None:
        """Raises UserError for a storage or a scratch folder that this node cannot use."""
        self.storage, self.scratch = Storage(url), Scratch()
        self._upload: Upload | None = None
        self._folder = self.scratch.path / "none"

    def begin(self, task: Task, remote: RemoteFiles, beat: Callable[[], None]) -> Task:
        """Downloads the trial's data and checkpoint; returns the task with the local folders.

        `beat` is called after each file. Raises StorageFailed or OSError.
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
        """Stores what the training has saved; call it between steps."""
        if self._upload is not None:
            self._upload.look()

    def end(self, *, keep: bool) -> None:
        """Stores the trial's files if `keep`, and removes its folder; raises StorageFailed if they cannot be stored."""
        upload, self._upload = self._upload, None
        try:
            if upload is not None:
                upload.finish() if keep else upload.stop()
        finally:
            for folder in self.scratch.path.glob(f"{self._folder.name}*"):
                with contextlib.suppress(OSError):
                    shutil.rmtree(folder)
