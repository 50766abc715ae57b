"""Ctrl-C in a script or a notebook, while something runs that is to save its state first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Notes the first Ctrl-C (SIGINT) within its block; a second one raises KeyboardInterrupt at once.

    Only Python's main thread gets signals: in another thread the block changes nothing.
    """

    def __init__(self) -> None:
        self.caught = False
        self._before: Any = None
        self._is_set = False

    def stopping(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.caught

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before, self._is_set = signal.signal(signal.SIGINT, self._catch), True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_set:
            signal.signal(signal.SIGINT, self._before)
            self._is_set = False

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = True
