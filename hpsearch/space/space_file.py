"""A space file as its trainer sees it: implements the trainers' protocol `SpaceView`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.config import Config
from hpsearch.document.document import Document
from hpsearch.document.ranges import Leaf
from hpsearch.space.settings import Settings
from hpsearch.space.space import Space


@dataclass(frozen=True)
class SpaceFile:
    """A space file as its trainer sees it."""

    document: Document
    settings: Settings
    space: Space

    @property
    def config(self) -> Config:
        """One config of the space; the values without ranges are those of every config."""
        kind = self.space.trainer.config
        return kind.model_validate({name: getattr(self.settings, name) for name in kind.model_fields})

    @property
    def given(self) -> Mapping[str, Any]:
        """The file's values, without defaults."""
        return self.document.value

    @property
    def base(self) -> Path:
        """The folder for relative paths."""
        return Path(self.document.path).parent / (self.settings.base or ".")

    def leaves(self, section: str, key: str) -> list[Leaf]:
        """Every value or range that may set a key in a trial."""
        return self.space.leaves(section, key)

    def varies(self, section: str) -> bool:
        """Whether the section has a range."""
        return self.space.varies(section)

    def keys(self, section: str) -> Mapping[str, bool]:
        """Every key that a trial may have in a section, and whether its value varies between trials."""
        return self.space.keys(section)

    def where(self, *keys: str | int) -> str:
        """`path:line:column` of a value."""
        return self.document.where(*keys)
