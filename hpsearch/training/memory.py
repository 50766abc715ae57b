"""How much memory this process has, and whether an error says that there was no more. It imports no torch."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")  # Linux
CLEAR = Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # what clear_refs takes for: VmHWM begins anew
# glibc's parameters and ours (mallopt(3)): by default it gives back to the system what a step frees, and the next step
# asks for it again, page by page.
KEEP = {-1: 2**31 - 1, -3: 2**30}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD; bytes
OWN_WAY = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")  # environment variables of who has set an allocator up
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


def keep_freed() -> None:
    """Has this process keep the memory that it frees, for its next step; `give_back` is to follow some time.

    On a CPU a training takes up to 30 % less time then (benchmarks/README.md, Training speed). Elsewhere than with
    glibc, and where the environment has set an allocator up, nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and not any(name.startswith(OWN_WAY) for name in os.environ):
        for parameter, value in KEEP.items():
            mallopt(parameter, value)


def give_back() -> None:
    """Gives the system the memory that this process has freed (glibc; 10 ms)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _of_status(name: str) -> int:
    """A line of the status in bytes, 0: there is none. Linux's rusage has the parent's peak before the exec."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024
    return 0
