"""F57: all that can go wrong, at random, for twenty minutes; then the checker."""

import os
import signal
import statistics
import subprocess
import threading
import time

import pytest

from tests.cli.processes import alive, descendants
from tests.faults.checker import check
from tests.faults.nemesis import Nemesis, is_worker, kill
from tests.faults.runs import folder, history
from tests.faults.servers import Mlflow
from tests.faults.test_disk import fill
from tests.faults.test_kills import SEED

MINUTES = float(os.environ.get("HPSEARCH_SOAK_MINUTES", "20"))


class Blows:
    """What the nemesis can do to a run and to the world around it."""

    def __init__(self, draw, server, disk):
        self.draw, self.server, self.disk = draw, server, disk
        self.kills = self.bounces = self.fills = 0

    def all(self):
        often = [self.kill_worker, self.kill_driver, self.kill_everything] * 3
        return [*often, self.stop_worker, self.interrupt, self.terminate, self.bounce_server, self.fill_disk]

    def kill_worker(self, pid):
        if workers := [child for child in descendants(pid) if is_worker(child)]:
            self.kills += kill(self.draw.choice(workers))

    def kill_driver(self, pid):
        self.kills += kill(pid)

    def kill_everything(self, pid):
        for victim in [pid, *descendants(pid)]:
            self.kills += kill(victim)

    def stop_worker(self, pid):
        """SIGSTOP for longer than the stall timeout."""
        if workers := [child for child in descendants(pid) if is_worker(child)]:
            os.kill(self.draw.choice(workers), signal.SIGSTOP)

    def interrupt(self, pid):
        self._signal(pid, signal.SIGINT)

    def terminate(self, pid):
        self._signal(pid, signal.SIGTERM)

    def _signal(self, pid, number):
        if alive([pid]):
            os.killpg(pid, number)

    def bounce_server(self, pid):
        """The MLflow server is gone for some seconds."""
        self.bounces += 1
        self.server.down()
        threading.Timer(self.draw.uniform(1, 10), self.server.up).run()

    def fill_disk(self, pid):
        """No room for some seconds."""
        if self.disk is not None:
            self.fills += 1
            filler = fill(self.disk)
            time.sleep(self.draw.uniform(1, 5))
            filler.unlink()


@pytest.fixture
def disk(tmp_path):
    """A file system that can be filled, or None where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "none", place], capture_output=True, check=False)
    yield place if done.returncode == 0 else None
    if done.returncode == 0:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.slow
def test_soak(zygote, tmp_path, disk, report):
    """F57: two workers, an MLflow server, kills of all kinds, stops, signals, server bounces, full disks."""
    server = Mlflow(tmp_path / "server").up()
    cwd = folder((disk or tmp_path) / "run", trials=100_000, times=20)
    text = (cwd / "space.yaml").read_text().replace("max_retries: 1000", "max_retries: 100000, stall_timeout: 2")
    (cwd / "space.yaml").write_text(f"{text}tracking: {{uri: '{server.uri}'}}\n")
    (cwd / "acknowledged.jsonl").symlink_to(tmp_path / "acknowledged.jsonl")  # where there is always room for a line
    nemesis = Nemesis(zygote, cwd, SEED, pictures=True, TOY_STEP="0.02", TOY_CHECKPOINT="20")
    blows = Blows(nemesis.draw, server, disk)
    try:
        nemesis.anything(60 * MINUTES, blows.all())
        trials = len(history(cwd).trials)
        nemesis.finish("--trials", str(trials))
        done = zygote.run(cwd, "sync", "toy", "--home", "home")
    finally:
        server.down()
    figures = " and ".join(f"{figure:.0f}" for figure in growth(nemesis.figures))
    report(
        f"F57 seed {SEED}: {blows.kills + nemesis.kills} kills, {blows.bounces} server bounces, {blows.fills} full "
        f"disks in {MINUTES:g} min, {trials} trials; drivers' memory (MiB) and descriptors, first and last quarter: "
        f"{figures}"
    )
    assert done.code == 0, done.said
    assert set(nemesis.codes) <= {0, -9, -15, 74, 130, 143}, nemesis.codes  # -15: before or after the search
    assert (tmp_path / "acknowledged.jsonl").stat().st_size  # else there would be nothing to check
    found = check(cwd, said=nemesis.said, mlflow=server.database, trials=trials)
    assert not found, found


def growth(figures):
    """Medians of memory (MiB) and descriptors in the first quarter of the time and in the last."""
    for place, unit in ((0, 2**20), (1, 1)):
        known = [figure[place] / unit for figure in figures if figure[place]]
        quarter = max(1, len(known) // 4)
        yield statistics.median(known[:quarter])
        yield statistics.median(known[-quarter:])
