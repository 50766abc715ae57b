"""How much memory this process has, and whether an error says that there was no more. It imports no torch."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")  # Linux
CLEAR = Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # what clear_refs takes for: VmHWM begins anew
WANTS = (  # what torch and the libraries below it say in errors of no type of their own
    "out of memory",
    "can't allocate memory",  # torch's CPU allocator
    "cannot allocate memory",
    "_status_alloc_failed",  # cuBLAS, cuDNN: their workspaces
)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the CPU or of a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter: torch's
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(want in text for want in WANTS)


def resident() -> int:
    """Bytes of memory that this process has now (its peak where the system tells no more)."""
    return _of_status("VmRSS") or peak()


def peak() -> int:
    """The most memory (bytes, resident) that this process has had, since `forget_peak` where that is possible."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _of_status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Lets `peak` begin anew, where the system permits."""
    with contextlib.suppress(OSError):
        CLEAR.write_text(FORGET_PEAK)


def _of_status(name: str) -> int:
    """A line of the status in bytes, 0: there is none. Linux's rusage has the parent's peak before the exec."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024
    return 0
