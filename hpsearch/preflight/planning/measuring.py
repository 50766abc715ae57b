"""Measures configs in the workers that a run would have, without a study: no journal, no MLflow, no files that stay."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.contract import ROUGH, Command, Evaluation
from hpsearch.home.home import Home
from hpsearch.launchers.launch import open_launcher
from hpsearch.launchers.messages import Evaluated, Failed, Launcher, Message, Noted, Reply, Task
from hpsearch.preflight.planning.corners import Corner
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import Sample

POLL = 0.1  # seconds
STARTING = 90.0  # seconds for workers to start and to build their first model, beside the time of the plan
SLOTS = 10  # configs that fit into the time, about
LEAST, MOST = 0.5, 6.0  # seconds for a config
ROUNDS = 2  # how often a config is measured at most
UNTIMED = (
    "not measured: its first steps take longer than the {seconds:g} s for measuring (beside {start:.0f} s to start a "
    "worker); --seconds gives it more"
)


@dataclass(frozen=True)
class Measurement:
    """What became of a corner."""

    corner: Corner
    sample: Sample | None = None
    failure: str = ""  # why there is no sample
    kind: str = ""  # of the failure, as in messages.KINDS


@dataclass
class _Running:
    """A corner in a worker."""

    corner: Corner
    began: float
    evaluations: list[Evaluation] = field(default_factory=list)
    at: list[float] = field(default_factory=list)


class Bench:
    """The workers of a plan, and the time that they may measure for."""

    def __init__(self, experiment: Experiment, launcher: Launcher, folder: Path, *, seconds: float) -> None:
        """folder: for the files of the trainings; seconds: for all measurements, from now on."""
        self.launcher, self.notes = launcher, list[str]()
        self._experiment, self._folder = experiment, folder
        self._began, self._seconds = time.monotonic(), seconds
        self._each = min(MOST, max(LEAST, seconds / SLOTS))
        self._running: dict[int, tuple[int, _Running]] = {}  # number of a measurement -> worker, corner
        self._longest = self._each  # seconds of a measurement so far
        self._peak = self._size = 0  # bytes of the largest measurement so far, and of its device
        self.start = 0.0  # seconds until the first worker could begin

    def measure(
        self, corners: Sequence[Corner], prepared: Mapping[str, Path], progress: Callable[[str, float], None]
    ) -> Iterator[Measurement]:
        """Yields what becomes of each corner for which there is time; all workers are busy meanwhile."""
        queue = list(corners) * ROUNDS
        free, count = set(range(len(self.launcher.settings))), 0
        while (queue and self._has_time()) or self._running:
            for slot in [slot for slot in sorted(free) if self.launcher.ready(slot)]:
                if queue and self._has_time() and self._has_room(slot):
                    free.remove(slot)
                    self._start(count, slot, queue.pop(0), prepared)
                    count += 1
            if time.monotonic() > self._deadline:
                yield from self._give_up()
                return
            for message in self.launcher.messages(POLL):
                if message.trial not in self._running:
                    continue
                slot = message.slot
                for found in self._handle(message):
                    free.add(slot)
                    queue = [one for one in queue if not (found.failure and one is found.corner)]
                    yield found
            share = (time.monotonic() - self._began) / (self._deadline - self._began)
            begun = min(count, len(corners))  # each is measured once before any is measured again
            progress(f"measuring {begun} config{'s' * (begun != 1)}", min(1.0, share))

    @property
    def _deadline(self) -> float:
        """When measuring ends: the start of the workers does not count."""
        return self._began + self._seconds + (self.start or STARTING)

    def _has_time(self) -> bool:
        """Whether a measurement that begins now ends in time; the first ones always may begin."""
        now = time.monotonic()
        return now + (self._longest if self.start else 0.0) < self._deadline

    def _has_room(self, slot: int) -> bool:
        """Whether the worker's GPU has memory beside what is measured there; the first measurement is alone."""
        device = self.launcher.settings[slot].device
        busy = sum(self.launcher.settings[other].device == device for other, _ in self._running.values())
        if not device.startswith("cuda") or not busy:
            return True
        return 0 < (busy + 1) * self._peak <= self._size

    def _start(self, number: int, slot: int, corner: Corner, prepared: Mapping[str, Path]) -> None:
        config = corner.config.model_dump(mode="json")
        task = Task(number, 1, config, self._folder / f"{number:04d}", dict(prepared), measure=self._each)
        self._running[number] = slot, _Running(corner, time.monotonic())
        self.launcher.train(slot, [task])

    def _handle(self, message: Message) -> Iterator[Measurement]:
        """Yields what a measurement has come to, if it has ended."""
        running = self._running[message.trial][1]
        if isinstance(message, Noted):
            self.notes += [message.line] if message.line not in self.notes else []
        elif isinstance(message, Evaluated):
            self._note(message, running)
        else:
            del self._running[message.trial]
            self._longest = max(self._longest, running.at[-1] - self.start if running.at else 0.0)
            yield self._concluded(running, message)

    def _note(self, message: Evaluated, running: _Running) -> None:
        """Takes an evaluation; a training that has had its time ends with it."""
        running.evaluations.append(message.evaluation)
        self._peak = max(self._peak, message.evaluation.peak_memory)
        self._size = message.evaluation.device_memory
        passed = time.monotonic() - running.began
        running.at.append(passed)
        if not self.start:
            self.start = max(1e-3, passed - message.evaluation.seconds)
        over = passed - self.start > self._each and ROUGH not in message.evaluation.metrics
        command = Command.STOP if over else Command.CONTINUE
        self.launcher.reply(message.slot, Reply(message.trial, command, message.evaluation.index))

    def _concluded(self, running: _Running, message: Message | None) -> Measurement:
        corner = running.corner
        if isinstance(message, Failed):
            return Measurement(corner, failure=message.reason, kind=message.kind)
        if not running.evaluations:
            said = UNTIMED.format(seconds=self._seconds, start=self.start or STARTING)
            return Measurement(corner, failure=said, kind="untimed")
        ends_at = self._experiment.trainer.phases(corner.config).ends_at
        return Measurement(corner, Sample(corner.config, tuple(running.evaluations), tuple(running.at), ends_at))

    def _give_up(self) -> Iterator[Measurement]:
        """Ends what is still measured when the time is over."""
        for number, (slot, running) in self._running.items():
            self.launcher.reply(slot, Reply(number, Command.STOP))
            yield self._concluded(running, None)
        self._running.clear()


@contextlib.contextmanager
def bench(experiment: Experiment, home: Home, *, seconds: float) -> Iterator[Bench]:
    """Opens the workers of a run in a folder of their own, which is removed with all that they have written."""
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="hpsearch-plan-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        launcher = open_launcher(experiment, home, folder, trainer=experiment.trainer.name)
        yield Bench(experiment, stack.enter_context(launcher), folder, seconds=seconds)
