"""Standard output and standard error that never raise, so that a closed pipe does not end a search.

A write can fail because the reader of a pipe is gone (`| head`, a pager), because a disk is full (`| tee`, `> file`),
because the terminal is gone or because its encoding lacks a character. `unfailing()` covers every way to print
(rich, click, logging, warnings, the interpreter's flush at exit): it replaces the streams below them.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from hpsearch.output import waiting

NAMES = {1: "standard output", 2: "standard error"}
Lost = Callable[[int, OSError], None]  # (file descriptor, why)

_losses: dict[int, OSError] = {}


class _Unfailing(io.FileIO):
    """A file descriptor that accepts every write; after the first failure it is /dev/null."""

    def __init__(self, descriptor: int, lost: Lost) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._lost = lost

    def write(self, data) -> int:  # type: ignore[no-untyped-def]  # any buffer
        """Returns the number of bytes written; all of them after a failure."""
        with waiting.written(memoryview(data)):
            return self._write(data)

    def _write(self, data) -> int:  # type: ignore[no-untyped-def]
        while True:
            try:
                written = super().write(data)
            except OSError as error:
                self._give_up(error)
                return memoryview(data).nbytes
            if written is not None:  # None: the pipe is non-blocking and full
                return written
            select.select([], [self.fileno()], [])

    def _give_up(self, error: OSError) -> None:
        descriptor = self.fileno()
        _to_null(descriptor)
        if descriptor not in _losses:
            _losses[descriptor] = error
            self._lost(descriptor, error)


@contextlib.contextmanager
def unfailing(lost: Lost = lambda descriptor, error: None) -> Iterator[None]:
    """Makes `sys.stdout` and `sys.stderr` never raise; calls `lost` at the first failure of each.

    Escapes characters that the encoding lacks. Replaces a closed stream (`>&-`) by /dev/null, so that no file opened
    later gets its descriptor. Leaves streams without a descriptor (of a test or a notebook) unchanged.
    """
    _losses.clear()
    _reserve_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _safe(before[0], 1, lost), _safe(before[1], 2, lost)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def loss(descriptor: int = 1) -> OSError | None:
    """Returns why the descriptor failed; None: it has not."""
    return _losses.get(descriptor)


def reader_gone(error: OSError) -> bool:
    """Whether the error means that the reader is gone (a closed pipe or terminal), not that a disk is full."""
    return error.errno in (errno.EPIPE, errno.ESHUTDOWN, errno.ECONNRESET, errno.ENXIO)


def _safe(stream: TextIO | None, descriptor: int, lost: Lost) -> TextIO:
    if stream is not None:
        try:
            stream.flush()
            if stream.fileno() != descriptor:
                return stream
        except (OSError, ValueError):  # it has no descriptor, or is closed
            return stream
    raw = io.BufferedWriter(_Unfailing(descriptor, lost))
    line_by_line = descriptor == 2 or raw.isatty()
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=line_by_line)


def _reserve_descriptors() -> None:
    """Opens /dev/null in place of closed standard streams."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _to_null(descriptor)


def _to_null(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, descriptor)  # child processes inherit it
        if null != descriptor:
            os.close(null)
        os.set_inheritable(descriptor, True)
