"""One driver per study: an advisory lock that dies with its process, and says whose it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy
from hpsearch.process import identity

NAMED_AFTER = 10  # looks, a twentieth of a second apart
TRIES = 4


class StudyLock:
    """Held from its making until `release` or the end of the process, however it ends.

    The system's lock (flock) decides; what the file says only names its holder. So a file left by a crash or a reboot
    is taken over at once, whoever has that process number now.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        """Takes the lock on `what` (study 'x'); raises StudyBusy, naming the holder, when a living process has it.

        Raises HpsearchError where the file system cannot lock, StorageFailed where it takes no file.
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
                f"{path}: this file system cannot lock ({error.strerror}); put the home (--home) on a local disk"
            ) from error
        with contextlib.suppress(OSError):  # on a full disk the holder has no name, but the lock
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(identity()).encode(), 0)

    def release(self) -> None:
        """Lets the next driver in."""
        os.close(self._file)


def is_held(file: int) -> bool:
    """Whether a living process holds the lock of this open file."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock at this path."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return is_held(file)
    finally:
        os.close(file)


def _take(file: int) -> None:
    """Takes the lock; who only looks whether it is held has it for a moment, too."""
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
    """The holder as its lock names it; one that has it since a moment ago may not have done so yet."""
    for _ in range(NAMED_AFTER):
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            owner: dict[str, Any] = json.loads(os.pread(file, 4096, 0))
            return f"pid {owner['pid']} on host {owner['host']} since {owner['since']}"
        time.sleep(0.05)
    return "another process"
