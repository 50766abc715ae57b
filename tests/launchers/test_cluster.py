"""The connection to Ray, when its head is not what it was."""

import subprocess
import sys

import pytest

pytest.importorskip("ray")

HEAD_HANGS = """
import signal, sys
import psutil
from hpsearch.errors import TrainingFailed
from hpsearch.launchers import cluster as module
from hpsearch.space.settings import RayWorkers, Resources

module.HEAD_HERE = 1.0
cluster = module.Cluster(RayWorkers(name="ray"), Resources(workers=1))
[node] = cluster.nodes()
assert cluster.nodes()[node]["CPU"] >= 1
assert (cluster.has(node), cluster.has("another")) == (True, False)
[head] = [child for child in psutil.Process().children() if "gcs_server" in child.cmdline()[0]]
head.send_signal(signal.SIGSTOP)  # the system still takes connections for it
assert not cluster.has(node)
head.kill()
try:
    cluster.nodes()
except TrainingFailed as error:
    print(error)
cluster.leave()
"""


@pytest.mark.slow
def test_a_head_that_takes_a_question_and_does_not_answer_has_gone():
    """Ray by itself waits a minute then, and ends the whole process."""
    done = subprocess.run([sys.executable, "-c", HEAD_HANGS], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("launcher: the Ray at local does not answer: its head node has gone")
