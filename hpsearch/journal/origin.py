"""How a study began: the event study_created as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

CREATED = "study_created"
LAYOUT = 3  # of new studies in MLflow; 1: the best value so far has all digits; 2: params are labels of branches


@dataclass(frozen=True)
class Origin:
    """What a study searches and what identifies it; all fields are empty before the study is created."""

    study: str = ""
    time: float = 0.0  # unix seconds
    rules: int = 1  # see identity.RULES; the first studies have no number
    layout: int = 1  # see LAYOUT
    objective: Mapping[str, str] = field(default_factory=dict)  # metric and direction
    experiment: Mapping[str, Any] = field(default_factory=dict)  # the space file with its defaults
    identity: Mapping[str, Any] = field(default_factory=dict)  # what a resumed study must have, too
    space: Mapping[str, Any] = field(default_factory=dict)  # the ranges by short name, for display
    sizes: Sequence[str] = ()  # params that make a model larger
    source: str = ""  # the text of the space file
    base: str = ""  # the folder that relative data paths start from
    folder: str = ""  # the study's
    first: str = ""  # the study's first name, if it was renamed
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)  # fingerprint, contents and counts

    @classmethod
    def from_dict(cls, event: Mapping[str, Any]) -> Origin:
        """Returns the origin of a study_created event; keys that older versions lack have their defaults."""
        return cls(**{name: event[name] for name in cls.__dataclass_fields__ if name in event})

    def to_dict(self) -> dict[str, Any]:
        """Returns the study_created event, which each driver_started event holds a copy of."""
        return {"event": CREATED, **asdict(self)}
