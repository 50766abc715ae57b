"""`hpsearch.evaluate`: the metrics of a model directory, of hpsearch or of others, on a space's data sets or a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import check_arguments
from hpsearch.api.options import Space, experiment_of, redacted
from hpsearch.api.predict import load_model
from hpsearch.data.splits import PARTS
from hpsearch.errors import UserError
from hpsearch.home.home import Home
from hpsearch.results.evidence.caveats import model_at_chance
from hpsearch.results.evidence.looks import Look, earlier, line, looks, record
from hpsearch.serving.models.examples import Examples, of_file, of_space
from hpsearch.serving.models.folder import ModelFolder
from hpsearch.serving.models.generation import Generation
from hpsearch.serving.models.measuring import SetMetrics, measure
from hpsearch.serving.models.model import Model
from hpsearch.space.experiment import Experiment

WINNERS = "the test split is for the winner alone: choose among models by --split valid"


@dataclass(frozen=True)
class ModelMetrics:
    """The metrics of a model on each data set."""

    model: Path
    sets: Mapping[str, SetMetrics]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        sets = {name: one.to_dict() for name, one in self.sets.items()}
        return {"model": str(self.model), "sets": sets, "warnings": list(self.warnings)}


def evaluate(
    model: str | Path | Model,
    data: Space,
    *,
    split: str = "valid",
    sets: Sequence[str] = (),
    task: str | None = None,
    columns: Mapping[str, str] | None = None,
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    device: str = "auto",
    max_new_tokens: int | None = None,
    beam_size: int | None = None,
) -> ModelMetrics:
    """Measures a model on a split of the data sets of a space, or on all of a data file, as `hpsearch evaluate` does.

    model: a directory, or what load_model returns. data: a space file (ranges do not matter), a mapping, an Experiment,
    or a data file, which is then read as the model's own data set is. split, sets: of a space, its split and its data
    sets (default: all). task, columns: of a file, where the model has several sets, or other columns than in its
    training ({"text": "body"}). max_new_tokens, beam_size: of a model that writes (default: as in its training).

    The first look at a test split is that of a final training (hpsearch.train); any other one is recorded in the home
    beside it, where there is one, and `warnings` says so. Raises UserError (ConfigError, DataError).
    """
    with redacted():
        check_arguments(data=data, home=home, base=base)
        if split not in PARTS:
            raise UserError(f"split: {split!r} is not allowed; allowed: {', '.join(PARTS)}")
        how = Generation(max_new_tokens=max_new_tokens, beam_size=beam_size)
        loaded = model if isinstance(model, Model) else load_model(model, device=device)
        warnings: list[str] = []
        if is_file(data):
            use = loaded.use(sets[0] if sets else None, task)
            chosen = [of_file(Path(str(data)), loaded.folder, use, columns or {})]
        else:
            if task or columns:
                raise UserError("task and columns are of a data file; a space file has its own")
            experiment = experiment_of(data, base=base)
            chosen = list(of_space(experiment, split, tuple(sets)))
            if split == "test":
                warnings += _looked(experiment, loaded.folder, chosen, Path(home))
        found = {one.name: one for one in measure(loaded, chosen, how)}
        warnings += [line for one in found.values() for line in _at_chance(one)]
    return ModelMetrics(loaded.folder.path, found, tuple(warnings))


def _at_chance(found: SetMetrics) -> list[str]:
    """A warning if the model is no better than chance on a set."""
    named = {f"{found.split}/{found.name}/{name}": value for name, value in found.metrics.items()}
    return [f"warning: {text}" for text in model_at_chance(named, lambda _: found.examples, split=found.split)]


def is_file(data: Space) -> bool:
    """Whether the data are a data file, by its ending: a space file is YAML."""
    return isinstance(data, str | Path) and Path(data).suffix.lower() not in (".yaml", ".yml")


def _looked(experiment: Experiment, folder: ModelFolder, chosen: Sequence[Examples], home: Path) -> list[str]:
    """Records the look at the test data; returns warnings, none for a directory that has looked at them before."""
    at = Home.at(home)
    contents = {one.name: one.fingerprint for one in chosen}
    look = Look(experiment.study, None, _digest(folder), str(folder.path.resolve()), contents)
    if any(known.folder == look.folder and known.shares_data(look) for known in looks(at.path)):
        return []
    others = earlier(at.path, look)
    said = [f"warning: {text}" for text in (WINNERS, line(others)) if text]
    if at.path.is_dir():
        try:
            record(at.path, look)
        except OSError as error:
            said.append(f"warning: {at.path}: cannot note the look at the test data: {error.strerror}")
    return said


def _digest(folder: ModelFolder) -> str:
    """What stands for a config of a model: its config.json, which hardly two trainings of one folder share."""
    return hashlib.sha256(json.dumps(folder.config, sort_keys=True).encode()).hexdigest()[:16]
