"""Identifies processes beyond their pid, which the system reuses: by pid and start time."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import Any


def hostname() -> str:
    """Returns the name of this host."""
    return socket.gethostname()


def started(pid: int) -> str | None:
    """Returns a process's start in clock ticks since boot; None if it is gone or this is not Linux."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def identity() -> dict[str, Any]:
    """Returns this process as a lock file names it: pid, host, since; on Linux also started and boot."""
    me = {"pid": os.getpid(), "host": hostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    if (start := started(os.getpid())) is not None:
        me["started"] = start
    with contextlib.suppress(OSError):  # Linux
        me["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return me


def mark(pid: int) -> str:
    """Returns `host:pid:start`, which identifies a process."""
    return f"{hostname()}:{pid}:{started(pid) or ''}"


def is_gone(known: str) -> bool:
    """Whether the process of a mark has ended; False if it is on another host or this is not Linux."""
    host, _, rest = known.partition(":")
    pid, _, start = rest.partition(":")
    return bool(host == hostname() and start and mark(int(pid)) != known)
