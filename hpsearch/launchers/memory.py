"""How much memory this process took, and whether the system killed one for want of it."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))  # lines "oom_kill N" (Linux)


def peak() -> int:
    """The most memory (bytes, resident) that this process has had."""
    with contextlib.suppress(OSError, ValueError, StopIteration):  # Linux: rusage has the parent's peak before the exec
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def kills() -> int:
    """How many processes the system has killed for want of memory, as far as it says so."""
    found = 0
    for path in COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            found += sum(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("oom_kill "))
    return found
