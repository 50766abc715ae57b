"""What a user's function gets beside its config: the device and seed, its folder, its state, and where to report."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.config import Config
from hpsearch.contract import ARTIFACTS, CHECKPOINTS, Command, Evaluation, Handle
from hpsearch.errors import CheckpointDamaged, TrialStopped
from hpsearch.system import sealed
from hpsearch.system.atomic import make_folder
from hpsearch.trainers.function.state import decode, encode
from hpsearch.trainers.own import Placing, Report, files_of, gpus_of
from hpsearch.training import memory

REPORTED = "reported.jsonl"  # the evaluations so far, beside those in the state
SOON = 0.1  # of the time from one evaluation to a save: an evaluation that comes sooner after it belongs to it
PATIENCE = 3  # times that a function may go on after TrialStopped

_log = logging.getLogger(__name__)


@dataclass
class FunctionTrial:
    """The trial that a function trains: `def train(config, trial)`.

    It says what it measured with `yield {"val/loss": 0.5, "step": 100}`, or by `trial.report` in code that cannot
    yield. `save` and `load` make it resumable. TrialStopped ends it: let it pass.
    """

    seed: int
    device: str  # of torch: cpu, cuda:0, mps
    gpus: int  # of this trial, `device` and those that follow it; 0 on a CPU
    threads: int  # of the CPU, for this trial
    folder: Path  # the function's own; files that it writes there are there again when it resumes
    number: int | None  # of the trial; None in the final training
    _config: Config = field(repr=False)
    _handle: Handle = field(repr=False)
    _placing: Placing = field(repr=False)
    _emit: Callable[[Evaluation | None], None] = field(repr=False)  # returns once it is judged; None: never
    _evaluations: list[Evaluation] = field(default_factory=list, repr=False)  # so far
    _before: list[Evaluation] = field(default_factory=list, repr=False)  # of an earlier attempt, after its last state
    _resumed_at: int = field(default=-1, repr=False)  # the last step of the state that was loaded
    _began: float = field(default=0.0, repr=False)  # to save the last state, in monotonic seconds
    _saved: float = field(default=0.0, repr=False)  # when it was saved
    _reported: float = field(default_factory=time.monotonic, repr=False)  # when an evaluation was last reported
    _saves: bool = field(default=False, repr=False)  # whether it ever saved a state
    _yields_first: bool | None = field(default=None, repr=False)  # whether it saves after what it yields; None: unknown
    _ends_next: bool = field(default=False, repr=False)  # at the next save or report, to pause
    _stops: int = field(default=0, repr=False)  # how often it was told to stop

    # ---------------------------------------------------------------------------------------------------- for the user

    def report(self, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Reports metrics, as `yield` does; `step`, `progress`, `epoch` and `tokens` among them say where they stand.

        Raises TrialStopped when the trial is to stop, TypeError or ValueError for what is no report.
        """
        self._stop_if(self._ends_next or self._handle.command() >= Command.FINISH)
        report = Report.of({**({} if metrics is None else Report.checked(metrics)), **more})
        if self._is_known(report):
            return
        evaluation = self._placing.place(report)
        if evaluation is not None:
            self._send(evaluation)

    def log_artifact(self, path: str | os.PathLike[str]) -> None:
        """Copies a file or folder, which goes to the trial's run in MLflow when the trial has ended.

        One of the same name replaces it. Raises OSError.
        """
        source, folder = Path(path), self._handle.folder / ARTIFACTS
        make_folder(folder)
        if source.is_dir():
            shutil.copytree(source, folder / source.resolve().name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, folder / source.name)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Adds points to the curves in MLflow, which no one judges; they go there with the next evaluation."""
        report = Report.of({**metrics, **({} if step is None else {"step": step})})
        if report.step is None or report.step > self._resumed_at:
            self._placing.point(report)

    def save(self, state: Any) -> None:
        """Writes the state to resume from: numbers, text, lists, dicts, arrays and tensors, nested as they may be.

        It replaces the one before, of which a copy is kept. What was reported before is in it. Raises TypeError for a
        value that cannot be stored, TrialStopped when the trial is to stop: the state is then saved. (A function that
        saves just before it yields is stopped at the yield instead.)
        """
        command = self._handle.command()  # before the state is written, so that it counts as saved in a pause
        self._yields_first, self._began = bool(self._yields_first), time.monotonic()
        evaluations = [one.to_dict() for one in self._evaluations]
        placing, order = self._placing.to_dict(), self._yields_first
        body = encode(state, {"evaluations": evaluations, "placing": placing, "yields_first": order})
        previous = self._handle.folder / CHECKPOINTS[1]
        sealed.write(self._handle.folder / CHECKPOINTS[0], body, config=self._config.digest(), previous=previous)
        self._saved, self._saves = time.monotonic(), True
        pauses = self._yields_first and (self._ends_next or command >= Command.PAUSE)
        self._stop_if(pauses or command >= Command.FINISH)  # else what the state contains would never be yielded

    def load(self) -> Any:
        """Returns the state of the last `save`, tensors on the CPU; None in a new trial."""
        return self._state

    @property
    def stopping(self) -> bool:
        """Whether the trial is to stop soon: `save` and return, or go on until it is stopped."""
        return self._handle.command() >= Command.PAUSE

    # -------------------------------------------------------------------------------------------------- for the trainer

    _state: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, config: Any, handle: Handle, emit: Callable[[Evaluation | None], None]) -> FunctionTrial:
        """The trial of a config in its folder, with the state that an earlier attempt saved there."""
        folder, name = files_of(handle), handle.folder.name
        trial = cls(
            seed=config.seed,
            device=handle.settings.device,
            gpus=gpus_of(handle),
            threads=handle.settings.threads,
            folder=folder,
            number=int(name) if name.isdecimal() else None,
            _config=config,
            _handle=handle,
            _placing=Placing(config.objective.metric, config.evaluations),
            _emit=emit,
        )
        trial._resume()
        return trial

    @property
    def known(self) -> list[Evaluation]:
        """The evaluations of earlier attempts that are in the state."""
        return list(self._evaluations)

    @property
    def tested(self) -> dict[str, float]:
        """The last metrics test/... that it reported."""
        return self._placing.tested

    def end(self) -> None:
        """Sends what is left when the function has returned; raises ValueError if it never reported the objective."""
        for evaluation in self._before:
            self._send(evaluation, again=True)
        self._before = []
        last = self._placing.end()
        if last is not None:
            self._send(last)

    @property
    def objective(self) -> str:
        """The name of the objective's metric."""
        return self._placing.objective

    # ------------------------------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        found = _read(self._config, self._handle.folder)
        reported = self._handle.folder / REPORTED
        if found is None:
            if reported.exists():
                _log.warning("the function has saved no state (trial.save): it starts anew")
            reported.unlink(missing_ok=True)
            return
        self._state, facts = found
        self._saves = True
        self._yields_first = facts["yields_first"]
        self._evaluations = [Evaluation.from_dict(one) for one in facts["evaluations"]]
        self._placing.resume(facts["placing"])
        self._resumed_at = self._placing.step
        self._before = [one for one in _reported(reported) if one.index > self._placing.index]

    def _is_known(self, report: Report) -> bool:
        """Whether an earlier attempt reported it; first sends the evaluations of that attempt that come before it.

        A function that saves its state before it yields goes on after an evaluation that its state does not have.
        """
        while self._before and report.step is not None and self._before[0].step < report.step:
            evaluation = self._before.pop(0)
            self._placing.went_to(evaluation)
            self._resumed_at = evaluation.step
            self._send(evaluation, again=True)
        self._before = []  # what is left is measured again
        return report.step is not None and report.step <= self._resumed_at

    def _send(self, evaluation: Evaluation, *, again: bool = False) -> None:
        if not again:
            peak, total = _memory(self.device)
            evaluation = replace(evaluation, peak_memory=peak, device_memory=total)
        self._evaluations.append(evaluation)
        if not again:
            with open(self._handle.folder / REPORTED, "a", encoding="utf-8") as file:
                file.write(json.dumps(evaluation.to_dict()) + "\n")
        self._learn_order()
        self._emit(evaluation)
        self._reported = time.monotonic()
        command = self._handle.command()
        saves_now = self._saves and self._yields_first  # the state that has this evaluation is still to come
        self._stop_if(command > Command.PAUSE or (command is Command.PAUSE and not saves_now))
        self._ends_next = command is Command.PAUSE

    def _learn_order(self) -> None:
        """Notes whether the function yields and then saves, or saves just before it yields."""
        if self._yields_first is None:
            self._yields_first = True
        elif self._saved > self._reported and time.monotonic() - self._saved < SOON * (self._began - self._reported):
            self._yields_first = False

    def _stop_if(self, due: bool) -> None:
        """Raises TrialStopped in the function's code if it is due; leaves a function for good that goes on after it."""
        if not due and not self._stops:
            return
        self._stops += 1
        if self._stops > PATIENCE:
            _log.warning("the function goes on after TrialStopped, which it must not catch; it is left where it is")
            self._emit(None)
        raise TrialStopped("the trial is to stop")


def _memory(device: str) -> tuple[int, int]:
    """The peak of this training and the device's memory, in bytes, as an Evaluation has them."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_initialized():
        return memory.peak(), 0
    total = torch.cuda.get_device_properties(device).total_memory
    return int(torch.cuda.max_memory_reserved(device)), int(total)


def _read(config: Config, folder: Path) -> tuple[Any, Any] | None:
    """The newest intact state of this config and the facts beside it, or None."""
    for path in (folder / name for name in CHECKPOINTS):
        try:
            return decode(sealed.read(path, config=config.digest()))
        except FileNotFoundError:
            continue
        except (CheckpointDamaged, ValueError) as error:
            _log.warning("%s; it is not used: training resumes from the one before, or restarts", error)
    return None


def _reported(path: Path) -> list[Evaluation]:
    """The evaluations of earlier attempts, without those that were measured again; a line that is cut ends them."""
    found: list[Evaluation] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            one = Evaluation.from_dict(json.loads(line))
            found = [*(other for other in found if other.index < one.index), one]
    except (OSError, ValueError, KeyError):
        pass
    return found
