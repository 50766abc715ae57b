"""What every trainer's config has, and the digest of any config."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hpsearch.config.objective import Objective
from hpsearch.config.section import Section


class Config(Section):
    """One training, whole. Each trainer (trainers/) adds its own sections."""

    seed: int = Field(0, ge=0, lt=2**63)
    objective: Objective = Objective()

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a config (plain) without those that no training depends on, such as where its files lie."""
        return dict(values)

    def digest(self) -> str:
        """A hash of the whole config, as it stands beside each checkpoint."""
        return digest(self.model_dump(mode="json"))


def digest(value: Any) -> str:
    """The SHA-256 (hex) of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
