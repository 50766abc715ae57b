"""The section of a config whose keys are the user's own names, nested or flat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, model_serializer

from hpsearch.config.section import Section


class OwnNames(Section):
    """Names that the user chose, with their values; those of nested mappings are joined by dots (`optimizer.lr`)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def flat(self) -> dict[str, Any]:
        """{dotted name: value}."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def nested(self) -> dict[str, Any]:
        """The values as mappings in mappings, as a file has them."""
        return nested(self.flat)

    @model_serializer
    def _with_nulls(self) -> dict[str, Any]:
        """The values; one that is None is kept also where defaults of ours that are None are left out."""
        return self.flat


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings in mappings of dotted names: {"a.b": 1} is {"a": {"b": 1}}."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *around, last = name.split(".")
        inner = found
        for part in around:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return found
