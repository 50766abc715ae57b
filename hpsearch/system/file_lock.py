"""Locks between processes, as files; the system releases them when their process dies.

The lock of a study is another one, which names its holder: journal/study_lock.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from hpsearch.errors import HpsearchError


@contextlib.contextmanager
def locked(path: Path, *, timeout: float | None = None, busy: str = "is held by another process") -> Iterator[None]:
    """Holds the lock file `path` for the block; waits for it, at most `timeout` seconds.

    Raises HpsearchError (the path, then `busy`) while another process holds it, OSError if the file cannot be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if timeout is None else timeout, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise HpsearchError(f"{path}: {busy}") from error
    try:
        yield
    finally:
        lock.release()


def acquire(path: Path) -> BaseFileLock:
    """Acquires a lock until its `release` or the end of this process; any thread may release it.

    Raises BlockingIOError when another process holds it.
    """
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BlockingIOError(0, "is held by another process") from error
    return lock
