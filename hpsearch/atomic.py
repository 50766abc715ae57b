"""Files that are there whole or not at all, whatever interrupts their writing."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch import failpoints

TRANSIENT = {errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO)}
PAUSES = (0.1, 0.5, 2.0)  # seconds before the second, third and fourth try


def write_atomically(path: Path, data: bytes, *, former: Path | None = None) -> None:
    """Puts a file (mode 0600) in place under its name only when all of it is on the disk; raises OSError.

    The file that stood there before stays as `former` where that is given. Errors that may pass (EIO) are met with
    three more tries; a full disk leaves what was there, and nothing half written.
    """
    for pause in (*PAUSES, None):
        try:
            _write_once(path, data, former)
            return
        except OSError as error:
            if pause is None or error.errno not in TRANSIENT:
                raise
            time.sleep(pause)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    write_atomically(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def make_folder(path: Path) -> None:
    """Makes a folder (mode 0700) and those above it, each entry durable; one that is there is left as it is.

    Raises OSError.
    """
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames and new files of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_once(path: Path, data: bytes, former: Path | None) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with _removed_on_failure(temporary):
        _create(temporary, data)
        failpoints.hit("file_written")
        if former is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, former)
        os.replace(temporary, path)
    failpoints.hit("file_renamed")
    sync_folder(path.parent)


def _create(path: Path, data: bytes) -> None:
    """Writes a new file and syncs it; what a crash left under this name, or somebody planted there, is not opened."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:  # an interrupt leaves nothing behind either
        with contextlib.suppress(OSError):
            path.unlink()
        raise
