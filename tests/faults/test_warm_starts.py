"""F79: a study that learns from another one, killed at its start and resumed after the other study has gone on."""

import shutil

import pytest

from hpsearch import journal
from tests.faults.checker import check
from tests.faults.runs import facts, folder, history
from tests.faults.test_crash_points import RUN


@pytest.fixture(scope="module")
def begun(zygote, tmp_path_factory):
    """A folder with a study `old` of three trials, and the space of another one that learns from it."""
    cwd = folder(tmp_path_factory.mktemp("begun") / "run")
    shutil.copy(cwd / "space.yaml", cwd / "old.yaml")
    done = zygote.run(cwd, "run", "old.yaml", "--study", "old", "--home", "home", "--launcher", "inline")
    assert done.code == 0, done.said
    wider = (cwd / "space.yaml").read_text().replace("high: 1e-2", "high: 2e-2")
    (cwd / "space.yaml").write_text(wider.replace("search: {", "search: {warm_start: old, "))
    return cwd


@pytest.fixture(scope="module")
def undisturbed(zygote, begun, tmp_path_factory):
    """The trials of the second study when nothing disturbs it."""
    cwd = shutil.copytree(begun, tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    assert "inform the sampler" in done.said
    return facts(cwd)


@pytest.mark.parametrize("point", ["journal_synced:1", "study_warmed:1", "after_ask:2"])
def test_what_was_learnt_is_learnt_once(zygote, tmp_path, begun, undisturbed, point):
    """F79: killed before it is recorded, after it, or during the search; then the other study is gone, if it may be."""
    cwd = shutil.copytree(begun, tmp_path / "run")
    killed = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=point)
    assert killed.code == -9, killed.said
    if point != "journal_synced:1":
        shutil.rmtree(cwd / "home" / "old")
    done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="")
    assert done.code == 0, done.said
    assert facts(cwd) == undisturbed
    events = journal.read(cwd / "home" / "toy" / "journal.jsonl")
    assert [event["event"] for event in events].count("study_warmed") == 1
    assert len(history(cwd).warm["old"].trials) == 3
    assert not (found := check(cwd, said=killed.said + done.said, views=False)), found
