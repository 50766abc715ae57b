"""A Ray started for one run ignores signals and leaves no process behind."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

ROOT = Path(__file__).parents[3]
TOLD_TO_END = """
import os, signal
from pathlib import Path
import ray
from hpsearch.launchers.ray.cluster import Cluster
from hpsearch.space.resources import RayWorkers, Resources
from tests.cli.processes import alive, descendants, wait_for

heard = signal.pthread_sigmask(signal.SIG_BLOCK, [])
cluster = Cluster(RayWorkers(name="ray"), Resources(workers=1))
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == heard
[settings] = cluster.plan(cache=Path.cwd(), base=Path.cwd())
actor = cluster.start(0, settings, "python:hpsearch.testing.toy:Toy")
worker = ray.get(actor.__ray_call__.remote(lambda self: os.getpid()))
others = [pid for pid in descendants(os.getpid()) if pid != worker]
assert len(others) > 3
for number in (signal.SIGTERM, signal.SIGHUP):
    for pid in others:
        os.kill(pid, number)
os.kill(worker, signal.SIGHUP)
assert ray.get(actor.heartbeat.remote()).memory > 0
os.kill(worker, signal.SIGTERM)  # it is idle, so it exits
wait_for(lambda: alive([worker]) == [])
left = descendants(os.getpid())
cluster.leave()
wait_for(lambda: alive(left) == [])
print("left")
"""


@pytest.mark.slow
def test_it_ignores_signals_and_ends_with_the_run():
    """By default a raylet ends its workers on SIGTERM; if it is killed, its agents outlive it by a minute."""
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_END], capture_output=True, text=True, timeout=6000, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "left\n")
