"""Tests whether a node sees the driver's folders, or its storage: the driver writes a file, the node reads it."""

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
    """A file that the driver has written, by which a node sees that it has the driver's folders."""

    path: Path
    text: str
    remedy: ClassVar[str] = "--home must be on a path that all nodes of the Ray cluster share, or give a storage"

    def leave(self) -> None:
        """Writes it; raises OSError."""
        self.path.write_text(self.text)

    def remove(self) -> None:
        """Deletes it."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def lacking(self) -> str:
        """Why this node cannot be used; "" if it sees the file."""
        return "" if self.seen() else f"does not see {self.path.parent}"

    def seen(self) -> bool:
        """Whether the file is here, with this text."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                if self.path.read_text() == self.text:
                    return True
            time.sleep(0.1)
        return False


@dataclass(frozen=True)
class SharedStorage:
    """The same for a storage: a URL can mean another place on another machine, or one that it may not use."""

    url: str
    name: str
    text: str
    remedy: ClassVar[str] = "a storage must be one that the driver and all nodes can use"

    def leave(self) -> None:
        """Writes it; raises StorageFailed, or UserError for a URL that cannot be opened."""
        Storage(self.url).write(self.name, self.text.encode())

    def remove(self) -> None:
        """Deletes it."""
        with contextlib.suppress(StorageFailed):
            Storage(self.url).remove([self.name])

    def lacking(self) -> str:
        """Why this node cannot be used; "" if it can use the storage."""
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
