"""What a trainer sees of a space file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from hpsearch.document.ranges import Leaf


class SpaceView(Protocol):
    """A space file as its trainer sees it."""

    @property
    def config(self) -> Any:
        """One config of the space: each range has one of its values."""

    @property
    def given(self) -> Mapping[str, Any]:
        """The file's own values, without defaults."""

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""

    def leaves(self, section: str, key: str) -> list[Leaf]:
        """Every value or range that a key may have in a trial, those of sub-configs included."""

    def varies(self, section: str) -> bool:
        """Whether the section contains a range."""

    def keys(self, section: str) -> Mapping[str, bool]:
        """Every key that a trial may have in a section, and whether its value varies between trials."""

    def where(self, *keys: str | int) -> str:
        """`path:line:column` of a value, for the beginning of an error message."""
