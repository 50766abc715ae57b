"""Which process is meant: its number can be given to another one, its start cannot."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import Any


def hostname() -> str:
    """The name of this host."""
    return socket.gethostname()


def started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when it is gone or this is not Linux."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def identity() -> dict[str, Any]:
    """This process as a lock names it: pid, host, since; on Linux also its start and the boot."""
    me = {"pid": os.getpid(), "host": hostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    if (start := started(os.getpid())) is not None:
        me["started"] = start
    with contextlib.suppress(OSError):  # Linux
        me["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return me


def mark(pid: int) -> str:
    """`host:pid:start`: a process in one word."""
    return f"{hostname()}:{pid}:{started(pid) or ''}"


def is_gone(mark_of_it: str) -> bool:
    """Whether the process of a mark has ended; False for one on another host, and where it cannot be told."""
    host, _, rest = mark_of_it.partition(":")
    pid, _, start = rest.partition(":")
    return bool(host == hostname() and start and mark(int(pid)) != mark_of_it)
