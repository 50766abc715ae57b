"""What the trainers of a user's own code share: a config of the user's own names, and where what it reports lies.

The code reports metrics by name, with its step or its progress; hpsearch makes evaluations of them (`Placing`).
"""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from hpsearch.config import Config, OwnNames
from hpsearch.contract import Evaluation, Handle, TrainingPoint
from hpsearch.errors import UserError
from hpsearch.system.atomic import make_folder, write_json
from hpsearch.trainers.evaluations import LARGEST, number
from hpsearch.trainers.trainer import Trainer
from hpsearch.trainers.values import TestResult

GRID = 20  # evaluations of a training that reports its progress
PLACES = ("step", "steps", "progress", "epoch", "tokens")  # names in a report that are no metrics
ROUNDING = 1e-9  # by which a progress may miss its place on the grid
FILES = "files"  # the folder of the user's own code, in the trial's
TESTED = "tested.json"  # the metrics test/... of a training that has ended
VALIDATION = re.compile("^(validation|valid|val|eval|dev)")  # what libraries call the validation data
TEST = "test/"  # metrics of the final training alone

_log = logging.getLogger(__name__)


class OwnConfig(Config):
    """A config of the user's own names."""

    config: OwnNames = Field(OwnNames(), description="your own names, nested or flat: each a value or a range")
    evaluations: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="evaluations of a whole training; if left out, 20 of one that says its progress, else unknown",
    )


class OwnTrainer(Trainer):
    """Trains what the user has."""

    sections: ClassVar[Mapping[str, type[OwnNames]]] = {"config": OwnNames}
    config: ClassVar[type[Config]] = OwnConfig
    several_gpus: ClassVar[bool] = True
    untested: ClassVar[str] = "it reported no metric test/..., so nothing is tested"

    def evaluations(self, config: Any) -> int | None:
        """As many as the file says; None if it does not."""
        found: int | None = config.evaluations
        return found

    def test(self, config: Any, handle: Handle) -> TestResult:
        """The last metrics test/... that the user's code reported."""
        return TestResult(json.loads((handle.folder / TESTED).read_text(encoding="utf-8")))

    def export(self, config: Any, handle: Handle, folder: Path) -> None:
        """Copies the files that the user's code wrote to its folder."""
        shutil.copytree(handle.folder / FILES, folder, dirs_exist_ok=True)


def files_of(handle: Handle) -> Path:
    """The folder of the user's own code in a trial's folder; it is made if it is missing."""
    folder = (handle.folder / FILES).absolute()
    make_folder(folder)
    return folder


def gpus_of(handle: Handle) -> int:
    """The number of GPUs of a training; 0 on a CPU."""
    return handle.settings.gpus if handle.settings.device.startswith("cuda") else 0


def note_tested(handle: Handle, metrics: dict[str, float]) -> None:
    """Keeps the metrics test/... of a training that has ended for `OwnTrainer.test`."""
    write_json(handle.folder / TESTED, metrics)


@dataclass(frozen=True)
class Report:
    """What the user's code says at one time: metrics, and where in the training it stands as far as it says so."""

    metrics: dict[str, float]
    step: int | None = None
    progress: float | None = None
    epoch: float = 0.0
    tokens: int | None = None

    @staticmethod
    def checked(given: Any) -> Mapping[Any, Any]:
        """The report if it is a mapping; raises TypeError."""
        if isinstance(given, Mapping):
            return given
        allowed = "a dict such as {'val/loss': 0.5, 'step': 100}"
        raise TypeError(f"{_kind(given)} is no report of metrics; allowed: {allowed}")

    @classmethod
    def of(cls, given: Any) -> Report:
        """Checks a report: a mapping of names to numbers (also of NumPy and torch). Raises TypeError or ValueError."""
        given = cls.checked(given)
        wrong = next((name for name in given if not isinstance(name, str) or not name), None)
        if wrong is not None or None in given:
            raise TypeError(f"the name {wrong!r} of a metric is no text; allowed: a name such as 'val/loss'")
        values = {str(name): number(str(name), value) for name, value in given.items()}
        places = {name: _place(name, values.pop(name)) for name in PLACES if name in values}
        steps, progress, step = places.get("steps"), places.get("progress"), places.get("step")
        if progress is None and steps and step is not None:
            progress = min(1.0, step / steps)
        if progress is not None and progress > 1:
            raise ValueError(f"progress is {progress:g}; allowed: the share of the training that is done, 0 to 1")
        whole = {name: None if places.get(name) is None else int(places[name]) for name in ("step", "tokens")}
        return cls(values, whole["step"], progress, places.get("epoch", 0.0), whole["tokens"])


def _place(name: str, value: float) -> float:
    if not math.isfinite(value) or not 0 <= value <= LARGEST:
        raise ValueError(f"{name} is {value:g}; allowed: a finite number from 0")
    return value


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


@dataclass
class Placing:
    """Makes evaluations of reports.

    A report with the objective's metric is an evaluation, one without it is a point of the curves in between. Where the
    training says its progress, evaluation i of n stands at progress i / n: the first report there or beyond. Where it
    does not, report i is evaluation i.
    """

    objective: str
    evaluations: int | None
    index: int = 0  # of the last evaluation
    step: int = -1  # of the last report with a step
    evaluated: int = -1  # the step of the last evaluation, if its report had one
    tested: dict[str, float] = field(default_factory=dict)  # the last metrics test/...
    named: list[str] = field(default_factory=list)  # metrics of reports, for the error when none is the objective
    _points: list[TrainingPoint] = field(default_factory=list)
    _pending: Report | None = None  # the last report since the last evaluation that could be one

    def place(self, report: Report) -> Evaluation | None:
        """The evaluation that a report is; None if it is none. Raises ValueError for a step that falls."""
        if report.step is not None and report.step < self.step:
            raise ValueError(f"step {report.step} after step {self.step}: steps must not fall")
        self.step = self.step if report.step is None else report.step
        self.tested |= {name: value for name, value in report.metrics.items() if name.startswith(TEST)}
        self.named += [name for name in report.metrics if name not in self.named]
        self._check_spelling()
        if self.objective in report.metrics and (index := self._index(report)) > self.index:
            return self._evaluation(report, index)
        self.point(report)
        if self.objective in report.metrics and not self._repeats(report):
            self._pending = report
        return None

    def point(self, report: Report) -> None:
        """Keeps a report for the curves: it goes with the next evaluation."""
        step = max(self.step, 0) if report.step is None else report.step
        tokens = step if report.tokens is None else report.tokens
        if metrics := _searched(report.metrics):
            self._points.append(TrainingPoint(step, tokens, time.time(), metrics))

    def end(self) -> Evaluation | None:
        """The evaluation of the last report, if that was none yet. Raises ValueError if no report has the objective."""
        if self._pending is not None:
            return self._evaluation(self._pending, self.index + 1)
        if self.index == 0:
            named = ", ".join(self.named) or "nothing"
            text = f"the training has ended without {self.objective}, the objective; it reported: {named}"
            raise ValueError(f"{text}{self._remedy()}")
        if self._points:
            _log.warning("what was reported after the last evaluation is not kept: report it before, or with it")
        return None

    def went_to(self, evaluation: Evaluation) -> None:
        """Continues after an evaluation of an earlier attempt."""
        self.index, self.step, self.evaluated = evaluation.index, max(self.step, evaluation.step), evaluation.step

    def to_dict(self) -> dict[str, Any]:
        """What a later attempt continues from, as JSON-able values."""
        return {
            "index": self.index,
            "step": self.step,
            "evaluated": self.evaluated,
            "tested": self.tested,
            "named": self.named,
            "points": [vars(point) for point in self._points],
            "pending": None if self._pending is None else vars(self._pending),
        }

    def resume(self, raw: Mapping[str, Any]) -> None:
        """Continues from the values of `to_dict`."""
        self.index, self.step, self.evaluated = raw["index"], raw["step"], raw["evaluated"]
        self.tested, self.named = raw["tested"], raw["named"]
        self._points = [TrainingPoint(**point) for point in raw["points"]]
        self._pending = None if raw["pending"] is None else Report(**raw["pending"])

    def _check_spelling(self) -> None:
        """Raises UserError for an objective in another spelling, as val_loss for val/loss: no trial would have it."""
        same = [name for name in self.named if _letters(name) == _letters(self.objective)]
        if same and self.objective not in same:
            raise UserError(
                f"it reports {same[0]!r}, but the objective is {self.objective!r}: report that name, or write "
                f"objective: {{metric: {same[0]}}} in the space file"
            )

    def _remedy(self) -> str:
        """How the objective is named, where another metric was reported; names are never translated."""
        searched = [name for name in self.named if not name.startswith(TEST)]
        meant = next((name for name in searched if _validated(name) == _validated(self.objective)), None)
        if meant is None:
            return "; objective: {metric: NAME} in the space file names it" if searched else ""
        return f"; if {meant} is meant, write objective: {{metric: {meant}}} in the space file"

    def _index(self, report: Report) -> int:
        if report.progress is None:
            return self.index if self._repeats(report) else self.index + 1
        return math.floor(report.progress * (self.evaluations or GRID) + ROUNDING)

    def _repeats(self, report: Report) -> bool:
        """Whether it has the step of the last evaluation, as what each rank of a training prints has."""
        return report.step is not None and report.step == self.evaluated

    def _evaluation(self, report: Report, index: int) -> Evaluation:
        self.evaluated = self.evaluated if report.step is None else report.step
        counted = self.step if self.step >= 0 else index
        step = counted if report.step is None else report.step
        progress = report.progress
        if progress is None:
            progress = 0.0 if self.evaluations is None else min(1.0, index / self.evaluations)
        points, self._points, self._pending, self.index = self._points, [], None, index
        return Evaluation(
            index=index,
            step=step,
            progress=progress,
            metrics=_searched(report.metrics),
            tokens=report.tokens if report.tokens is not None else step,  # over which MLflow draws
            epoch=report.epoch,
            points=[*points, *_drawn(points, report, step)],
        )


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _validated(name: str) -> str:
    """The letters of a metric of validation data, under any of their names: eval_loss, val/loss, validation loss."""
    return VALIDATION.sub("val", _letters(name))


def _searched(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics without those of the test set, which a search must not see."""
    return {name: value for name, value in metrics.items() if not name.startswith(TEST)}


def _drawn(points: Sequence[TrainingPoint], report: Report, step: int) -> list[TrainingPoint]:
    """The point of the evaluation itself, with what the points have too: of such a metric MLflow draws the points."""
    names = {name for point in points for name in point.metrics}
    metrics = {name: value for name, value in _searched(report.metrics).items() if name in names}
    return (
        [TrainingPoint(step, step if report.tokens is None else report.tokens, time.time(), metrics)] if metrics else []
    )
