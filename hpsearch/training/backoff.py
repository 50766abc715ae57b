"""What is done when memory runs out: the same again, with half as much on the device at once.

How much is there at once decides no result (gradients and losses are sums), so the hyperparameters under study stay
what they are.
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
    """How many (rows, tokens) are on the device at once: halved each time that they find no room."""

    def __init__(self, size: int, *, least: int = 1, saying: str) -> None:
        """`saying`: the line of the warning, with places for {before} and {after}."""
        self.size, self.least, self._saying = size, min(least, size), saying
        self.halved = False

    def resume_with(self, size: int) -> None:
        """Goes on with a size that was found before."""
        self.size, self.halved = min(self.size, max(size, self.least)), True

    def run(self, work: Callable[[int], T], *, at_most: int | None = None, undo: Callable[[], None] | None = None) -> T:
        """What `work(size)` gives; where memory runs out: `undo()`, and the same again with half the size.

        `at_most`: how many there are. Raises the error when no less can be there at once.
        """
        while True:
            size = min(self.size, at_most or self.size)
            try:
                return work(size)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error) or size <= self.least:
                    raise
            if undo is not None:  # only now: until here the error's traceback held all that it had met
                undo()
            free()
            self.size, self.halved = max(self.least, -(-size // 2)), True
            _log.warning(self._saying.format(before=size, after=self.size))


def free() -> None:
    """Gives memory that nothing refers to back, the device's too."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's own
        torch.cuda.empty_cache()
