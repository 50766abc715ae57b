"""Counts out-of-memory kills of the system and detects workers that leak memory."""

from __future__ import annotations

import contextlib
import gc
import sys
from pathlib import Path
from typing import Any

from hpsearch.training import memory
from hpsearch.training.memory import peak, resident

__all__ = ["LeakDetector", "give_back", "oom_kills", "peak"]

COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))  # lines "oom_kill N" (Linux)
LEAK_FACTOR = 1.5  # times the memory of a worker after its first trial
LEAK_ROOM = 512 << 20  # bytes beyond that: libraries imported later, and pages that the allocator keeps
LEAK_ON_DEVICE = 64 << 20  # bytes of tensors on the GPU between two trials, when there should be none


def oom_kills() -> int:
    """Returns the number of out-of-memory kills since boot; 0 if the system does not count them."""
    found = 0
    for path in COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            found += sum(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("oom_kill "))
    return found


class LeakDetector:
    """Detects that a worker process keeps memory of its trials."""

    def __init__(self) -> None:
        self._limit: int | None = None  # set after the first trial

    def after_trial(self) -> tuple[int, bool]:
        """Returns the bytes that this process uses between two trials, and whether that is a leak.

        Collects garbage only above the limit: a collection takes tens of milliseconds.
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
    """Returns the bytes of tensors on the GPU."""
    cuda = _cuda()
    return int(cuda.memory_allocated()) if cuda is not None else 0


def give_back() -> None:
    """Returns cached memory of torch and the allocator to the system: the next trial may run in another process."""
    memory.give_back()
    cuda = _cuda()
    if cuda is not None:
        cuda.empty_cache()


def _cuda() -> Any:
    """Returns torch.cuda if this process uses it, else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)  # absent while torch is being imported
    return cuda if cuda is not None and cuda.is_initialized() else None
