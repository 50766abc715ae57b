"""F77, the same of an audit: killed at points around it and resumed, it trains the same trials to the same ends."""

import shutil

import pytest

from tests.faults.runs import facts, folder, history, values

AUDIT = ("audit", "toy", "--home", "home", "--trials", "3", "--workers", "1")


def audits(cwd):
    """All that matters of the audits."""
    found = history(cwd).audits
    return [(n, one.number, one.config, one.outcome, one.value, values(one), one.audits) for n, one in found.items()]


@pytest.fixture(scope="module")
def searched(zygote, tmp_path_factory):
    """A study with pruned trials."""
    cwd = folder(tmp_path_factory.mktemp("audited") / "run", trials=8)
    done = zygote.run(cwd, "run", "space.yaml", "--home", "home", "--launcher", "inline")
    assert done.code == 0, done.said
    assert sum(trial.outcome == "pruned" for trial in history(cwd).trials.values()) >= 3
    return cwd


def copied(searched, path):
    shutil.copytree(searched, path)
    return path


@pytest.fixture(scope="module")
def undisturbed(zygote, searched, tmp_path_factory):
    cwd = copied(searched, tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *AUDIT)
    assert done.code == 0, done.said
    assert len(audits(cwd)) == 3
    assert facts(cwd) == facts(searched)
    return audits(cwd)


@pytest.mark.parametrize("point", ["repeat_begun:2", "repeat_recorded:1", "report_done:9", "tell_done:3"])
def test_an_audit_that_was_killed_is_resumed_by_the_same_command(zygote, searched, undisturbed, tmp_path, point):
    cwd = copied(searched, tmp_path / "run")
    killed = zygote.run(cwd, *AUDIT, HPSEARCH_FAILPOINT=point)
    assert killed.code == -9, killed.said
    resumed = zygote.run(cwd, "run", "space.yaml", "--home", "home", "--launcher", "inline", HPSEARCH_FAILPOINT="")
    assert resumed.code == 0, resumed.said  # a search in between trains no audit
    again = zygote.run(cwd, *AUDIT, HPSEARCH_FAILPOINT="")
    assert again.code == 0, again.said
    assert audits(cwd) == undisturbed
    assert facts(cwd) == facts(searched)
    assert "audit: 3 of the " in again.said
