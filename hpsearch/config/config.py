"""The base class of every trainer's config, and the digest of a config."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from hpsearch.config.objective import Objective
from hpsearch.config.section import Section


class Config(Section):
    """The whole config of one training; each trainer (trainers/) adds its sections."""

    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description=(
            "the seed of the sampler and of every training. A range is refused, in a trainer's sections too: a "
            "search would choose the luckiest seed"
        ),
    )
    objective: Objective = Objective()
    trains_on_valid: ClassVar[bool] = False  # whether the validation data are trained on: then nothing is validated

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The plain values of a config without those that the training does not depend on, such as paths."""
        return dict(values)

    def digest(self) -> str:
        """The hash of the whole config, which is stored with each checkpoint."""
        return digest(self.model_dump(mode="json"))


def digest(value: Any) -> str:
    """The SHA-256 (hex) of a JSON-able value; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
