"""The pause of a search (`hpsearch pause`): a file beside the journal, at which its driver looks in each turn.

The file asks for the pause; that the search is paused, and goes on, is in the journal (search_paused, search_resumed).
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from hpsearch.errors import StorageFailed
from hpsearch.system.atomic import write_atomically
from hpsearch.system.process import identity

NAME = "pause.json"  # in the study's folder


class PauseFile:
    """The file in a study's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    @property
    def is_asked(self) -> bool:
        """Whether a pause is asked for."""
        return os.path.lexists(self._path)

    def ask(self) -> None:
        """Asks for a pause; raises StorageFailed if the file cannot be written."""
        try:
            write_atomically(self._path, json.dumps(identity()).encode())
        except OSError as error:
            raise StorageFailed(f"{self._path}: cannot be written: {error.strerror}") from error

    def withdraw(self) -> None:
        """Asks for a pause no more; raises StorageFailed if the file cannot be removed."""
        try:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        except OSError as error:
            raise StorageFailed(f"{self._path}: cannot be removed: {error.strerror}") from error
