"""Conformance tests for launchers: subclass LauncherConformance in a test file, define `make`, and run pytest.

class TestMine(LauncherConformance):
    def make(self, settings): return MyLauncher(settings, trainer=TOY)
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest  # pytest knows it too

from hpsearch.contract import Command, Evaluation, WorkerSettings
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Launcher, Message, Reply, Task
from hpsearch.tasks import TextSet
from hpsearch.testing.toy import curve_of
from hpsearch.training.config import ModelConfig, TrainConfig, TrainingConfig

TOY = "python:hpsearch.testing.toy:Toy"
LIMIT = 60.0  # seconds to wait for a message
SLOW, DIES, RAISES, NO_MEMORY = 0.59, 0.51, 0.5, 0.53  # dropouts that trigger faults of the toy trainer
Seen = list[Evaluation]


class LauncherConformance:
    """Tests of one launcher; `make` returns it with a worker for each settings, training with the toy trainer."""

    workers = 2  # that it can have; 1: skips the tests of several workers
    in_processes = True  # workers are processes, which may die without the driver
    in_groups = True  # a worker can train several trials together

    def make(self, settings: list[WorkerSettings]) -> Launcher:
        """Returns a launcher with these workers."""
        raise NotImplementedError

    @contextlib.contextmanager
    def made(self, folder: Path, workers: int = 1) -> Iterator[Launcher]:
        """Returns a launcher and closes it at the end of the block."""
        launcher = self.make([worker_settings(folder)] * workers)
        try:
            yield launcher
        finally:
            launcher.close()

    def test_a_trial_is_evaluated_at_every_fraction_and_ends(self, tmp_path: Path) -> None:
        """Twenty evaluations, the end, the best weights."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path))
            seen, last = drive(launcher)
        assert [evaluation.index for evaluation in seen] == list(range(1, 21))
        expected = [curve_of(config()).val_loss(k / 20) for k in range(1, 21)]
        assert [evaluation.metrics["val/loss"] for evaluation in seen] == expected
        assert _end(last) == (0, Command.CONTINUE)
        assert (tmp_path / "0000" / "best.pt").exists()

    def test_a_stopped_trial_ends_and_its_worker_trains_the_next(self, tmp_path: Path) -> None:
        """STOP leaves no weights behind."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path))
            seen, last = drive(launcher, lambda e: Command.STOP if e.index == 3 else Command.CONTINUE)
            assert (len(seen), _end(last)) == (3, (0, Command.STOP))
            assert not (tmp_path / "0000" / "best.pt").exists()
            place(launcher, task(tmp_path, 1))
            seen, last = drive(launcher)
            assert (len(seen), _end(last)) == (20, (1, Command.CONTINUE))

    def test_a_finished_trial_keeps_its_best_weights(self, tmp_path: Path) -> None:
        """FINISH ends a trial that can still win."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path))
            seen, last = drive(launcher, lambda e: Command.FINISH if e.index == 5 else Command.CONTINUE)
        assert (len(seen), _end(last)) == (5, (0, Command.FINISH))
        assert (tmp_path / "0000" / "best.pt").exists()

    def test_a_paused_trial_resumes(self, tmp_path: Path) -> None:
        """It yields the evaluations of its checkpoint first."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path))
            seen, last = drive(launcher, lambda e: Command.PAUSE if e.index == 7 else Command.CONTINUE)
            assert _end(last) == (0, Command.PAUSE)
            place(launcher, task(tmp_path))
            again, last = drive(launcher)
        assert again[:7] == seen
        assert [evaluation.index for evaluation in again] == list(range(1, 21))
        assert _end(last) == (0, Command.CONTINUE)

    def test_a_trial_can_be_paused_between_evaluations(self, tmp_path: Path) -> None:
        """The training reads a PAUSE between evaluations within a few steps."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, dropout=SLOW))
            launcher.reply(0, Reply(0, Command.PAUSE))
            _, last = drive(launcher)
        assert _end(last) == (0, Command.PAUSE)

    def test_an_error_in_training_is_a_message_and_the_worker_lives(self, tmp_path: Path) -> None:
        """Failed has the traceback, and the next trial trains."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, dropout=RAISES))
            _, last = drive(launcher)
            assert isinstance(last, Failed)
            assert (last.kind, last.reason) == ("error", "RuntimeError: a bug in the training code")
            assert "Traceback" in last.details
            place(launcher, task(tmp_path, 1))
            assert len(drive(launcher)[0]) == 20

    def test_running_out_of_memory_has_a_kind_of_its_own(self, tmp_path: Path) -> None:
        """The trial is too big; it is not a bug."""
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, dropout=NO_MEMORY))
            _, last = drive(launcher)
        assert isinstance(last, Failed)
        assert last.kind == "out_of_memory"

    def test_a_dead_worker_is_reported_and_replaced(self, tmp_path: Path) -> None:
        """Failed names the trial, and the slot trains the next one."""
        if not self.in_processes:
            raise SkipTest("it trains in the driver's process")
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, dropout=DIES))
            _, last = drive(launcher)
            assert isinstance(last, Failed)
            assert (last.trial, last.kind) == (0, "died")
            place(launcher, task(tmp_path, 1))
            assert len(drive(launcher)[0]) == 20

    def test_a_slow_worker_does_not_block_others(self, tmp_path: Path) -> None:
        """While one trains slowly, the other trains three trials."""
        if self.workers < 2:
            raise SkipTest("it has one worker")
        with self.made(tmp_path, workers=2) as launcher:
            place(launcher, task(tmp_path, 0, dropout=SLOW), slot=0)
            for number in (1, 2, 3):
                place(launcher, task(tmp_path, number), slot=1)
                _, last = drive(launcher)
                assert _end(last) == (number, Command.CONTINUE)

    def test_hundreds_of_trials_after_one_another(self, tmp_path: Path) -> None:
        """No message is attributed to another trial."""
        with self.made(tmp_path) as launcher:
            for number in range(300):
                place(launcher, task(tmp_path, number))
                seen, last = drive(launcher, lambda e: Command.STOP)
                assert (len(seen), _end(last)) == (1, (number, Command.STOP))

    def test_a_worker_trains_several_trials_together(self, tmp_path: Path) -> None:
        """Each is evaluated and ends as it would by itself, and the worker trains the next."""
        self.needs_groups()
        with self.made(tmp_path) as launcher:
            place(launcher, *(task(tmp_path, number) for number in (3, 1, 2)))
            seen, ends = drive_all(launcher, 3)
            assert {trial: [e.index for e in found] for trial, found in seen.items()} == {
                number: list(range(1, 21)) for number in (1, 2, 3)
            }
            assert sorted(map(_end, ends)) == [(number, Command.CONTINUE) for number in (1, 2, 3)]
            place(launcher, task(tmp_path, 4))
            assert len(drive(launcher)[0]) == 20

    def test_each_trial_of_a_group_has_its_own_command(self, tmp_path: Path) -> None:
        """PAUSE, FINISH and STOP end one each; the fourth trains to its end."""
        self.needs_groups()
        told = {0: Command.PAUSE, 1: Command.FINISH, 2: Command.STOP}

        def answer(trial: int, evaluation: Evaluation) -> Command:
            return told[trial] if trial in told and evaluation.index == 4 else Command.CONTINUE

        with self.made(tmp_path) as launcher:
            place(launcher, *(task(tmp_path, number) for number in range(4)))
            seen, ends = drive_all(launcher, 4, answer)
        assert {trial: len(found) for trial, found in seen.items()} == {0: 4, 1: 4, 2: 4, 3: 20}
        assert sorted(map(_end, ends)) == [*told.items(), (3, Command.CONTINUE)]
        assert _end(ends[-1]) == (3, Command.CONTINUE)
        assert {(tmp_path / f"{n:04d}" / "best.pt").exists() for n in (1, 3)} == {True}

    def test_a_stopped_group_ends_at_once(self, tmp_path: Path) -> None:
        """STOP for all trials that are left closes the training."""
        self.needs_groups()
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, 0), task(tmp_path, 1))
            seen, ends = drive_all(launcher, 2, lambda trial, e: Command.STOP if e.index == 2 else 0)
            assert ({trial: len(found) for trial, found in seen.items()}, len(ends)) == ({0: 2, 1: 2}, 2)
            assert sorted(map(_end, ends)) == [(0, Command.STOP), (1, Command.STOP)]
            place(launcher, task(tmp_path, 4))
            assert len(drive(launcher)[0]) == 20

    def test_an_error_fails_every_trial_of_a_group(self, tmp_path: Path) -> None:
        """Each trial that has not ended has its Failed, and the worker trains the next."""
        self.needs_groups()
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, 0), task(tmp_path, 1, dropout=RAISES), task(tmp_path, 2))
            _, ends = drive_all(launcher, 3, lambda trial, e: Command.FINISH if trial == 2 else 0)
            assert _end(ends[0]) == (2, Command.FINISH)
            failed = [(end.trial, end.kind) for end in ends[1:] if isinstance(end, Failed)]
            assert failed == [(0, "error"), (1, "error")]
            place(launcher, task(tmp_path, 4))
            assert len(drive(launcher)[0]) == 20

    def test_a_dead_worker_fails_every_trial_of_its_group(self, tmp_path: Path) -> None:
        """Each trial has its Failed, of the same kind; so it is after a group that ran out of memory."""
        self.needs_groups()
        if not self.in_processes:
            raise SkipTest("it trains in the driver's process")
        with self.made(tmp_path) as launcher:
            for first, dropout, kind in ((0, DIES, "died"), (3, NO_MEMORY, "out_of_memory")):
                group = range(first, first + 3)
                place(launcher, *(task(tmp_path, n, dropout=dropout if n == first + 1 else 0.0) for n in group))
                _, ends = drive_all(launcher, 3)
                found = [(end.trial, end.kind) for end in ends if isinstance(end, Failed)]
                assert found == [(number, kind) for number in group]
            place(launcher, task(tmp_path, 6))
            assert len(drive(launcher)[0]) == 20

    def needs_groups(self) -> None:
        """Skips a test of a launcher whose workers train one trial at a time."""
        if not self.in_groups:
            raise SkipTest("a worker trains one trial at a time")


def worker_settings(folder: Path) -> WorkerSettings:
    """Returns the settings of a worker on the CPU."""
    return WorkerSettings(device="cpu", threads=1, cache=folder, base=folder)


def config(dropout: float = 0.0, **training: Any) -> TrainConfig:
    """Returns a config for the toy trainer."""
    data = {"text": TextSet(task="text", dataset="python:a:b")}
    return TrainConfig(data=data, model=ModelConfig(dropout=dropout), training=TrainingConfig(**training))


def task(folder: Path, number: int = 0, **values: Any) -> Task:
    """Returns the task of trial `number`, with its own folder."""
    return Task(number, 1, config(**values).model_dump(mode="json"), folder / f"{number:04d}")


def place(launcher: Launcher, *tasks: Task, slot: int = 0) -> None:
    """Waits until a worker is ready and hands it a trial, or several to train together."""
    deadline = time.monotonic() + LIMIT
    while not launcher.ready(slot):
        assert time.monotonic() < deadline, "no worker is ready"
        launcher.messages(timeout=0.1)
    launcher.train(slot, tasks)


def drive(
    launcher: Launcher, answers: Callable[[Evaluation], Command] = lambda evaluation: Command.CONTINUE
) -> tuple[Seen, Message]:
    """Answers every evaluation until a trial ends; returns the evaluations and the last message."""
    seen: Seen = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        for message in launcher.messages(timeout=0.5):
            if not isinstance(message, Evaluated):
                return seen, message
            seen.append(message.evaluation)
            answer = answers(message.evaluation)
            launcher.reply(message.slot, Reply(message.trial, answer, message.evaluation.index))
    raise AssertionError("no message from the launcher")


def drive_all(
    launcher: Launcher, count: int, answers: Callable[[int, Evaluation], int] = lambda trial, evaluation: 0
) -> tuple[dict[int, Seen], list[Message]]:
    """Answers every evaluation until `count` trials have ended; returns evaluations by trial, and the last messages.

    `answers` returns a command for a trial and its evaluation; 0 is CONTINUE.
    """
    seen: dict[int, Seen] = defaultdict(list)
    ends: list[Message] = []
    deadline = time.monotonic() + LIMIT
    while len(ends) < count and time.monotonic() < deadline:
        for message in launcher.messages(timeout=0.5):
            if not isinstance(message, Evaluated):
                ends.append(message)
                continue
            seen[message.trial].append(message.evaluation)
            command = Command(answers(message.trial, message.evaluation))
            launcher.reply(message.slot, Reply(message.trial, command, message.evaluation.index))
    assert len(ends) == count, "no message from the launcher"
    return seen, ends


def _end(message: Message) -> tuple[int, Command]:
    """Returns the trial that ended and its last command."""
    assert isinstance(message, Ended), message
    return message.trial, message.command
