"""Ctrl-Z suspends the workers together with the driver; fg resumes both."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.launchers.suspension import Suspension
from tests.cli.processes import wait_for

LIMIT = 60.0  # seconds
DRIVER = """
import sys
from pathlib import Path
from hpsearch.launchers.local import LocalLauncher
from hpsearch.testing.launchers import TOY, drive, place, task, worker_settings

folder = Path(sys.argv[1])
launcher = LocalLauncher([worker_settings(folder)] * 2, trainer=TOY)
(folder / "workers").write_text(" ".join(str(worker.process.pid) for worker in launcher._workers))
place(launcher, task(folder))
seen, last = drive(launcher)
launcher.close()
sys.exit(len(seen))
"""


def state(pid):
    """A process's state: T is stopped, Z is ended and not waited for."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_z_suspends_idle_and_training_workers_and_fg_resumes_them(tmp_path):
    trained = tmp_path / "trained"
    environment = {**os.environ, "TOY_STEP": "0.02", "TOY_HISTORY": str(trained)}
    command = [sys.executable, "-c", DRIVER, tmp_path]
    # A group of its own in this session, as a shell with job control makes it.
    driver = subprocess.Popen(command, process_group=0, env=environment, cwd=Path(__file__).parents[2])
    try:
        wait_for(trained.exists, limit=LIMIT)
        everything = [driver.pid, *map(int, (tmp_path / "workers").read_text().split())]
        wait_for(lambda: all(os.getpgid(pid) == pid for pid in everything), limit=LIMIT)  # the idle one has started
        os.killpg(driver.pid, signal.SIGTSTP)
        wait_for(lambda: [state(pid) for pid in everything] == ["T"] * 3, limit=LIMIT)
        os.killpg(driver.pid, signal.SIGCONT)
        assert driver.wait(LIMIT) == 20  # evaluations
    finally:
        driver.kill()
        driver.wait()


def test_a_handler_of_the_user_stays():
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        Suspension(list).close()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTSTP, before)


def test_close_restores_the_default():
    suspension = Suspension(list)
    assert signal.getsignal(signal.SIGTSTP) not in (signal.SIG_DFL, signal.SIG_IGN)
    suspension.close()
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
