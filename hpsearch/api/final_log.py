"""What MLflow is told of a final training: run.json of its model, by which `hpsearch register` can tell it later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.errors import UserError
from hpsearch.home.home import Home
from hpsearch.output.error_lines import first_line
from hpsearch.serving import served
from hpsearch.system.atomic import write_json
from hpsearch.views.follower import Say
from hpsearch.views.mlflow.final_run import FinalRun
from hpsearch.views.mlflow.registry import Registration

FILE = "run.json"
EXPECTED = "the folder of a model is expected that 'hpsearch train -o' has written and tested"
PATIENCE = 600.0  # seconds to wait for an MLflow that is slow; one that is down fails at once


@dataclass(frozen=True)
class SeedLog:
    """The training of one seed."""

    name: str  # of its run
    config: Mapping[str, Any]
    tags: Mapping[str, Any]
    began: float  # unix seconds; by it an earlier call's run is found again
    evaluations: tuple[Evaluation, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: str = "FINISHED"
    ended: float = 0.0  # unix seconds
    is_model: bool = True  # whether the model is its

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        own = {name: value for name, value in vars(self).items() if name != "evaluations"}
        return own | {"evaluations": [{"at": one.time, **one.to_dict()} for one in self.evaluations]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> SeedLog:
        """The log in JSON data."""
        found = tuple(Evaluation.from_dict(one, time=one["at"]) for one in raw["evaluations"])
        return cls(**{**raw, "evaluations": found})


@dataclass(frozen=True)
class FinalLog:
    """A final training that has ended: the study, the data, and a log for each seed."""

    study: str
    tracking: str | None  # where MLflow is; None: in the home
    provenance: Mapping[str, Any]
    data: Mapping[str, Any]  # the facts about the data
    seeds: tuple[SeedLog, ...]

    def write(self, folder: Path) -> None:
        """Writes it into the model's folder."""
        write_json(folder / FILE, {**vars(self), "seeds": [one.to_dict() for one in self.seeds]})

    @classmethod
    def read(cls, folder: Path) -> FinalLog:
        """Reads it from a model's folder; raises UserError, in one line, if there is none."""
        if not folder.is_dir():
            raise UserError(f"{folder}: {'is a file' if folder.exists() else 'no such folder'}; {EXPECTED}")
        if not (folder / FILE).exists() or not (folder / "metrics.json").exists():
            raise UserError(f"{folder}: has no run.json of a final training that has ended; {EXPECTED}")
        try:
            raw = json.loads((folder / FILE).read_text(encoding="utf-8"))
            return cls(**{**raw, "seeds": tuple(SeedLog.from_dict(one) for one in raw["seeds"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{folder / FILE}: cannot be read ({first_line(error)}); {EXPECTED}") from None

    def begin(self, seed: SeedLog, home: Home, *, say: Say) -> FinalRun:
        """Begins the run of a seed; that of an earlier call continues."""
        run = FinalRun(home.path, self.tracking, self.study, say=say)
        about: dict[str, Any] = {"name": seed.name, "began": seed.began, "data": self.data}
        run.start(dict(seed.config), dict(self.provenance), dict(seed.tags), **about)
        return run

    def end(self, seed: SeedLog, run: FinalRun, folder: Path, registration: Registration | None) -> None:
        """Ends the run of a seed, with its results; that of the model logs and registers it."""
        about: dict[str, Any] = {"status": seed.status, "ended": seed.ended, "timeout": PATIENCE}
        if seed.is_model:
            about |= {"folder": folder, "served": served(folder), "registration": registration}
        run.finish(dict(seed.metrics), **about)
