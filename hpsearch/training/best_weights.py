"""The best evaluation of a training so far, with its weights and samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hpsearch.contract import Evaluation
from hpsearch.system.atomic import write_json
from hpsearch.training import checkpoint
from hpsearch.training.evaluation import Measured


@dataclass(frozen=True)
class BestWeights:
    """An evaluation, its value of the objective, and the weights that it measured."""

    value: float
    evaluation: Evaluation
    weights: dict[str, Tensor]
    samples: dict[str, Any]

    @classmethod
    def of(cls, value: float, evaluation: Evaluation, model: nn.Module, samples: dict[str, Any]) -> BestWeights:
        """Copies the weights; those of a CUDA device to the CPU, to save device memory."""
        return cls(value, evaluation, {name: _copy(weight) for name, weight in model.state_dict().items()}, samples)

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> BestWeights:
        """The inverse of `state`."""
        return cls(**{**state, "evaluation": Evaluation.from_dict(state["evaluation"])})

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {key: getattr(self, key) for key in ("value", "weights", "samples")} | {
            "evaluation": self.evaluation.to_dict()
        }

    def with_decoded(self, decoded: Measured) -> BestWeights:
        """A copy with metrics and samples that were decoded later."""
        evaluation = replace(
            self.evaluation,
            metrics=self.evaluation.metrics | decoded.validated(),
            signatures=self.evaluation.signatures | decoded.signatures,
            replicates=self.evaluation.replicates | decoded.validated_replicates(),
        )
        return replace(self, evaluation=evaluation, samples=self.samples | decoded.samples)

    def write(self, folder: Path, *, precision: str, config_hash: str) -> None:
        """Writes best.pt and samples.json."""
        state = {
            "model": self.weights,
            "value": self.value,
            "evaluation": self.evaluation.to_dict(),
            "samples": self.samples,
            "precision": precision,
        }
        checkpoint.save(folder / "best.pt", state, config_hash=config_hash)
        write_json(folder / "samples.json", self.samples)


def _copy(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu" if weight.device.type == "cuda" else weight.device, copy=True)
