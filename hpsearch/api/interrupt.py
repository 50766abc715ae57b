"""Ctrl-C in a script or a notebook: the first one lets the search or the training save its state."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """Notes the first Ctrl-C (SIGINT) within its block; a second one raises KeyboardInterrupt at once.

    Only Python's main thread receives signals: in another thread the block changes nothing.
    """

    def __init__(self, *, is_watching: bool = True) -> None:
        """`is_watching`: False leaves Python's own handling of Ctrl-C."""
        self.caught = False
        self._is_watching = is_watching and threading.current_thread() is threading.main_thread()
        self._before: Any = None  # None: a program that embeds Python has installed the handler

    def stopping(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.caught

    def __enter__(self) -> Self:
        if self._is_watching:
            self._before = signal.signal(signal.SIGINT, self._catch)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_watching:
            signal.signal(signal.SIGINT, signal.default_int_handler if self._before is None else self._before)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = True
