"""Measures a model on examples, each data set by its task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hpsearch.errors import UserError
from hpsearch.serving.models.examples import Examples
from hpsearch.serving.models.generation import Generation
from hpsearch.serving.models.model import Model
from hpsearch.training.uses import SetUse


@dataclass(frozen=True)
class SetMetrics:
    """The metrics of a model on one data set."""

    name: str
    task: str
    split: str  # train, valid, test; file: all of a file
    examples: int
    metrics: dict[str, float]
    signatures: dict[str, str] = field(default_factory=dict)  # how BLEU and chrF were computed

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        known = {"task": self.task, "split": self.split, "examples": self.examples, "metrics": self.metrics}
        return known | ({"signatures": self.signatures} if self.signatures else {})


def measure(model: Model, sets: Iterable[Examples], how: Generation) -> list[SetMetrics]:
    """The metrics of the model on each data set; raises UserError for a set that is not the model's business."""
    return [_measured(model, one, how) for one in sets]


def use_for(model: Model, on: Examples) -> SetUse:
    """The use of the model for a data set: that of its name, else the only one of its task."""
    if (found := model.uses.get(on.name)) is not None and found.task == on.section.task_name:
        return found
    same = [use for use in model.uses.values() if use.task == on.section.task_name]
    if len(same) == 1:
        return same[0]
    there = ", ".join(f"{use.name} ({use.task})" for use in model.uses.values())
    raise UserError(
        f"data.{on.name}: the model has {'several sets' if same else 'no set'} of the task {on.section.task_name}"
        f"{' and none of this name' if same else ''}; it has {there}"
    )


def _measured(model: Model, on: Examples, how: Generation) -> SetMetrics:
    backend: Any = model.backend
    if model.folder.family == "hpsearch":
        from hpsearch.serving.models import own_measures

        found = own_measures.measured(backend, model.folder, use_for(model, on), on, how)
    else:
        from hpsearch.serving.models import hugging_face_measures

        found = hugging_face_measures.measured(backend, on, how)
    task, n = on.section.task_name, len(on.examples)
    return SetMetrics(on.name, task, on.split, n, found.metrics, found.signatures)
