"""Which checkpoints are damaged, in a folder or in a storage: each is read whole and compared with its checksum."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from hpsearch.contract import CHECKPOINTS
from hpsearch.sealed import is_whole
from hpsearch.storage.snapshots import Snapshots


class Found(NamedTuple):
    """The checkpoints that a trial can resume from, by name, and those of them that are damaged."""

    there: list[str]
    damaged: list[str]


def on_disk(folder: Path) -> Found:
    """Checks the checkpoints in a trial's folder; raises OSError."""
    there = [name for name in CHECKPOINTS if (folder / name).exists()]
    return Found(there, [name for name in there if not is_whole(folder / name)])


def in_storage(snapshots: Snapshots) -> Found:
    """Checks the newest checkpoints in a storage; raises StorageFailed, and OSError when the disk here is full."""
    snapshots.look()
    there = [name for name in CHECKPOINTS if name in snapshots.files]
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        return Found(there, [name for name in there if not snapshots.copy(name, Path(folder) / "copy")])
