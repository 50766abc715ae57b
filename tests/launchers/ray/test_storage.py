"""A study on Ray nodes that share a storage but no folder."""

import json

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.events import Finished, Interrupted, Measured, Notice, Started
from hpsearch.home.home import Home
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.preflight.preparation import prepare
from hpsearch.search.loop import Search
from hpsearch.space.experiment import Experiment
from hpsearch.space.resources import RayWorkers, Resources
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage, upload_prepared
from tests.cli.processes import events, hpsearch
from tests.searching import losses, opened

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster as Nodes  # noqa: E402  # needs Ray

from hpsearch.launchers.ray.cluster import Cluster  # noqa: E402
from hpsearch.launchers.ray.launcher import RayLauncher  # noqa: E402
from tests.launchers.ray.clusters import token  # noqa: E402

pytestmark = pytest.mark.slow

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
TRAINER = "python:tests.launchers.trainers:Saying"
SPACE = """
study: kept
budget: {trials: 3}
search: {sampler: random, pruner: none, overfitting: false}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 32, n_heads: 2, context: 32}
training: {batch_size: 4, epochs: 60, precision: fp32, learning_rate: {low: 1e-3, high: 1e-2, log: true}}
evaluation: {times: 12, decode_sample: 2, max_new_tokens: 4}
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def nodes(scratch):
    """Ray on two nodes, each with its own scratch folder."""
    with token():
        made = Nodes(initialize_head=True, head_node_args={**NODE, "include_dashboard": False, **at(scratch, "first")})
        made.second = made.add_node(**NODE, **at(scratch, "second"))
        yield made
        made.shutdown()


def at(scratch, name):
    return {"env_vars": {"HPSEARCH_SCRATCH": str(scratch / name)}}


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def searched(home, wanted, study, launcher, checkpoints, corpora):
    search = Search(study, launcher, checkpoints=checkpoints, prepared=corpora)
    try:
        yield from search.run()
    finally:
        study.journal.close()
        launcher.close()


def test_a_trial_resumes_from_the_storage_when_its_node_is_killed(nodes, scratch, space_file, tmp_path):
    """It equals an undisturbed training bit by bit, and no node writes to the driver's folders."""
    wanted, home = Experiment.load(space_file(SPACE)), Home(tmp_path / "home").make()
    prepared = prepare(wanted, home, lambda what, share: None)
    storage = Storage(f"file://{tmp_path}/storage")
    stored = {
        key: upload_prepared(storage, folder, lambda what, share: None) for key, folder in prepared.folders.items()
    }
    nowhere = WorkerSettings("cpu", 1, tmp_path / "none", tmp_path / "none", checkpoint_seconds=0.2)
    cluster = Cluster(RayWorkers(name="ray", address=nodes.address, storage=storage.url), Resources())
    launcher = RayLauncher([nowhere] * 2, cluster, shared=tmp_path / "none", trainer=TRAINER)
    study = opened(wanted, tmp_path / "study", prepared.facts)
    study_storage = StudyStorage(storage, study.history, stored)
    checkpoints, seen, killed = Checkpoints(tmp_path / "home" / "checkpoints", study.history, study_storage), [], []
    before = files(home.path)
    for event in searched(home, wanted, study, launcher, checkpoints, prepared.folders):
        seen.append(event)
        kept = {int(path.parent.name) for path in (tmp_path / "storage" / "studies").glob("*/*/*.manifest")}
        running = sorted(scratch.glob("second/hpsearch-*/worker-*/0*/last.pt"))
        measured = {h.trial.number for h in seen if isinstance(h, Measured)}  # what it logged has arrived, too
        if not killed and running and int(running[0].parent.name) in kept & measured:
            killed.append(int(running[0].parent.name))
            nodes.remove_node(nodes.second, allow_graceful=False)
    study_storage.close()
    nodes.second = nodes.add_node(**NODE, **at(scratch, "second"))
    assert [h.trial.number for h in seen if isinstance(h, Interrupted)] == killed
    assert [h.attempt for h in seen if isinstance(h, Started) and h.trial.number == killed[0]] == [1, 2]
    begun = [h.line for h in seen if isinstance(h, Notice) and h.line.startswith(f"trial {killed[0]}: begins with")]
    assert begun[0] == f"trial {killed[0]}: begins with []"
    assert "last.pt" in begun[1]
    assert sorted(h.trial.number for h in seen if isinstance(h, Finished)) == [0, 1, 2]
    assert (files(home.path), (tmp_path / "none").exists()) == (before, False)

    here = WorkerSettings("cpu", 1, home.cache, wanted.base)
    alone = opened(wanted, tmp_path / "alone", prepared.facts)
    inline = InlineLauncher(here, trainer="causal_lm")
    assert list(searched(home, wanted, alone, inline, tmp_path / "checkpoints", prepared.folders))
    assert [losses(t) for t in study.history.trials.values()] == [losses(t) for t in alone.history.trials.values()]


def test_a_command_stores_everything_but_the_journal_in_the_storage(nodes, scratch, space_file, tmp_path):
    """At the end the storage has the best weights and the data, the nodes only the data."""
    url = f"file://{tmp_path}/storage"
    text = SPACE.replace("trials: 3", "trials: 5").replace("epochs: 60", "epochs: 2")
    text += f"resources: {{launcher: {{name: ray, address: '{nodes.address}', storage: '{url}'}}}}\n"
    ran = hpsearch("run", space_file(text), "--home", "runs", cwd=tmp_path, timeout=600)
    assert (ran.returncode, ran.stderr) == (0, "")
    journal = tmp_path / "runs" / "kept" / "journal.jsonl"
    assert len(events(journal, "trial_finished")) == 5
    assert [name for name in files(tmp_path / "runs") if name.endswith((".pt", ".tmp"))] == []
    [exported] = events(journal, "study_exported")
    samples = tmp_path / "runs" / "kept" / "checkpoints" / f"{exported['trial']:04d}" / "samples.json"
    assert isinstance(json.loads(samples.read_text()), dict)
    [study] = (tmp_path / "storage" / "studies").iterdir()
    kept = {folder.name: {name.split("-")[-1] for name in files(folder)} for folder in study.iterdir()}
    assert len(kept) == 3
    assert f"{exported['trial']:04d}" in kept
    for names in kept.values():
        assert {name for name in names if not name.endswith(".manifest")} == {"best.pt", "samples.json"}
    assert list(scratch.glob("*/hpsearch-*/worker-*")) == []
    for command in ("show", "export"):
        assert hpsearch(command, "kept", "--home", "runs", cwd=tmp_path).returncode == 0


def test_a_storage_that_differs_between_nodes_is_refused(nodes, space_file, tmp_path):
    wanted = f"{{name: ray, address: '{nodes.address}', storage: 'memory://x'}}"
    text = f"budget: {{trials: 1}}\nresources: {{launcher: {wanted}}}\n"
    ran = hpsearch("run", space_file(text), "--home", "runs", cwd=tmp_path, timeout=600)
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.count("\n") == 1
    assert " does not see in memory://x what the driver has written there: a storage must be one" in ran.stderr
