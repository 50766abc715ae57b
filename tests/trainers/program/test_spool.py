"""What a program printed is not lost with its worker: real processes, killed and stopped at bad moments."""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hpsearch.contract import OUTPUT, Command
from hpsearch.trainers.program import process
from hpsearch.trainers.program.spool import Spool
from hpsearch.trainers.program.spooler import MOST, SEGMENT
from tests.cli.processes import wait_for
from tests.faults.test_disk import fill
from tests.trainers.own_code import losses
from tests.trainers.program.test_program import alive, program

STEPS = 50
AHEAD = f"""
import json, os, sys, time
folder = os.environ["HPSEARCH_FOLDER"]
path = folder + "/step"
open(folder + "/pid", "w").write(str(os.getpid()))
step = int(open(path).read()) if os.path.exists(path) else 0
while step < {STEPS}:
    step += 1
    print(json.dumps({{"val/loss": 2.0 ** -step, "step": step, "steps": {STEPS}}}))
    open(path + ".new", "w").write(str(step))
    os.replace(path + ".new", path)
    time.sleep(float(sys.argv[1]))
"""
WHOLE = [(i, i, 2.0**-i) for i in range(1, STEPS + 1)]


class Worker:
    """A fork that trains, and its program."""

    def __init__(self, mine):
        self.folder = mine.own / "files"
        (self.folder / "pid").unlink(missing_ok=True)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for _ in mine.train():
                    pass
            finally:
                os._exit(0)

    @property
    def program(self):
        return int((self.folder / "pid").read_text() or 0)

    def at(self, step):
        """Waits until the program has saved a step."""
        path = self.folder / "step"
        wait_for(lambda: path.exists() and int(path.read_text()) >= step)

    def kill(self, *, program=False):
        """Kills the worker, and its program before or after it."""
        with contextlib.suppress(ProcessLookupError):
            for pid in random.sample([self.pid, self.program], 2) if program else [self.pid]:
                os.kill(pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def spoolers(folder):
    """The spoolers of programs in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (path / "cmdline").read_bytes()
            found += [int(path.name)] if b"spooler.py" in line and str(folder).encode() in line else []
    return found


def test_a_stopped_worker_loses_nothing_of_a_program_that_ends_meanwhile(tmp_path):
    """F87: the program has saved all of its steps, so that it prints none of them again."""
    mine = program(tmp_path, AHEAD, "0.001", evaluations=STEPS)
    worker = Worker(mine)
    worker.at(1)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.at(STEPS)
    worker.kill()
    assert mine.losses() == WHOLE
    wait_for(lambda: spoolers(tmp_path) == [], limit=30)


@pytest.mark.parametrize("with_program", [False, True], ids=["the worker", "both"])
@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_and_double_nothing(tmp_path, kills, with_program):
    """F87: the program saves each step as soon as it has printed it."""
    left = kills
    while left:
        folder = tmp_path / str(left)
        folder.mkdir()
        mine = program(folder, AHEAD, "0.01", evaluations=STEPS)
        for begun in (1, STEPS // 2):
            if left:
                worker = Worker(mine)
                worker.at(begun)
                time.sleep(random.uniform(0, 0.2))
                worker.kill(program=with_program)
                left -= 1
        assert mine.losses() == WHOLE


def test_half_a_line_of_a_killed_program_is_no_value(tmp_path):
    """F87: 0.12 is the beginning of a number; the resumed program prints it whole."""
    code = """
import os, time
path = os.environ["HPSEARCH_FOLDER"] + "/pid"
begun = os.path.exists(path + "s")
if not begun:
    os.write(1, b"loss 0.5\\nloss 0.12")
open(path, "w").write(str(os.getpid()))
while not begun:
    open(path + "s", "w").write("")
    time.sleep(0.01)
os.write(1, b"loss 0.5\\nloss 0.125\\n")
"""
    mine = program(tmp_path, code, metrics={"val/loss": r"^loss ([\d.]+)"}, evaluations=2)
    worker = Worker(mine)
    wait_for((mine.own / "files/pids").exists)
    worker.kill()
    assert [loss for _, _, loss in mine.losses()] == [0.5, 0.125]


def test_a_place_before_the_kill_is_that_of_the_lines_behind_it(tmp_path):
    """F87: patterns find the step in a line of its own, the loss in one that is read by the next attempt."""
    code = AHEAD.replace(
        'print(json.dumps({"val/loss": 2.0 ** -step, "step": step, "steps": 50}))',
        'print(f"step {step}\\nloss {2.0 ** -step!r}")',
    )
    mine = program(tmp_path, code, "0.001", metrics={"step": r"^step (\d+)", "val/loss": r"^loss (.+)"}, evaluations=50)
    worker = Worker(mine)
    worker.at(2)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.at(STEPS)
    worker.kill()
    assert mine.losses() == WHOLE


def waiting(code):
    """The program, which waits at step 10 until its folder has the file `on`."""
    return code.replace(
        "    time.sleep",
        '    while step == 10 and not os.path.exists(folder + "/on"): time.sleep(0.01)\n    time.sleep',
    )


def test_a_killed_spooler_is_replaced(tmp_path):
    mine = program(tmp_path, waiting(AHEAD), "0", evaluations=STEPS)
    found = []
    for one in mine.train():
        found.append(one)
        if one.index == 10:
            wait_for(lambda: spoolers(tmp_path))
            os.kill(spoolers(tmp_path)[0], signal.SIGKILL)
            (mine.own / "files/on").write_text("")
    assert losses(found) == losses(mine.train()) == WHOLE


def test_a_spooler_that_is_killed_again_and_again_is_an_error(tmp_path):
    mine = program(tmp_path, waiting(AHEAD), "0", evaluations=STEPS)

    def command():
        for pid in spoolers(tmp_path):
            os.kill(pid, signal.SIGKILL)
        return Command.CONTINUE

    with pytest.raises(ChildProcessError, match="the process that stores its output has ended 3 times"):
        list(mine.train(command))


def test_a_script_may_write_to_its_standard_error_by_name(tmp_path):
    """If the output were a file, `> /dev/stderr` would empty it."""
    code = """
for i in 1 2 3; do echo "{\\"val/loss\\": 0.$i, \\"step\\": $i, \\"steps\\": 4}"; done
echo '{"val/loss": 0.4, "step": 4, "steps": 4}'
echo done > /dev/stderr
"""
    (tmp_path / "train.sh").write_text(code)
    mine = program(tmp_path, "")
    mine = type(mine)(tmp_path, command=["bash", "train.sh"], evaluations=4)
    assert mine.losses() == [(i, i, i / 10) for i in range(1, 5)]


def test_a_program_waits_while_too_much_is_not_read(tmp_path):
    """F87: what is on the disk is bounded also while the worker stands still; then everything is read."""
    most = MOST * SEGMENT
    code = f"""
import os
print({{'val/loss': 2}})
for _ in range({most} // 8192 * 3 // 2):
    os.write(1, b"x" * 8191 + b"\\n")
print({{'val/loss': 1}})
"""
    mine = program(tmp_path, code, evaluations=2)
    training = mine.train()
    next(training)
    wait_for(lambda: size(mine) > most - SEGMENT)
    time.sleep(0.2)
    assert size(mine) <= most
    assert [one.metrics["val/loss"] for one in training] == [1.0]
    assert size(mine) <= most * 3 // 4


def size(mine):
    found = 0
    for path in mine.own.glob(OUTPUT):
        with contextlib.suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


def test_a_full_disk_ends_no_program_and_loses_no_line(tmp_path):
    """F87: the program waits; the worker cannot save, so that the trial is resumed when there is room."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        mine = program(place, AHEAD.replace('"/step"', '"/../../../../step"'), "0.01", evaluations=STEPS)
        training = mine.train()
        assert losses(next(training) for _ in range(3)) == WHOLE[:3]
        fill(place)
        with pytest.raises(OSError, match="No space left"):
            list(training)
        os.truncate(place / "filler", 0)
        assert mine.losses() == WHOLE
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_trial_that_is_to_pause_by_what_was_read_late_does_not_start_its_program(tmp_path):
    mine = program(tmp_path, AHEAD, "0.001", evaluations=STEPS)
    worker = Worker(mine)
    worker.at(1)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.at(STEPS)
    worker.kill()
    (mine.own / "files/pid").unlink()
    assert mine.up_to(STEPS - 5, Command.PAUSE)[-1] == WHOLE[-1]
    assert not (mine.own / "files/pid").exists()
    assert mine.losses() == WHOLE


def test_a_program_ends_with_its_worker(tmp_path):
    worker = Worker(program(tmp_path, AHEAD, "0.5", evaluations=STEPS))
    worker.at(1)
    pid = worker.program
    worker.kill()
    wait_for(lambda: not alive(pid) and spoolers(tmp_path) == [], limit=30)


def test_output_of_starts_that_no_state_needs_is_deleted(tmp_path):
    code = AHEAD.replace("    time.sleep", "    if step % 20 == 0: sys.exit(75)\n    time.sleep")
    mine = program(tmp_path, code, "0", evaluations=STEPS)
    assert mine.losses() == WHOLE
    assert [path.name for path in sorted(mine.own.glob(OUTPUT))] == ["output-0003-000000.txt"]


def test_what_nobody_writes_to_is_read_at_once(tmp_path):
    (tmp_path / "output-0002-000000.txt").write_text("a line\n")
    spool, began = Spool(tmp_path, 2), time.monotonic()
    spool.settle()
    assert (spool.read(), spool.read(), spool.position) == (b"a line\n", b"", 7)
    file, number = spool.open_last()
    assert (time.monotonic() - began < 10, number) == (True, 0)
    os.close(file)


def test_the_last_line_of_a_program_that_printed_more_than_is_read_counts(tmp_path):
    """It ends long before its output is read; what waits in the pipe is behind that."""
    code = f"""
import os
for _ in range({MOST * SEGMENT} // 8192):
    os.write(1, b"x" * 8191 + b"\\n")
print({{'val/loss': 1}})
"""
    mine, slow = program(tmp_path, code, evaluations=1), [0]

    def command():
        slow[0] += 1
        time.sleep(0.1)
        return Command.CONTINUE

    assert [loss for _, _, loss in losses(mine.train(command))] == [1.0]
    assert slow[0] > 6  # more than LAST seconds


def test_a_spooler_that_gets_no_processor_is_waited_for(tmp_path):
    """The program has ended long before its output is stored."""
    code = """
import os, time
while not os.path.exists(os.environ["HPSEARCH_FOLDER"] + "/on"):
    time.sleep(0.01)
print({"val/loss": 0.5})
"""
    mine, stopped = program(tmp_path, code, evaluations=1), []

    def command():
        if not stopped and (found := spoolers(tmp_path)):
            stopped.append(found[0])
            os.kill(found[0], signal.SIGSTOP)
            threading.Timer(1.5, os.kill, (found[0], signal.SIGCONT)).start()
            (mine.own / "files/on").write_text("")
        return Command.CONTINUE

    assert [loss for _, _, loss in losses(mine.train(command))] == [0.5]
    assert stopped


@pytest.mark.parametrize("orphaning", [process.ORPHANING, ()], ids=["by a shell", "without one"])
def test_a_spooler_is_no_child_of_its_worker(tmp_path, monkeypatch, orphaning):
    """Who kills a worker with all of its tree leaves the spooler, which then stores the rest."""
    monkeypatch.setattr(process, "ORPHANING", orphaning)
    training = program(tmp_path, waiting(AHEAD), "0", evaluations=STEPS).train()
    next(training)
    [pid] = spoolers(tmp_path)
    status = Path(f"/proc/{pid}/status").read_text()
    assert int(status.split("PPid:")[1].split()[0]) != os.getpid()
    training.close()
    wait_for(lambda: spoolers(tmp_path) == [], limit=30)
