"""One training of a final training: that of one seed, in a folder of its own. The same call resumes it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hpsearch.config import Config
from hpsearch.contract import Command, Evaluation, Handle, WorkerSettings
from hpsearch.errors import CheckpointDamaged, TrainingFailed
from hpsearch.events import Resumed, Show, Stepped
from hpsearch.final.evaluation_log import EvaluationLog
from hpsearch.system import failpoints
from hpsearch.system.atomic import make_folder, write_json
from hpsearch.trainers import TestResult, Trainer, reporting_errors
from hpsearch.trainers.evaluations import evaluations

DONE = "done.json"  # there once the training has ended, and is not to be begun again
SHOWN_EVERY = 0.25  # seconds between two events Stepped
KEPT_FRESH_EVERY = 600.0  # seconds


@dataclass
class SeedTraining:
    """A config with its seed, its folder, and what its training has come to so far."""

    config: Config
    folder: Path
    settings: WorkerSettings
    trainer: Trainer
    number: int = 1  # of `seeds`
    seeds: int = 1
    stopped: bool = False  # before its end
    best: Evaluation | None = None  # so far; of a training without validation data its last one
    measured: list[float] = field(default_factory=list)  # values of the objective
    tested: TestResult | None = None

    def __post_init__(self) -> None:
        self._is_resumed = False
        self._handle_now: Handle | None = None
        self._latest: Evaluation | None = None
        self._from: int | None = None  # the step of the first command
        self._raised: Exception | None = None
        self._shown_at = self._kept_at = 0.0

    @property
    def seed(self) -> int:
        """The seed of this training."""
        return self.config.seed

    @property
    def is_done(self) -> bool:
        """Whether it has ended: what is left is the test."""
        return (self.folder / DONE).exists()

    @property
    def began(self) -> float:
        """The time of its first call, in unix seconds: by it the run in MLflow is found again."""
        return self._log.began

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Its evaluations so far, with their first times."""
        return tuple(self._log.known.values())

    @cached_property
    def _log(self) -> EvaluationLog:
        self._is_resumed = self.folder.exists()
        make_folder(self.folder)
        return EvaluationLog(self.folder / "evaluations.jsonl")

    # ------------------------------------------------------------------------------------------------------- training

    def run(self, stopping: Callable[[], bool], show: Show = lambda event: None) -> Iterator[Evaluation]:
        """Trains, and yields all evaluations, those of earlier calls first.

        Once `stopping()` is true it saves the state and ends (`stopped` is then True). show: gets Resumed and Stepped.
        """
        log, self.stopped = self._log, False
        if self.is_done:
            yield from self._known(show)
            return
        with self._reporting_errors("train"):
            if self._is_resumed and self.trainer.starts_anew(self.folder):
                self._is_resumed = False
                show(Resumed(self.seed, 0, 0))
            for found in evaluations(self.trainer, self.config, self._handle(self._command(stopping, show))):
                if found.index not in log.known:
                    self._tell_resumed(show)
                evaluation = log.note(found)
                self._note(evaluation)
                yield evaluation
        self._tell_resumed(show)  # nothing new has come
        if self._raised is not None:
            raise self._raised
        if not self.stopped:
            failpoints.hit("training_ended")
            write_json(self.folder / DONE, {"time": time.time()})

    def _known(self, show: Show) -> Iterator[Evaluation]:
        """The evaluations of a training that has ended."""
        for evaluation in self._log.known.values():
            self._note(evaluation)
        if self._is_resumed:
            last = max(self._log.known.values(), key=lambda one: one.step, default=None)
            show(Resumed(self.seed, last.step if last else 0, last.index if last else 0, done=True))
        yield from self._log.known.values()

    def _command(self, stopping: Callable[[], bool], show: Show) -> Callable[[], Command]:
        def command() -> Command:
            handle = self._handle_now
            self._from = handle.step if self._from is None and handle is not None else self._from
            try:
                if handle is not None and handle.step:  # a trainer of its own loop, in which something may be shown
                    self._tell_resumed(show)
                    self._tell_place(handle, show)
            except Exception as error:  # of whoever shows it: no error of the training, inside of which this is
                self._raised = error
            self._keep_data()
            self.stopped = stopping() or self._raised is not None
            return Command.PAUSE if self.stopped else Command.CONTINUE

        return command

    def _tell_resumed(self, show: Show) -> None:
        """Says once from where an earlier call's training goes on, when its known evaluations have come again."""
        if not self._is_resumed:
            return
        self._is_resumed = False
        last = self._latest
        show(Resumed(self.seed, self._from or (last.step if last else 0), last.index if last else 0))

    def _tell_place(self, handle: Handle, show: Show) -> None:
        """Shows where the training stands."""
        now = time.monotonic()
        if now - self._shown_at < SHOWN_EVERY:
            return
        self._shown_at = now
        share = min(1.0, handle.progress / self.trainer.phases(self.config).ends_at)
        show(Stepped(self.seed, handle.step, share, self.number, self.seeds))

    def _keep_data(self) -> None:
        """Keeps the prepared data from `hpsearch clean`, which takes what was not touched for an hour."""
        now = time.monotonic()
        if now - self._kept_at > KEPT_FRESH_EVERY:
            self._kept_at = now
            _touch(self.settings)

    def _note(self, evaluation: Evaluation) -> None:
        """Keeps the evaluation with the best finite value of the objective."""
        self._latest = evaluation
        objective = self.config.objective
        value = evaluation.metrics.get(objective.metric, math.nan)
        self.measured.append(value)
        if self.config.trains_on_valid:
            is_finite = math.isfinite(evaluation.metrics.get("train/interval_loss", 0.0))
            self.best = evaluation if is_finite else None
        elif math.isfinite(value) and (
            self.best is None or objective.better(value, self.best.metrics[objective.metric])
        ):
            self.best = evaluation

    # ----------------------------------------------------------------------------------------------------- its result

    @property
    def validated(self) -> dict[str, float]:
        """val/... and the objective of the best evaluation."""
        found, metric = self.best.metrics if self.best else {}, self.config.objective.metric
        return {name: float(value) for name, value in found.items() if name.startswith("val/") or name == metric}

    @property
    def metrics(self) -> dict[str, float]:
        """val/... of the best evaluation, test/... of the test."""
        tested = self.tested.metrics if self.tested else {}
        return self.validated | {name: float(value) for name, value in tested.items()}

    def test(self) -> TestResult:
        """Tests what it has come to; raises TrainingFailed if no evaluation was finite."""
        if self.best is None:
            raise TrainingFailed(f"{self.why_fruitless}: there is no model to test")
        with self._reporting_errors("test"), _begun_again_if_damaged(self.folder / DONE):
            self.tested = self.trainer.test(self.config, self._handle())
        return self.tested

    def export(self, folder: Path) -> None:
        """Writes the model to a folder."""
        with self._reporting_errors("export"), _begun_again_if_damaged(self.folder / DONE):
            self.trainer.export(self.config, self._handle(), folder)

    @property
    def why_fruitless(self) -> str:
        """Why there is no model, if there is none."""
        if self.config.trains_on_valid:
            return "the training loss was not finite"
        return f"no evaluation of {self.config.objective.metric} was finite"

    def _handle(self, command: Callable[[], Command] = lambda: Command.CONTINUE) -> Handle:
        self._handle_now = Handle(self.settings, self.folder, command)
        return self._handle_now

    def _reporting_errors(self, doing: str) -> AbstractContextManager[None]:
        return reporting_errors(self.trainer, doing, base=self.settings.base, log=self.folder.parent / "error.txt")


@contextmanager
def _begun_again_if_damaged(done: Path) -> Iterator[None]:
    """Forgets that the training has ended if its weights are damaged: the next call resumes it from a checkpoint."""
    try:
        yield
    except CheckpointDamaged:
        done.unlink(missing_ok=True)
        raise


def _touch(settings: WorkerSettings) -> None:
    """Marks the prepared data as in use."""
    for folder in settings.prepared.values():
        with suppress(OSError):
            os.utime(folder)
