"""F78: enqueued configs, the driver and the command killed at every pass of every named point, and resumed."""

import shutil

import pytest

import hpsearch
from tests.faults.checker import check, killed_and_resumed
from tests.faults.runs import facts, folder, history
from tests.faults.test_crash_points import OF_REQUESTS, RUN

WANTED = ({"learning_rate": 2e-3}, {"learning_rate": 4e-3, "epochs": 3.5})


@pytest.fixture(scope="module")
def begun(zygote, tmp_path_factory):
    """A study with one trial and two configs in its queue."""
    cwd = folder(tmp_path_factory.mktemp("begun") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline", "--trials", "1", TOY_HISTORY=str(cwd / "acknowledged.jsonl"))
    assert done.code == 0, done.said
    for params in WANTED:
        hpsearch.enqueue("toy", params, home=cwd / "home")
    return cwd


@pytest.fixture(scope="module")
def undisturbed(zygote, begun, tmp_path_factory):
    """The trials of the same study when nothing disturbs it."""
    cwd = shutil.copytree(begun, tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    assert [trial.label for trial in history(cwd).trials.values()] == ["default", "enqueued", "enqueued"]
    return facts(cwd)


@pytest.mark.parametrize("point", [*sorted(OF_REQUESTS - {"request_written"}), "after_ask"])
def test_a_driver_killed_at_a_point_tries_each_config_once(zygote, tmp_path, begun, undisturbed, point):
    """F78: killed at the k-th pass and resumed; k rises until a run ends without a crash."""
    crashes = 0
    copies = ((k, shutil.copytree(begun, tmp_path / str(k))) for k in range(1, 500))
    for cwd in killed_and_resumed(zygote, copies, point):
        assert facts(cwd) == undisturbed
        assert len(history(cwd).requests) == 2
        crashes += 1
    assert crashes > 0


def test_a_command_killed_before_it_has_answered_enqueues_once(zygote, tmp_path):
    """F78: what it has written is whole; the same command again says that it is enqueued already."""
    cwd, command = folder(tmp_path / "run"), ("enqueue", "toy", "learning_rate=2e-3", "--home", "home")
    assert zygote.run(cwd, *RUN, "--launcher", "inline", "--trials", "1").code == 0
    assert zygote.run(cwd, *command, HPSEARCH_FAILPOINT="request_written:1").code == -9
    again = zygote.run(cwd, *command, HPSEARCH_FAILPOINT="")
    assert (again.code, again.said.splitlines()) == (2, ["error: study 'toy': this config is enqueued already"])
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    assert [trial.label for trial in history(cwd).trials.values()] == ["default", "enqueued", ""]
    assert not (found := check(cwd, said=done.said, views=False)), found
