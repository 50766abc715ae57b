"""The memory of this process, and which errors mean that memory ran out. It imports no torch."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")  # Linux
CLEAR = Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # written to clear_refs: resets VmHWM
# Parameters of mallopt(3) and our values: by default glibc returns the memory that a step frees to the system, and the
# next step gets it back page by page.
KEEP = {-1: 2**31 - 1, -3: 2**30}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD; bytes
OWN_WAY = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")  # environment variables that configure an allocator
WANTS = (  # in messages of RuntimeErrors from torch and the libraries below it
    "out of memory",
    "can't allocate memory",  # torch's CPU allocator
    "cannot allocate memory",
    "_status_alloc_failed",  # cuBLAS, cuDNN: their workspaces
)


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out, of the CPU or of a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter: torch's
        return True
    if not isinstance(error, RuntimeError | OSError):
        return False
    with contextlib.suppress(Exception):  # of a `__str__` that raises
        text = str(error).lower()
        return any(want in text for want in WANTS)
    return False


def resident() -> int:
    """Resident bytes of this process (the peak if the system does not report them)."""
    return _of_status("VmRSS") or peak()


def peak() -> int:
    """Peak of the resident bytes of this process, since `forget_peak` if the system can reset it."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _of_status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Resets `peak`, if the system permits."""
    with contextlib.suppress(OSError):
        CLEAR.write_text(FORGET_PEAK)


def keep_freed() -> None:
    """Keeps freed memory in the process for the next step (glibc). Call `give_back()` between trials.

    On a CPU a training takes up to 30% less time (benchmarks/README.md, Training speed). Does nothing without glibc
    or if the environment configures an allocator.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and not any(name.startswith(OWN_WAY) for name in os.environ):
        for parameter, value in KEEP.items():
            mallopt(parameter, value)


def give_back() -> None:
    """Returns freed memory to the system (glibc; 10 ms)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _of_status(name: str) -> int:
    """A line of the status in bytes, 0 if missing. (rusage on Linux contains the parent's peak before the exec.)"""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024
    return 0
