"""One driver per study: an advisory lock that dies with its process, and says whose it is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from hpsearch.errors import StudyBusy


class StudyLock:
    """Held from its making until `release` or the end of the process, however it ends."""

    def __init__(self, path: Path, *, study: str) -> None:
        """Takes the lock; raises StudyBusy, naming the holder, when a living process has it."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(self._file)
            os.close(self._file)
            raise StudyBusy(f"study '{study}' is being run by {owner}") from error
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(me).encode(), 0)

    def release(self) -> None:
        """Lets the next driver in."""
        os.close(self._file)


def _owner(file: int) -> str:
    try:
        owner: dict[str, Any] = json.loads(os.pread(file, 4096, 0))
        return f"pid {owner['pid']} on host {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, OSError):
        return "another process"
