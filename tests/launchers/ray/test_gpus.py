"""Ray's logical GPUs: two reserved for a trial are both given to it."""

import socket

import pytest

from hpsearch.space.experiment import Experiment
from hpsearch.space.resources import RayWorkers, Resources
from tests.search.placement.test_gpus_per_trial import SEES
from tests.searching import go

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster as Nodes  # noqa: E402  # needs Ray

from hpsearch.launchers.ray.cluster import Cluster  # noqa: E402
from hpsearch.launchers.ray.launcher import RayLauncher  # noqa: E402
from tests.launchers.ray.clusters import token  # noqa: E402

pytestmark = pytest.mark.slow

NODE = {"num_cpus": 4, "num_gpus": 3, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def nodes():
    """Ray on one node of this machine that says it has three GPUs."""
    with token():
        made = Nodes(initialize_head=True, head_node_args=NODE)
        yield made
        made.shutdown()


@pytest.mark.parametrize(
    ("launcher", "resources"),
    [({}, {"gpus_per_trial": 2}), ({"num_gpus": 2}, {}), ({"num_gpus": 2}, {"gpus_per_trial": 2})],
)
def test_a_worker_has_the_gpus_that_are_reserved_for_it(nodes, tmp_path, launcher, resources):
    cluster = Cluster(RayWorkers(name="ray", address=nodes.address, **launcher), Resources(device="cuda", **resources))
    try:
        [settings] = cluster.plan(cache=tmp_path, base=tmp_path)  # the third GPU is left over
        assert (cluster.num_gpus, settings.device, settings.gpus) == (2, "cuda:0", 2)
    finally:
        cluster.leave()


def test_a_program_sees_both(nodes, tmp_path):
    (tmp_path / "sees.py").write_text(SEES)
    wanted = Experiment.of(
        {
            "study": "sees",
            "command": "python sees.py {gpus} {device}",
            "config": {"lr": 1.0},
            "budget": {"trials": 1},
            "resources": {"device": "cuda", "launcher": {"name": "ray", "address": nodes.address, "num_gpus": 2}},
        },
        base=tmp_path,
    )
    cluster = Cluster(wanted.resources.launcher, wanted.resources)
    settings = cluster.plan(cache=tmp_path, base=tmp_path)
    launcher = RayLauncher(settings, cluster, shared=tmp_path, trainer=wanted.trainer.name)
    try:
        study, _ = go(wanted, tmp_path / "home", launcher=launcher)
    finally:
        launcher.close()
    [trial] = study.history.trials.values()
    ids = f"{int(trial.evaluations[1].metrics['seen']):02d}"  # two of the three, whichever Ray chose
    assert trial.device == f"cuda:{ids[0]}+{ids[1]}@{socket.gethostname()}"
    assert {name: trial.evaluations[1].metrics[name] for name in ("gpus", "told", "first")} == {
        "gpus": 2,
        "told": 2,
        "first": 0,
    }
