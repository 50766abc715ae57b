"""Whether the system killed a process for want of memory, and whether a worker keeps more than it should."""

from __future__ import annotations

import contextlib
import gc
import sys
from pathlib import Path
from typing import Any

from hpsearch.training import memory
from hpsearch.training.memory import peak, resident

__all__ = ["Leak", "give_back", "kills", "peak"]

COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))  # lines "oom_kill N" (Linux)
LEAK_FACTOR = 1.5  # times what a worker has after its first trial
LEAK_ROOM = 512 << 20  # bytes beyond that: libraries that were not asked for before, and pages not given back
LEAK_ON_DEVICE = 64 << 20  # bytes of tensors on the GPU between two trials, where there should be none


def kills() -> int:
    """How many processes the system has killed for want of memory, as far as it says so."""
    found = 0
    for path in COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            found += sum(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("oom_kill "))
    return found


class Leak:
    """What a worker process keeps of its trials."""

    def __init__(self) -> None:
        self._limit: int | None = None  # known after the first trial

    def after_trial(self) -> tuple[int, bool]:
        """Bytes that this process has between two trials, and whether that is too much.

        Garbage is collected only where it seems to be: that takes tens of milliseconds.
        """
        give_back()
        if self._limit is None:
            self._limit = int(LEAK_FACTOR * resident()) + LEAK_ROOM
        if not self._too_much():
            return resident(), False
        gc.collect()
        return resident(), self._too_much()

    def _too_much(self) -> bool:
        return resident() > (self._limit or 0) or _on_device() > LEAK_ON_DEVICE


def _on_device() -> int:
    """Bytes of tensors on the GPU."""
    cuda = _cuda()
    return int(cuda.memory_allocated()) if cuda is not None else 0


def give_back() -> None:
    """Gives back what torch and the allocator keep for later: the next trial may be another process's."""
    memory.give_back()
    cuda = _cuda()
    if cuda is not None:
        cuda.empty_cache()


def _cuda() -> Any:
    """torch.cuda where this process uses it; None elsewhere."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)  # absent while torch is being imported
    return cuda if cuda is not None and cuda.is_initialized() else None
