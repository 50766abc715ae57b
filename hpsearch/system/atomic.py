"""Atomic and durable writes: after a crash a file has its old or its new content."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.system import failpoints

TRANSIENT = {errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO)}
PAUSES = (0.1, 0.5, 2.0)  # seconds before each retry


def write_atomically(path: Path, data: bytes, *, previous: Path | None = None) -> None:
    """Writes and syncs a temporary file (mode 0600), then renames it to `path`; raises OSError.

    `previous`: renames the old file to this path first. Retries transient errors (EIO) three times. After a failure,
    as on a full disk, the old file is unchanged and the temporary one deleted.
    """
    for pause in (*PAUSES, None):
        try:
            _write_once(path, data, previous)
            return
        except OSError as error:
            if pause is None or error.errno not in TRANSIENT:
                raise
            time.sleep(pause)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically; raises OSError."""
    write_atomically(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def make_folder(path: Path) -> None:
    """Makes a folder (mode 0700) and its missing parents, and syncs each; raises OSError."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Syncs a folder, so that renames and new files in it are durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_once(path: Path, data: bytes, previous: Path | None) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with _removed_on_failure(temporary):
        _create(temporary, data)
        failpoints.hit("file_written")
        if previous is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, previous)
        os.replace(temporary, path)
    failpoints.hit("file_renamed")
    sync_folder(path.parent)


def _create(path: Path, data: bytes) -> None:
    """Writes and syncs a new file; replaces a file that a crash, or another user, left under this name."""
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
    except BaseException:  # also KeyboardInterrupt
        with contextlib.suppress(OSError):
            path.unlink()
        raise
