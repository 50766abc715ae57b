"""The connection to Ray when its head hangs."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

ROOT = Path(__file__).parents[3]
HEAD_HANGS = """
import os, signal
from pathlib import Path
from hpsearch.errors import TrainingFailed
from hpsearch.launchers.ray import cluster as module
from hpsearch.space.resources import RayWorkers, Resources
from tests.cli.processes import descendants

module.LOCAL_HEAD_TIMEOUT = 1.0
cluster = module.Cluster(RayWorkers(name="ray"), Resources(workers=1))
[node] = cluster.nodes()
assert cluster.nodes()[node]["CPU"] >= 1
assert (cluster.is_alive(node), cluster.is_alive("another")) == (True, False)
[head] = [pid for pid in descendants(os.getpid()) if b"gcs_server" in Path(f"/proc/{pid}/cmdline").read_bytes()[:300]]
os.kill(head, signal.SIGSTOP)  # the system still accepts connections for it
assert not cluster.is_alive(node)
os.kill(head, signal.SIGKILL)
try:
    cluster.nodes()
except TrainingFailed as error:
    print(error)
cluster.leave()
"""


@pytest.mark.slow
def test_a_head_that_does_not_answer_ends_the_run():
    """Ray itself waits a minute, then ends the process."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD_HANGS], capture_output=True, text=True, timeout=6000, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("launcher: the Ray at local does not answer: its head node has gone")
