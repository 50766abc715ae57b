"""The trainer of causal language models; importing it loads no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from hpsearch.config import Config, Objective, TokenizerConfig
from hpsearch.contract import Evaluation, Handle
from hpsearch.document.ranges import Leaf
from hpsearch.trainers.causal_lm import constraints
from hpsearch.trainers.causal_lm import objective as objectives
from hpsearch.trainers.causal_lm import shape as shapes
from hpsearch.trainers.causal_lm.dedup_key import dedup_key
from hpsearch.trainers.causal_lm.export_config import comments, export_config
from hpsearch.trainers.trainer import Asked, Prepared, Shape, TestResult, Trainer
from hpsearch.training.config import ModelConfig, TrainConfig, TrainingConfig
from hpsearch.verdict import Phases

TRAIN = "hpsearch.training.loop"


class CausalLM(Trainer):
    """A Llama-kind transformer, trained from scratch on every data set of a config at once."""

    config: ClassVar[type[Config]] = TrainConfig
    sections: ClassVar[Mapping[str, type[BaseModel]]] = {
        "model": ModelConfig,
        "training": TrainingConfig,
        "tokenizer": TokenizerConfig,
    }
    tied: ClassVar[Mapping[str, Sequence[str]]] = constraints.TIED
    exports: ClassVar[str] = "transformers.AutoModelForCausalLM.from_pretrained reads it"

    # ------------------------------------------------------------------------------------------------------- training

    def train(self, config: TrainConfig, handle: Handle) -> Iterator[Evaluation]:
        """The loop of training/."""
        from hpsearch.training.loop import train  # torch: seconds

        yield from train(config, handle)

    def warm_up(self) -> None:
        """Imports torch."""
        importlib.import_module(TRAIN)

    def test(self, config: TrainConfig, handle: Handle) -> TestResult:
        """The metrics of the best weights on the test splits; raises TrainingFailed where there are no weights."""
        from hpsearch.trainers.causal_lm import final

        return final.test(config, handle)

    def export(self, config: TrainConfig, handle: Handle, folder: Path) -> None:
        """A model directory that transformers reads."""
        from hpsearch.trainers.causal_lm import final

        final.export(config, handle, folder)

    def export_kept(self, config: TrainConfig, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
        """The weights of the evaluation, if they are the best ones of the trial."""
        from hpsearch.trainers.causal_lm import kept_weights

        return kept_weights.export(config, handle, folder, index=index)

    # ------------------------------------------------------------------------------------------------- before a search

    def validate(self, asked: Asked) -> None:
        """Refuses names of data sets that cannot be parts of a metric's name."""
        constraints.check_names(asked.config.data)

    def objective(self, asked: Asked) -> Objective:
        """The objective with its direction, if the data sets have the metric."""
        return objectives.objective(asked)

    def check(self, asked: Asked) -> None:
        """Whether the files are there; raises DataError, with the place in the space file."""
        from hpsearch.trainers.causal_lm import preparation

        preparation.check(asked)

    def prepare(
        self,
        asked: Asked,
        *,
        cache: Path,
        progress: Callable[[str, float], None],
        known: Callable[[Mapping[str, Any]], None],
        fresh: bool,
    ) -> Prepared:
        """The data, tokenised where the cache lacks them."""
        from hpsearch.trainers.causal_lm import preparation

        return preparation.prepare(asked, cache=cache, progress=progress, known=known, fresh=fresh)

    def cannot_prepare(self, asked: Asked) -> str:
        """One tokenizer is prepared, the first."""
        return "the tokenizer has a range" if asked.varies("tokenizer") else ""

    def files(self, config: Mapping[str, Any]) -> list[str]:
        """The files of the data sets as the space file names them."""
        return [file for data_set in config["data"].values() for file in _files(data_set)]

    # ---------------------------------------------------------------------------------------------- rules of sections

    def probes(self, key: str, leaf: Leaf) -> Sequence[Any]:
        """The values of a range that can break a rule."""
        return constraints.probes(key, leaf)

    def remedy(self, section: str, ruled: Mapping[str, Leaf]) -> str:
        """A range of widths that the heads divide."""
        return constraints.remedy(ruled)

    # ----------------------------------------------------------------------------------------- questions about configs

    def phases(self, config: TrainConfig) -> Phases:
        """Those of the learning rate's schedule, and the `stop_at` of an exported config."""
        training = config.training
        cooldown = 1.0 - training.cooldown if training.schedule == "wsd" else 1.0
        return Phases(warmup_until=training.warmup, cooldown_from=cooldown, ends_at=training.stop_at)

    def evaluations(self, config: TrainConfig) -> int | None:
        """`evaluation.times`."""
        return config.evaluation.times

    def shape(self, config: TrainConfig) -> Shape:
        """The sizes of model, batch and decoding."""
        return shapes.shape(config)

    def dedup_key(self, config: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """What counts of tokenizer, model and training."""
        return dedup_key(config)

    def export_config(self, config: TrainConfig, evaluation: Evaluation) -> TrainConfig:
        """The config in the precision that the trial had, with the schedule of all its epochs cut at the evaluation."""
        return export_config(config, evaluation)

    def comments(
        self, config: TrainConfig, exported: TrainConfig, *, trial: int, evaluation: Evaluation, then: str
    ) -> dict[Any, str]:
        """Why `stop_at`, `epochs` and `precision` are what they are."""
        return comments(config, exported, trial=trial, evaluation=evaluation, then=then)

    def nondeterminism(self, config: TrainConfig, part: str) -> str:
        """A set that comes from a function of the user's."""
        data_set = config.data.get(part)
        origin = data_set.dataset if data_set is not None else None
        if origin is None or not origin.startswith("python:"):
            return ""
        return f" ({origin}: a function that shuffles without a seed, or lists a set, returns other examples each time)"


def _files(data_set: Mapping[str, Any]) -> Iterator[str]:
    for found in (data_set.get("files") or {}).values():
        yield from [found] if isinstance(found, str) else [file for file in found or () if isinstance(file, str)]
