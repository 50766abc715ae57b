"""Retries with half the micro-batch when memory runs out.

The size of micro-batches does not change results (gradients and losses are sums), so no hyperparameter changes.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from hpsearch.training.memory import ran_out

_log = logging.getLogger(__name__)
T = TypeVar("T")


class BatchBackoff:
    """A number of rows or tokens on the device at once, halved each time that memory runs out."""

    def __init__(self, size: int, *, least: int = 1, saying: str) -> None:
        """`saying`: the warning, with placeholders {before} and {after}."""
        self.size, self.least, self._saying = size, min(least, size), saying
        self.halved = False

    def resume_with(self, size: int) -> None:
        """Continues with a size found earlier."""
        self.size, self.halved = min(self.size, max(size, self.least)), True

    def run(self, work: Callable[[int], T], *, at_most: int | None = None, undo: Callable[[], None] | None = None) -> T:
        """Returns `work(size)`; if memory runs out, calls `undo()` and retries with half the size.

        `at_most`: upper limit of this call. Raises the error if the size cannot be halved further.
        """
        while True:
            size = min(self.size, at_most or self.size)
            try:
                return work(size)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error) or size <= self.least:
                    raise
            if undo is not None:  # only now: until here the traceback kept tensors alive
                undo()
            free()
            self.size, self.halved = max(self.least, -(-size // 2)), True
            _log.warning(self._saying.format(before=size, after=self.size))


def free() -> None:
    """Frees unreferenced memory, the device's cache included."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's own
        torch.cuda.empty_cache()
