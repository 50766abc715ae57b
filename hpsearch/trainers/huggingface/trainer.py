"""The trainer of models of transformers; importing it loads neither torch nor transformers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from hpsearch.config import Config, Objective, OwnNames
from hpsearch.contract import Evaluation, Handle, WorkerSettings
from hpsearch.document.document import Fault
from hpsearch.document.ranges import Fixed, probes
from hpsearch.errors import ConfigError
from hpsearch.tasks import Baseline
from hpsearch.trainers.causal_lm import constraints
from hpsearch.trainers.causal_lm import objective as objectives
from hpsearch.trainers.causal_lm.export_config import comments, export_config
from hpsearch.trainers.causal_lm.trainer import files_of, phases_of
from hpsearch.trainers.costs import CostModel, Sample
from hpsearch.trainers.huggingface.config import PLACES, PREPARED, FineTuneConfig, FineTuningConfig, PretrainedConfig
from hpsearch.trainers.huggingface.dedup_key import dedup_key
from hpsearch.trainers.huggingface.rules import rules
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.trainer import Trainer
from hpsearch.trainers.values import Prepared, Rule, Shape, TestResult
from hpsearch.verdict import Phases

PACKAGES = ("transformers", "peft")


def _places(value: Any, key: str = "") -> Iterator[str]:
    """The values of `pretrained` and `tokenizer` in a section, in its ranges and its sub-configs."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _places(inner, key if name == "choices" else name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _places(inner, key)
    elif isinstance(value, str) and key in PLACES:
        yield value


def missing_packages() -> list[str]:
    """The packages that a fine-tuning needs and this installation lacks."""
    return [name for name in PACKAGES if find_spec(name) is None]


class HuggingFace(Trainer):
    """Fine-tunes a checkpoint of transformers on the data sets of a config, in whole, by LoRA, or its last layers."""

    config: ClassVar[type[Config]] = FineTuneConfig
    sections: ClassVar[Mapping[str, type[BaseModel]]] = {
        "model": PretrainedConfig,
        "config": OwnNames,
        "training": FineTuningConfig,
    }
    tied: ClassVar[Mapping[str, Sequence[str]]] = {
        "model": ("pretrained", "architecture", "tokenizer", "tuning"),
        "training": ("schedule", "warmup", "cooldown"),
    }
    refused: ClassVar[Mapping[str, str]] = {
        "tokenizer": "a pretrained model has its own tokenizer; another one is model.tokenizer: FOLDER or NAME"
    }
    exports: ClassVar[str] = "transformers reads it: pipeline(TASK, model=FOLDER), Auto....from_pretrained(FOLDER)"
    untested: ClassVar[str] = "no test split: the model is not tested"

    # ------------------------------------------------------------------------------------------------------- training

    def train(self, config: FineTuneConfig, handle: Handle) -> Iterator[Evaluation]:
        """Runs the loop of training/."""
        from hpsearch.trainers.huggingface.parts import parts  # torch, transformers: seconds
        from hpsearch.training.loop import train

        yield from train(config.resolved(), handle, parts)

    def warm_up(self) -> None:
        """Imports torch and transformers."""
        importlib.import_module("hpsearch.trainers.huggingface.parts")
        importlib.import_module("hpsearch.training.loop")

    def test(self, config: FineTuneConfig, handle: Handle) -> TestResult:
        """Measures the best weights on the test split; raises TrainingFailed if there are no weights."""
        from hpsearch.trainers.huggingface import final

        return final.test(config.resolved(), handle)

    def export(self, config: FineTuneConfig, handle: Handle, folder: Path) -> None:
        """Writes a model directory that transformers reads."""
        from hpsearch.trainers.huggingface import final

        final.export(config.resolved(), handle, folder)

    def export_kept(
        self, config: FineTuneConfig, handle: Handle, folder: Path, *, index: int
    ) -> dict[str, float] | None:
        """Writes the weights of the evaluation if it is the best one of the trial."""
        from hpsearch.trainers.huggingface import final

        return final.export_kept(config.resolved(), handle, folder, index=index)

    # ------------------------------------------------------------------------------------------------- before a search

    def validate(self, space: SpaceView) -> None:
        """Checks the names of the data sets, and that what the data are encoded by has no range."""
        constraints.check_names(space.config.data)
        for key in PREPARED:
            wrong = [leaf for leaf in space.leaves("model", key) if not isinstance(leaf, Fixed)]
            if wrong and key not in ("pretrained", "architecture"):
                raise Fault(wrong[0].keys, f"the data are encoded by {key}, so it has no range; give one value")

    def objective(self, space: SpaceView) -> Objective:
        """Checks that the data sets have the metric; sets the direction."""
        return objectives.objective(space)

    def check(self, space: SpaceView) -> None:
        """Checks that files and checkpoints exist and fit; raises UserError with the place in the space file."""
        if missing := missing_packages():
            raise ConfigError(f"trainer huggingface: {', '.join(missing)} is not installed; install hpsearch[hf]")
        from hpsearch.trainers.huggingface import preparation

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
        """Encodes the data sets that are missing in the cache, for each checkpoint."""
        from hpsearch.trainers.huggingface import preparation

        return preparation.prepare(space, cache=cache, progress=progress, known=known, fresh=fresh)

    def baselines(self, config: FineTuneConfig, settings: WorkerSettings) -> Iterable[Baseline]:
        """Those of the tasks, for each data set."""
        from hpsearch.trainers.causal_lm.baselines import baselines
        from hpsearch.trainers.huggingface.corpus import open_corpus

        return baselines(config, settings, open_corpus)

    def cannot_prepare(self, space: SpaceView) -> str:
        """The weights of a local folder are no prepared data."""
        every = [value for key in PLACES for leaf in space.leaves("model", key) for value in probes(leaf)]
        local = [value for value in every if value is not None and (space.base / Path(value).expanduser()).is_dir()]
        return f"the checkpoint {local[0]} is a local folder" if local else ""

    def files(self, config: Mapping[str, Any]) -> list[str]:
        """The files of the data sets, checkpoints and tokenizers, as in the space file; also names on the hub."""
        data = [file for data_set in config["data"].values() for file in files_of(data_set)]
        return [*data, *_places(config["model"])]

    # ----------------------------------------------------------------------------------------- questions about configs

    def phases(self, config: FineTuneConfig) -> Phases:
        """The phases of the learning-rate schedule, and `stop_at` of an exported config."""
        return phases_of(config.training)

    def evaluations(self, config: FineTuneConfig) -> int | None:
        """`evaluation.times`."""
        return config.evaluation.times

    def rules(self, config: FineTuneConfig, sets: Mapping[str, Any]) -> Mapping[str, Mapping[str, Rule]]:
        """See rules.py."""
        return rules(config, sets)

    def cools_down(self, config: FineTuneConfig) -> bool:
        """Whether the schedule has a stable phase to go back to, and a cool-down."""
        return config.training.schedule == "wsd" and 0.0 < config.training.cooldown < 1.0

    def shape(self, config: FineTuneConfig) -> Shape:
        """The sizes of context, batch and decoding; the model and what of it is trained as kinds."""
        model, training, evaluation = config.model, config.training, config.evaluation
        rows = min(training.batch_size, training.micro_batch_size or training.batch_size)
        layers = model.last_layers if model.tuning == "last_layers" else 0
        rank = model.lora_rank if model.tuning == "lora" else 0
        sizes = (model.context, rows, layers, rank, evaluation.beam_size, evaluation.max_new_tokens)
        kinds = [model.tuning, model.lora_targets, model.gradient_checkpointing, training.precision, training.compile]
        about = [
            model.pretrained,
            model.architecture,
            config.config.flat,
            config.model_dump(mode="json", include={"data"}),
        ]
        return Shape(sizes, json.dumps([*kinds, *about], sort_keys=True, default=str))

    def dedup_key(self, config: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """The values of model, config and training that have an effect."""
        return dedup_key(config)

    # --------------------------------------------------------------------------------------------------- before it runs

    def measure(self, config: FineTuneConfig, handle: Handle, seconds: float) -> Iterator[Evaluation]:
        """A few steps, an evaluation and a checkpoint, each with its time."""
        from hpsearch.trainers.huggingface.parts import parts  # torch, transformers: seconds
        from hpsearch.training.measuring import measure

        yield from measure(config.resolved(), handle, seconds, parts)

    def work(self, config: FineTuneConfig, sets: Mapping[str, Any]) -> Mapping[str, float]:
        """See costs.py."""
        from hpsearch.trainers.huggingface.costs import work  # scipy

        return work(config, sets)

    def cost_model(self, samples: Sequence[Sample], sets: Mapping[str, Any]) -> CostModel:
        """See costs.py."""
        from hpsearch.trainers.huggingface.costs import cost_model

        return cost_model(samples, sets)

    # -------------------------------------------------------------------------------------------------- the best config

    def export_config(self, config: Any, evaluation: Evaluation) -> Any:
        """The config with the trial's precision and a `stop_at` at the evaluation."""
        return export_config(config, evaluation)

    def comments(self, config: Any, exported: Any, *, trial: int, evaluation: Evaluation, then: str) -> dict[Any, str]:
        """Explains `stop_at`, `epochs` and `precision`."""
        return comments(config, exported, trial=trial, evaluation=evaluation, then=then)
