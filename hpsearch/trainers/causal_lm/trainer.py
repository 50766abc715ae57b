"""The trainer of causal language models; importing it loads no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from hpsearch.config import Config, Objective, TokenizerConfig
from hpsearch.contract import Evaluation, Handle, WorkerSettings
from hpsearch.document.ranges import Leaf
from hpsearch.tasks import Baseline
from hpsearch.trainers.causal_lm import constraints
from hpsearch.trainers.causal_lm import objective as objectives
from hpsearch.trainers.causal_lm import shape as shapes
from hpsearch.trainers.causal_lm.dedup_key import dedup_key
from hpsearch.trainers.causal_lm.export_config import comments, export_config
from hpsearch.trainers.causal_lm.horizon import shortened
from hpsearch.trainers.causal_lm.rules import rules
from hpsearch.trainers.causal_lm.scale_up import scaled
from hpsearch.trainers.costs import Advice, CostModel, Sample
from hpsearch.trainers.scaling import ScaleUp
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.trainer import Trainer
from hpsearch.trainers.values import Prepared, Rule, Shape, TestResult
from hpsearch.training.config import ModelConfig, TrainConfig, TrainingConfig, WholeTrainConfig
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
    sizes: ClassVar[Mapping[str, Sequence[str]]] = {"model": ("n_layers", "width")}
    exports: ClassVar[str] = "transformers reads it; how is said in its README.md"
    untested: ClassVar[str] = "no test split: the model is not tested"

    # ------------------------------------------------------------------------------------------------------- training

    def train(self, config: TrainConfig, handle: Handle) -> Iterator[Evaluation]:
        """Runs the loop of training/."""
        from hpsearch.training.loop import train  # torch: seconds

        yield from train(config, handle)

    def warm_up(self) -> None:
        """Imports torch."""
        importlib.import_module(TRAIN)

    def test(self, config: TrainConfig, handle: Handle) -> TestResult:
        """Measures the best weights on the test splits; raises TrainingFailed if there are no weights."""
        from hpsearch.trainers.causal_lm import final

        return final.test(config, handle)

    def on_all_data(self, config: TrainConfig) -> TrainConfig | None:
        """The same schedule over more batches; None for a subclass that trains otherwise."""
        return None if self._trains_otherwise or type(config) is not TrainConfig else WholeTrainConfig.of(config)

    def steps(self, config: TrainConfig, settings: WorkerSettings) -> int | None:
        """The batches of all epochs up to `stop_at`."""
        from hpsearch.training.steps import steps

        return steps(config, settings)

    def export(self, config: TrainConfig, handle: Handle, folder: Path) -> None:
        """Writes a model directory that transformers reads."""
        from hpsearch.trainers.causal_lm import final

        final.export(config, handle, folder)

    def export_kept(self, config: TrainConfig, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
        """Writes the weights of the evaluation if it is the best one of the trial."""
        from hpsearch.trainers.causal_lm import kept_weights

        return kept_weights.export(config, handle, folder, index=index)

    # ------------------------------------------------------------------------------------------------- before a search

    def validate(self, space: SpaceView) -> None:
        """Checks the names of the data sets."""
        constraints.check_names(space.config.data)

    def objective(self, space: SpaceView) -> Objective:
        """Checks that the data sets have the metric; sets the direction."""
        return objectives.objective(space)

    def check(self, space: SpaceView) -> None:
        """Checks that the files exist; raises DataError with the place in the space file."""
        from hpsearch.trainers.causal_lm import preparation

        preparation.check(space)

    def prepare(
        self,
        space: SpaceView,
        *,
        cache: Path,
        progress: Callable[[str, float], None],
        known: Callable[[Mapping[str, Any]], None],
        fresh: bool,
    ) -> Prepared:
        """Tokenizes the data sets that are missing in the cache."""
        from hpsearch.trainers.causal_lm import preparation

        return preparation.prepare(space, cache=cache, progress=progress, known=known, fresh=fresh)

    def baselines(self, config: TrainConfig, settings: WorkerSettings) -> Iterable[Baseline]:
        """Those of the tasks, for each data set."""
        from hpsearch.trainers.causal_lm.baselines import baselines

        return baselines(config, settings)

    def cannot_prepare(self, space: SpaceView) -> str:
        """Only one tokenizer is prepared in advance."""
        return "the tokenizer has a range" if space.varies("tokenizer") else ""

    def files(self, config: Mapping[str, Any]) -> list[str]:
        """The files of the data sets as in the space file."""
        return [file for data_set in config["data"].values() for file in files_of(data_set)]

    # ---------------------------------------------------------------------------------------------- rules of sections

    def probes(self, key: str, leaf: Leaf) -> Sequence[Any]:
        """See constraints.py."""
        return constraints.probes(key, leaf)

    def remedy(self, section: str, ruled: Mapping[str, Leaf]) -> str:
        """Suggests widths that n_heads divides."""
        return constraints.remedy(ruled)

    # ----------------------------------------------------------------------------------------- questions about configs

    def phases(self, config: TrainConfig) -> Phases:
        """The phases of the learning-rate schedule, and `stop_at` of an exported config."""
        return phases_of(config.training)

    def evaluations(self, config: TrainConfig) -> int | None:
        """`evaluation.times`."""
        return config.evaluation.times

    def rules(self, config: TrainConfig, sets: Mapping[str, Any]) -> Mapping[str, Mapping[str, Rule]]:
        """See rules.py."""
        return rules(config, sets)

    def shortened(
        self, config: TrainConfig, horizon: float, searched: Collection[tuple[str, str]]
    ) -> Mapping[str, Mapping[str, Any]]:
        """See horizon.py."""
        return shortened(config, horizon, searched)

    def scaled(
        self,
        config: TrainConfig,
        target: Mapping[str, Any],
        *,
        sets: Mapping[str, Any],
        searched: Collection[tuple[str, str]],
    ) -> ScaleUp | None:
        """See scale_up.py; None for a subclass that trains otherwise."""
        return None if self._trains_otherwise else scaled(config, target, sets=sets, searched=searched)

    def cools_down(self, config: TrainConfig) -> bool:
        """Whether the schedule has a stable phase to go back to, and a cool-down."""
        return config.training.schedule == "wsd" and 0.0 < config.training.cooldown < 1.0

    def shape(self, config: TrainConfig) -> Shape:
        """The sizes of model, batch and decoding."""
        return shapes.shape(config)

    def dedup_key(self, config: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """The values of tokenizer, model and training that have an effect."""
        return dedup_key(config)

    # --------------------------------------------------------------------------------------------------- before it runs

    def measure(self, config: TrainConfig, handle: Handle, seconds: float) -> Iterator[Evaluation]:
        """A few steps, an evaluation and a checkpoint, each with its time."""
        if self._trains_otherwise:
            yield from super().measure(config, handle, seconds)
            return
        from hpsearch.training.measuring import measure  # torch: seconds

        yield from measure(config, handle, seconds)

    def work(self, config: TrainConfig, sets: Mapping[str, Any]) -> Mapping[str, float]:
        """See costs.py."""
        from hpsearch.trainers.causal_lm.costs import work  # scipy

        return work(config, sets)

    def cost_model(self, samples: Sequence[Sample], sets: Mapping[str, Any]) -> CostModel:
        """See costs.py."""
        if self._trains_otherwise:
            return super().cost_model(samples, sets)
        from hpsearch.trainers.causal_lm.costs import cost_model

        return cost_model(samples, sets)

    def advice(self, space: SpaceView, sets: Mapping[str, Any]) -> Iterable[Advice]:
        """See advice.py."""
        from hpsearch.trainers.causal_lm.advice import advice

        return advice(space, sets)

    @property
    def _trains_otherwise(self) -> bool:
        """Whether a subclass has a `train` of its own, of which nothing is known here."""
        return type(self).train is not CausalLM.train

    def export_config(self, config: TrainConfig, evaluation: Evaluation) -> TrainConfig:
        """The config with the trial's precision and a `stop_at` at the evaluation."""
        return export_config(config, evaluation)

    def comments(
        self, config: TrainConfig, exported: TrainConfig, *, trial: int, evaluation: Evaluation, then: str
    ) -> dict[Any, str]:
        """Explains `stop_at`, `epochs` and `precision`."""
        return comments(config, exported, trial=trial, evaluation=evaluation, then=then)

    def nondeterminism(self, config: TrainConfig, part: str) -> str:
        """A data set from a user's function may differ between calls."""
        data_set = config.data.get(part)
        origin = data_set.dataset if data_set is not None else None
        if origin is None or not origin.startswith("python:"):
            return ""
        return f" ({origin}: a function that shuffles without a seed, or lists a set, returns other examples each time)"


def phases_of(training: TrainingConfig) -> Phases:
    """The phases of the schedule, and where the training ends."""
    cooldown = 1.0 - training.cooldown if training.schedule == "wsd" else 1.0
    return Phases(warmup_until=training.warmup, cooldown_from=cooldown, ends_at=training.stop_at)


def files_of(data_set: Mapping[str, Any]) -> Iterator[str]:
    """The files of a data set, as in the space file."""
    for found in (data_set.get("files") or {}).values():
        yield from [found] if isinstance(found, str) else [file for file in found or () if isinstance(file, str)]
