"""Finds damaged checkpoints in a folder or in a storage: reads each checkpoint and verifies its checksum.

torch checkpoints and JSON states carry the same header (system/sealed.py). A file without that header is damaged.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from hpsearch.contract import CHECKPOINTS
from hpsearch.storage.snapshots import Snapshots
from hpsearch.system.sealed import is_whole


class CheckResult(NamedTuple):
    """Names of the checkpoints that a trial can resume from, and of the damaged ones among them."""

    present: list[str]
    damaged: list[str]


def check_folder(folder: Path) -> CheckResult:
    """Checks the checkpoints in a trial's folder; raises OSError."""
    present = [name for name in CHECKPOINTS if (folder / name).exists()]
    return CheckResult(present, [name for name in present if not is_whole(folder / name)])


def check_storage(snapshots: Snapshots) -> CheckResult:
    """Checks the newest checkpoints in a storage; raises StorageFailed, and OSError when the local disk is full.

    A checkpoint that was damaged before its upload matches the manifest, so its own checksum is verified too.
    """
    snapshots.load_newest()
    present = [name for name in CHECKPOINTS if name in snapshots.files]
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        copy = Path(folder) / "copy"
        return CheckResult(present, [name for name in present if not (snapshots.copy(name, copy) and is_whole(copy))])
