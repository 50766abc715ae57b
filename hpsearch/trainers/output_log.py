"""What a user's code prints, in a file of the trial's folder whose size is bounded."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from hpsearch.contract import LOGS

LARGEST = 1 << 20  # bytes of each of the two files: the latest output, and what came before it


class OutputLog(io.TextIOBase):
    """A text file that takes everything: once it is full, it becomes the older one of two.

    What a full disk refuses is lost: a log must not end a training.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._older = (folder / name for name in LOGS)
        self._file = self._path.open("ab")

    def write(self, text: str) -> int:
        """Appends a text."""
        self.append(text.encode(errors="replace"))
        return len(text)

    def append(self, output: bytes) -> None:
        """Appends bytes; of more than a file's size the last ones."""
        if self.closed:  # a thread of the user's code prints on
            return
        with contextlib.suppress(OSError):
            if self._file.tell() + len(output) > LARGEST:
                self._file.close()
                os.replace(self._path, self._older)
                self._file = self._path.open("ab")
            self._file.write(output[-LARGEST:])
            self._file.flush()

    def writable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self._file.close()
        super().close()


@contextlib.contextmanager
def printing_to(log: OutputLog) -> Iterator[None]:
    """Sends what Python code prints in this block, also what it writes to standard error, to the log."""
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield
