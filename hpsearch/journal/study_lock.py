"""One driver per study: an advisory lock that the system releases with its process, and that names its holder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy
from hpsearch.system.process import identity

NAME_READS = 10  # a twentieth of a second apart
TRIES = 4


class StudyLock:
    """Held from its construction until `release` or the end of the process.

    The system's lock (flock) decides; the file's content only names the holder. So the lock of a crashed driver is free
    at once, even if another process has its pid now.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        """Acquires the lock; `what` (study 'x') is for messages. Raises StudyBusy, which names the holder.

        Raises HpsearchError if the file system cannot lock, StorageFailed if the file cannot be opened.
        """
        self._file = _open(path)
        try:
            _take(self._file)
        except BlockingIOError as error:
            owner = _owner(self._file)
            os.close(self._file)
            raise StudyBusy(f"{what} is being run by {owner}") from error
        except OSError as error:
            os.close(self._file)
            raise HpsearchError(
                f"{path}: this file system cannot lock ({error.strerror}); put the home on a local disk"
            ) from error
        with contextlib.suppress(OSError):  # on a full disk the lock has no name in it
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(identity()).encode(), 0)

    def release(self) -> None:
        """Releases the lock."""
        os.close(self._file)


def is_held(file: int) -> bool:
    """Whether a process holds the lock of this open file."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock at this path."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return is_held(file)
    finally:
        os.close(file)


def holder(path: Path) -> dict[str, Any] | None:
    """Returns what the lock at this path says of its holder (pid, host, since); empty: not yet, None: it is free."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        if not is_held(file):
            return None
        with contextlib.suppress(ValueError, OSError):
            found = json.loads(os.pread(file, 4096, 0))
            return found if isinstance(found, dict) else {}
        return {}
    finally:
        os.close(file)


def _take(file: int) -> None:
    """Acquires the lock; retries, since `is_held` of another process holds it for a moment."""
    for _ in range(TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.05)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise StorageFailed(f"{path}: cannot be opened: {error.strerror}") from error
    if os.fstat(file).st_nlink > 1:
        os.close(file)
        raise HpsearchError(f"{path}: the lock must be a file of its own, not a link")
    return file


def _owner(file: int) -> str:
    """Returns the holder named in the file; retries, since a new holder may not have written its name yet."""
    for _ in range(NAME_READS):
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            owner: dict[str, Any] = json.loads(os.pread(file, 4096, 0))
            return f"pid {owner['pid']} on host {owner['host']} since {owner['since']}"
        time.sleep(0.05)
    return "another process"
