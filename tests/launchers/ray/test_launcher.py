"""The Ray launcher passes the conformance tests; a study on two nodes loses nothing when one leaves."""

import itertools
import json
import os
import signal
import socket
import sys
import time

import pytest

from hpsearch.contract import Command
from hpsearch.errors import UserError
from hpsearch.events import Finished, Interrupted, Started
from hpsearch.launchers.messages import Ended, Failed
from hpsearch.launchers.ray.actor import Actor
from hpsearch.launchers.ray.visibility import SharedFolder
from hpsearch.search.loop import Search
from hpsearch.space.resources import RayWorkers, Resources
from hpsearch.testing.launchers import LIMIT, SLOW, TOY, LauncherConformance, drive, place, task, worker_settings
from tests.cli.processes import TOY as TOY_TRAINER
from tests.cli.processes import alive, descendants, events, hpsearch, started, wait_for
from tests.searching import RANGES, experiment, opened

ray = pytest.importorskip("ray")


from ray.cluster_utils import Cluster as Nodes  # noqa: E402  # needs Ray

from hpsearch.launchers.ray.cluster import Cluster  # noqa: E402
from hpsearch.launchers.ray.launcher import FIRST_WAIT, RayLauncher  # noqa: E402
from tests.launchers.ray.clusters import TOKEN, token  # noqa: E402

pytestmark = pytest.mark.slow

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
SLOWLY = "model: {dropout: 0.59}\n"  # the toy trainer takes about four seconds for a trial


@pytest.fixture(scope="module")
def nodes():
    """Ray on two nodes of this machine, one CPU each, that require a token."""
    with token():
        made = Nodes(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        made.second = made.add_node(**NODE)
        yield made
        made.shutdown()


def launcher(nodes, folder, workers=2, trainer=TOY, **options):
    cluster = Cluster(RayWorkers(name="ray", address=nodes.address), Resources())
    return RayLauncher([worker_settings(folder)] * workers, cluster, shared=folder, trainer=trainer, **options)


def both_ready(made):
    while not all(made.ready(slot) for slot in (0, 1)):
        made.messages(0.2)


@pytest.fixture(scope="class")
def joined(nodes):
    """One connection for several tests: connecting takes a second."""
    cluster = Cluster(RayWorkers(name="ray", address=nodes.address), Resources())
    yield
    cluster.leave()


@pytest.mark.usefixtures("joined")
class TestRay(LauncherConformance):
    in_groups = False

    def make(self, settings):
        return RayLauncher(
            settings, Cluster(RayWorkers(name="ray"), Resources()), shared=settings[0].cache, trainer=TOY
        )


def test_a_killed_worker_is_noticed_and_replaced(nodes, tmp_path):
    made = launcher(nodes, tmp_path, 1)
    try:
        place(made, task(tmp_path, dropout=SLOW))
        os.kill(made._slots[0].info.pid, signal.SIGKILL)
        _, last = drive(made)
        assert isinstance(last, Failed)
        assert (last.trial, last.kind) == (0, "died")
        assert last.reason.startswith("the worker on node ")
        place(made, task(tmp_path, 1))
        assert len(drive(made)[0]) == 20
    finally:
        made.close()
    assert list(tmp_path.glob(".shared-*")) == []


def test_workers_at_rest_free_what_they_reserved_and_train_again_when_woken(nodes, tmp_path):
    """What `hpsearch pause` promises: other jobs of the cluster have its CPUs meanwhile."""
    made = launcher(nodes, tmp_path)
    try:
        both_ready(made)
        assert ray.available_resources().get("CPU", 0) == 0
        made.rest()
        wait_for(lambda: ray.available_resources().get("CPU", 0) == ray.cluster_resources()["CPU"] == 2)
        assert made.messages(0.1) == []
        assert not made.ready(0)
        made.wake()
        both_ready(made)
        place(made, task(tmp_path))
        assert len(drive(made)[0]) == 20
    finally:
        made.close()


@pytest.mark.parametrize("killed", [True, False])
def test_child_processes_die_with_their_worker(nodes, tmp_path, monkeypatch, killed):
    """Ray itself does not kill the child processes of a killed worker."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    made = launcher(nodes, tmp_path, 1, "python:tests.launchers.children:with_children")
    try:
        place(made, task(tmp_path))
        wait_for(lambda: made.messages(0.2))
        family = json.loads((tmp_path / "0000" / "pids.json").read_text())
        assert alive(family) == family
        if killed:
            os.kill(family[0], signal.SIGKILL)
            wait_for(lambda: not alive(family))
    finally:
        made.close()
    wait_for(lambda: not alive(family))


def test_a_worker_that_dies_while_idle_is_replaced_and_fails_no_trial(nodes, tmp_path):
    made = launcher(nodes, tmp_path, 1)
    try:
        place(made, task(tmp_path))
        assert len(drive(made)[0]) == 20
        for number in (signal.SIGKILL, signal.SIGTERM):
            pid = made._slots[0].info.pid
            os.kill(pid, number)
            deadline = time.monotonic() + LIMIT
            while made._slots[0].info is None or made._slots[0].info.pid == pid:
                assert made.messages(0.2) == []
                assert time.monotonic() < deadline
        place(made, task(tmp_path, 1))
        assert len(drive(made)[0]) == 20
    finally:
        made.close()


def test_a_terminated_worker_saves_its_trial_and_another_resumes_it(nodes, tmp_path):
    made = launcher(nodes, tmp_path, 1)
    try:
        place(made, task(tmp_path, dropout=SLOW))
        pid = made._slots[0].info.pid
        time.sleep(1.0)  # it trains
        os.kill(pid, signal.SIGTERM)
        seen, last = drive(made)
        assert last == Ended(0, 0, Command.PAUSE)
        place(made, task(tmp_path, dropout=SLOW))
        assert made._slots[0].info.pid != pid
        again, last = drive(made)
        assert again[: len(seen)] == seen
        assert (len(again), last) == (20, Ended(0, 0, Command.CONTINUE))
    finally:
        made.close()


def test_a_worker_without_a_step_for_too_long_is_killed(nodes, tmp_path):
    made = launcher(nodes, tmp_path, 1, stall_timeout=4.0)
    try:
        place(made, task(tmp_path, dropout=0.55))
        _, last = drive(made)
        assert (last.kind, last.reason) == ("stalled", "no step for 4 s")
    finally:
        made.close()


def test_workers_that_cannot_start_end_the_run(nodes, tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.launchers.ray.cluster.Actor", Unable)
    made = launcher(nodes, tmp_path)
    try:
        with pytest.raises(UserError, match=r"^launcher: no worker starts on Ray: ImportError: no such package$"):
            place(made, task(tmp_path))
    finally:
        made.close()


class Unable(Actor):
    """An actor whose node cannot be used."""

    def __init__(self, *_):
        raise ImportError("no such package")


def test_workers_that_die_at_their_start_are_delayed_and_end_the_run(nodes, tmp_path, monkeypatch):
    """Each starts after a longer delay, up to a limit."""
    monkeypatch.setattr("hpsearch.launchers.ray.cluster.Actor", Dying)
    monkeypatch.setattr("hpsearch.launchers.ray.launcher.DEATHS", 5)
    made, starts = launcher(nodes, tmp_path, 1), []
    start = made._start
    made._start = lambda slot: starts.append(time.monotonic()) or start(slot)
    try:
        with pytest.raises(UserError, match=r"^launcher: no worker starts on Ray: "):
            place(made, task(tmp_path))
    finally:
        made.close()
    assert len(starts) == 4  # besides the first
    waits = [after - before for before, after in itertools.pairwise(starts)]
    assert all(wait >= FIRST_WAIT * 2**n for n, wait in enumerate(waits, start=1))


class Dying(Actor):
    """An actor whose process exits when it starts."""

    def __init__(self, *_):
        os._exit(1)


def test_a_node_that_does_not_see_the_folder_is_named(nodes, tmp_path):
    made = launcher(nodes, tmp_path, 1)
    made._shared.path.write_text("of another study")
    try:
        with pytest.raises(UserError, match=rf"launcher: node \S+ does not see {tmp_path}: the home must be on a path"):
            place(made, task(tmp_path))
    finally:
        made.close()


def test_a_node_without_the_folder_that_joins_later_is_excluded_with_a_warning(nodes, tmp_path, caplog):
    made, late = launcher(nodes, tmp_path, 3), None  # two fit on two nodes
    try:
        both_ready(made)
        made._shared.path.write_text("of another study")
        late = nodes.add_node(**NODE)
        deadline = time.monotonic() + LIMIT
        while not caplog.messages:
            assert made.messages(0.2) == []
            assert time.monotonic() < deadline
        for _ in range(40):
            made.messages(0.2)
        assert not made.ready(2)
        host = made._slots[0].info.host
        assert caplog.messages == [f"launcher: node {host} does not see {tmp_path}: no trial is trained there"]
        made._shared.path.write_text(made._shared.text)
        made._ray.kill(made._slots[0].actor)  # it was on a node that has the folder
        place(made, task(tmp_path), slot=2)
        assert len(drive(made)[0]) == 20
    finally:
        made.close()
        if late is not None:
            nodes.remove_node(late)


def test_without_ray_the_command_says_what_to_install(space_file, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "ray.py").write_text("raise ModuleNotFoundError")
    ran = hpsearch("run", space_file(), "--launcher", "ray", cwd=tmp_path, PYTHONPATH=str(tmp_path / "none"))
    assert (ran.returncode, ran.stderr) == (2, "error: launcher: ray needs Ray: pip install 'hpsearch[ray]'\n")


def test_a_marker_is_seen_only_with_its_text(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.launchers.ray.visibility.PATIENCE", 0.2)
    (tmp_path / "mark").write_text("this")
    assert SharedFolder(tmp_path / "mark", "this").seen()
    assert not SharedFolder(tmp_path / "mark", "that").seen()
    assert not SharedFolder(tmp_path / "none", "this").seen()


def test_workers_are_planned_by_what_nodes_have(nodes, tmp_path):
    def plan(workers="auto", **wanted):
        cluster = Cluster(RayWorkers(name="ray", address=nodes.address, **wanted), Resources(workers=workers))
        try:
            return len(cluster.plan(cache=tmp_path, base=tmp_path))
        finally:
            cluster.leave()

    assert (plan(), plan(num_cpus=0.5), plan(5)) == (2, 4, 5)
    with pytest.raises(UserError, match=r"no node of the Ray at .* has 1 CPUs and 1 GPUs for a worker; give a number"):
        plan(num_gpus=1)


def test_several_gpus_of_a_cluster_without_any_are_refused(nodes, tmp_path):
    cluster = Cluster(RayWorkers(name="ray", address=nodes.address), Resources(gpus_per_trial=2))
    try:
        with pytest.raises(
            UserError, match=r"gpus_per_trial: 2, but no node of the Ray at .* has a GPU; allowed here: 1"
        ):
            cluster.plan(cache=tmp_path, base=tmp_path)
    finally:
        cluster.leave()


def test_a_study_survives_a_node_that_leaves_and_returns(nodes, tmp_path):
    """Every trial ends under its number, its evaluations once each; no trial fails because of the node."""
    made = launcher(nodes, tmp_path)
    try:
        both_ready(made)
        wanted = experiment(
            "budget: {trials: 5}\nsearch: {pruner: none, overfitting: false, max_retries: 0}\n" + SLOWLY
        )
        study = opened(wanted, tmp_path / "study")
        seen, back = [], False
        for event in Search(study, made, checkpoints=tmp_path / "checkpoints").run():
            seen.append(event)
            if len(seen) == 12:
                nodes.remove_node(nodes.second, allow_graceful=False)
            if any(isinstance(h, Interrupted) for h in seen) and not back:
                nodes.second, back = nodes.add_node(**NODE), True
        study.journal.close()
    finally:
        made.close()
    paused = [h for h in seen if isinstance(h, Interrupted)]
    assert len(paused) == 1
    assert "is gone" in paused[0].reason
    assert sorted(h.trial.number for h in seen if isinstance(h, Finished)) == [0, 1, 2, 3, 4]
    again = [(h.trial.number, h.attempt) for h in seen if isinstance(h, Started) and h.attempt > 1]
    assert again == [(paused[0].trial.number, 2)]
    finished = [event for event in events(tmp_path / "study" / "journal.jsonl") if event["event"] == "trial_finished"]
    assert sorted(event["trial"] for event in finished) == [0, 1, 2, 3, 4]
    for trial in study.history.trials.values():
        assert trial.device == f"cpu@{socket.gethostname()}"  # names the memory that its workers share
        assert trial.outcome in ("completed", "diverged")
        assert list(trial.evaluations) == list(range(1, len(trial.evaluations) + 1))
        assert trial.deaths == set()


# -------------------------------------------------------------------------------------------------- as a user starts it


def test_a_command_joins_a_cluster_with_its_token(nodes, space_file, tmp_path):
    space = space_file("budget: {trials: 2}\nresources: {launcher: ray}\n" + TOY_TRAINER)
    ran = hpsearch("run", space, "--home", "runs", cwd=tmp_path, timeout=600, RAY_ADDRESS=nodes.address)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "workers: cpu (1 thread), cpu (1 thread)" in ran.stdout
    assert "(raylet)" not in ran.stdout
    assert TOKEN not in (tmp_path / "runs" / "space" / "journal.jsonl").read_text()


def test_a_wrong_token_is_one_line(nodes, space_file, tmp_path):
    space = space_file("budget: {trials: 2}\n")
    wrong = {"RAY_ADDRESS": nodes.address, "RAY_AUTH_TOKEN": "another-token"}
    ran = hpsearch("run", space, "--launcher", "ray", "--home", "runs", cwd=tmp_path, timeout=600, **wrong)
    assert ran.returncode == 2, ran.stderr
    assert "another-token" not in ran.stderr + ran.stdout
    assert ran.stderr.count("\n") == 1
    assert f"launcher: cannot join Ray at {nodes.address}: " in ran.stderr


def test_workers_end_with_a_killed_driver_and_the_study_resumes(nodes, space_file, tmp_path):
    space = space_file(
        "study: toy\nbudget: {trials: 3}\nresources: {launcher: {name: ray, num_cpus: 1}}\n"
        + SLOWLY
        + RANGES
        + TOY_TRAINER
    )
    journal = tmp_path / "runs" / "toy" / "journal.jsonl"
    command = started("run", space, "--home", "runs", cwd=tmp_path, RAY_ADDRESS=nodes.address)
    try:
        wait_for(lambda: events(journal, "trial_started"))
    finally:
        os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
    ran = hpsearch("run", space, "--home", "runs", cwd=tmp_path, timeout=600, RAY_ADDRESS=nodes.address)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(event["trial"] for event in events(journal, "trial_finished")) == [0, 1, 2]


def measured_by(journal):
    """Returns the workers with an evaluation."""
    measured = {event["trial"] for event in events(journal, "evaluation")}
    return {event["worker"] for event in events(journal, "trial_started") if event["trial"] in measured}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_all_trials_are_saved_when_every_process_of_the_machine_gets_a_signal(number, status, space_file, tmp_path):
    """As at the end of a job of Slurm or Kubernetes, or of a terminal: Ray's processes get the signal too."""
    space = space_file(
        "study: toy\nbudget: {trials: 9}\nresources: {launcher: ray, workers: 2}\n" + SLOWLY + RANGES + TOY_TRAINER
    )
    journal = tmp_path / "runs" / "toy" / "journal.jsonl"
    command = started("run", space, "--home", "runs", cwd=tmp_path)
    try:
        wait_for(lambda: len(measured_by(journal)) == 2)
        family = descendants(command.pid)
        for pid in [command.pid, *alive(family)]:
            os.kill(pid, number)
        out, _ = command.communicate(timeout=600)
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
            command.communicate()
    assert command.returncode == status
    assert "stopped; everything is saved" in out
    interrupted = {event["trial"]: event["reason"] for event in events(journal, "trial_interrupted")}
    ended = {event["trial"] for event in events(journal, "trial_finished")}
    assert interrupted.keys() | ended == {event["trial"] for event in events(journal, "trial_started")}
    assert interrupted
    assert set(interrupted.values()) == {"stopped; its checkpoint is saved"}
    for trial in interrupted:
        assert (tmp_path / "runs" / "toy" / "checkpoints" / f"{trial:04d}" / "last.pt").exists()
    wait_for(lambda: alive(family) == [])
