"""Checks that a node sees the driver's folder or storage: the driver writes a file, the node reads it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hpsearch.errors import HpsearchError, StorageFailed
from hpsearch.storage.storage import Storage

PATIENCE = 5.0  # seconds that a file written on one node may take to be seen on another (NFS)


@dataclass(frozen=True)
class SharedFolder:
    """A file in the study's folder; a node that can read it shares the folder."""

    path: Path
    text: str
    remedy: ClassVar[str] = "the home must be on a path that all nodes of the Ray cluster share, or give a storage"

    def write(self) -> None:
        """Writes the file; raises OSError."""
        self.path.write_text(self.text)

    def remove(self) -> None:
        """Deletes the file."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def problem(self) -> str:
        """Returns why this node cannot be used, or "" if it can."""
        return "" if self.seen() else f"does not see {self.path.parent}"

    def seen(self) -> bool:
        """Whether this node can read the file."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                if self.path.read_text() == self.text:
                    return True
            time.sleep(0.1)
        return False


@dataclass(frozen=True)
class SharedStorage:
    """A file in the storage: on another machine the URL may mean another place, or credentials may be missing."""

    url: str
    name: str
    text: str
    remedy: ClassVar[str] = "a storage must be one that the driver and all nodes can use"

    def write(self) -> None:
        """Writes the file; raises StorageFailed, or UserError for a URL that cannot be opened."""
        Storage(self.url).write(self.name, self.text.encode())

    def remove(self) -> None:
        """Deletes the file."""
        with contextlib.suppress(StorageFailed):
            Storage(self.url).remove([self.name])

    def problem(self) -> str:
        """Returns why this node cannot be used, or "" if it can."""
        try:
            storage = Storage(self.url)
            deadline = time.monotonic() + PATIENCE
            while storage.read(self.name) != self.text.encode():
                if time.monotonic() > deadline:
                    return f"does not see in {storage.url} what the driver has written there"
                time.sleep(0.1)
            probe = storage.probe()
        except HpsearchError as error:
            probe = str(error)
        return "" if probe is None else f"cannot use the storage: {probe}"
