"""A config that a person enqueued, as the journal has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.journal.branch_labels import unfolded

ENQUEUED, REFUSED = "config_enqueued", "config_refused"  # kinds of events


@dataclass(frozen=True)
class Request:
    """What the driver made of one line of the queue."""

    id: str
    params: Mapping[str, Any]  # complete, by short name
    internal: Mapping[str, Any] | None  # the same as the sampler knows them; None: refused
    reason: str = ""  # of a refusal

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """The request of a config_enqueued or config_refused event."""
        return cls(event["id"], event["params"], event.get("internal"), event.get("reason", ""))


def named(params: Mapping[str, Any]) -> str:
    """Params in one line: learning_rate=0.0003 n_layers=2."""
    return " ".join(
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in unfolded(params).items()
    )
