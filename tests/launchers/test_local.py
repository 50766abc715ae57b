"""The local launcher passes the conformance tests and notices dead workers."""

import os
import re
import signal
import sys
import threading
import time

import pytest

from hpsearch.contract import Command
from hpsearch.launchers.local import LocalLauncher, _without_main
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Noted, Reply
from hpsearch.testing.launchers import TOY, LauncherConformance, drive, place, task, worker_settings


class TestLocal(LauncherConformance):
    def make(self, settings):
        return LocalLauncher(settings, trainer=TOY)

    @pytest.mark.parametrize(("dropout", "cause"), [(0.51, "exited with code 3"), (0.52, "killed by SIGSEGV")])
    def test_the_reason_names_how_a_worker_died(self, tmp_path, dropout, cause):
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path, dropout=dropout))
            _, last = drive(launcher)
        assert isinstance(last, Failed)
        assert last.kind == "died"
        assert cause in last.reason

    def test_a_killed_worker_is_noticed_at_once(self, tmp_path):
        with self.made(tmp_path) as launcher:
            place(launcher, task(tmp_path))
            pid = launcher._workers[0].process.pid
            _, last = drive(launcher, lambda e: os.kill(pid, signal.SIGKILL) or Command.CONTINUE)
        assert last.kind == "died"
        assert "SIGKILL" in last.reason

    def test_two_workers_train_at_the_same_time(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TOY_STEP", "0.005")
        launcher = self.make([worker_settings(tmp_path), worker_settings(tmp_path)])
        order = []
        try:
            launcher.train(0, [task(tmp_path, 0)])
            launcher.train(1, [task(tmp_path, 1)])
            ended = 0
            while ended < 2:
                for message in launcher.messages(timeout=1):
                    if isinstance(message, Evaluated):
                        order.append(message.slot)
                        launcher.reply(message.slot, Reply(message.trial, Command.CONTINUE, message.evaluation.index))
                    else:
                        ended += 1
        finally:
            launcher.close()
        assert sorted(order) == [0] * 20 + [1] * 20
        assert order != sorted(order)  # they alternate
        assert order != sorted(order, reverse=True)

    def test_workers_die_with_their_driver(self, tmp_path):
        pid = os.fork()
        if pid == 0:
            launcher = LocalLauncher([worker_settings(tmp_path)], trainer=TOY)
            (tmp_path / "worker").write_text(str(launcher._workers[0].process.pid))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        worker = int((tmp_path / "worker").read_text())
        deadline = time.monotonic() + 20
        while _alive(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(worker)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_terminated_while_its_trial_pauses_takes_no_other(tmp_path):
    """The next trial goes to a new worker, and no death is counted against it."""
    launcher = LocalLauncher([worker_settings(tmp_path)], trainer="python:tests.faults.trainers:terminated_in_a_pause")
    try:
        launcher.train(0, [task(tmp_path)])
        _, last = drive(launcher, lambda e: Command.PAUSE if e.index == 3 else Command.CONTINUE)
        assert (last, last.saved) == (Ended(0, 0, Command.PAUSE), True)
        launcher.train(0, [task(tmp_path, 1)])
        seen, last = drive(launcher)
    finally:
        launcher.close()
    assert (len(seen), last) == (20, Ended(0, 1, Command.CONTINUE))


def _trained_by(trainer, folder, *, trials):
    """Trains some trials; returns the worker's pid at each, and (trial, warning) pairs."""
    launcher, processes, noted = (
        LocalLauncher([worker_settings(folder)], trainer=f"python:tests.faults.trainers:{trainer}"),
        [],
        [],
    )
    try:
        for number in range(trials):
            processes.append(launcher._workers[0].process.pid)
            launcher.train(0, [task(folder, number)])
            ended = False
            while not ended:
                for message in launcher.messages(timeout=1):
                    if isinstance(message, Evaluated):
                        launcher.reply(0, Reply(number, Command.CONTINUE, message.evaluation.index))
                    elif isinstance(message, Noted):
                        noted.append((number, message.line))
                    else:
                        assert message == Ended(0, number, Command.CONTINUE)
                        ended = True
    finally:
        launcher.close()
    return processes, noted


def test_a_worker_that_keeps_memory_is_replaced_between_trials(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    pids, noted = _trained_by("leaking", tmp_path, trials=6)
    assert pids[0] == pids[1]  # the first trial sets the limit
    changes = [number for number in range(1, 6) if pids[number] != pids[number - 1]]
    assert changes
    assert [number + 1 for number, _ in noted if number < 5] == changes
    assert all(re.fullmatch(r"its worker process still had 0\.\d\d GiB after it: replaced", line) for _, line in noted)


def test_garbage_is_no_leak(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    pids, noted = _trained_by("littering", tmp_path, trials=6)
    assert len(set(pids)) == 1
    assert noted == []


def test_a_trainer_that_raises_keyboard_interrupt_fails_its_trial_and_the_worker_lives(tmp_path):
    settings = worker_settings(tmp_path)
    launcher = LocalLauncher([settings], trainer="python:tests.launchers.trainers:Interrupting")
    try:
        for number in (0, 1):
            place(launcher, task(tmp_path, number))
            _, last = drive(launcher)
            assert (last.trial, last.kind) == (number, "error")
            assert last.reason.startswith("KeyboardInterrupt")
            assert "Traceback" in last.details
    finally:
        launcher.close()


def test_threads_that_start_workers_leave_the_users_script_in_place():
    """The second thread starts its worker before the first one is done; without turns it would restore a stand-in."""
    before, entered, both, left = sys.modules["__main__"], threading.Event(), threading.Event(), threading.Event()

    def first():
        with _without_main():
            entered.set()
            both.wait(0.5)  # never comes when they take turns
        left.set()

    def second():
        entered.wait()
        with _without_main():
            both.set()
            left.wait(10)

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.modules["__main__"] is before
