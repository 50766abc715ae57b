"""What a model says of a text: a continuation, a translation, or a label with the probabilities of all labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Completion:
    """A text and how the model continues it."""

    text: str
    completion: str
    truncated: bool = False  # the text is longer than the model reads: its end alone was read

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return {"text": self.text, "completion": self.completion} | _cut(self.truncated)


@dataclass(frozen=True)
class Translation:
    """A source and the text with which the model answers it."""

    source: str
    translation: str
    truncated: bool = False  # the source is longer than the model reads: a part of it was not read

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return {"source": self.source, "translation": self.translation} | _cut(self.truncated)


@dataclass(frozen=True)
class Labelled:
    """A text and the probabilities of its labels, the likeliest label first."""

    text: str
    probabilities: Mapping[str, float]
    truncated: bool = False  # the text is longer than the model reads: a part of it was not read

    @property
    def label(self) -> str:
        """The likeliest label."""
        return next(iter(self.probabilities))

    @property
    def probability(self) -> float:
        """The probability of `label`."""
        return self.probabilities[self.label]

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        found = {"text": self.text, "label": self.label, "probability": self.probability}
        return found | {"probabilities": dict(self.probabilities)} | _cut(self.truncated)


Prediction = Completion | Translation | Labelled


def labelled(text: str, labels: tuple[str, ...], probabilities: list[float], truncated: bool) -> Labelled:
    """The prediction of a text by the probabilities of the labels, in their order; ties keep it."""
    ranked = sorted(zip(labels, probabilities, strict=True), key=lambda one: -one[1])
    return Labelled(text, dict(ranked), truncated)


def _cut(truncated: bool) -> dict[str, bool]:
    return {"truncated": True} if truncated else {}
