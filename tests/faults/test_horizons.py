"""F81: a search over horizons, killed at every pass of named points, and resumed."""

import pytest

from tests.faults.checker import check
from tests.faults.runs import facts, folder, history

RUN = ("run", "space.yaml", "--home", "home", "--launcher", "inline")
POINTS = ["after_ask:3", "after_ask:6", "report_done:9", "tell_begun:4", "tell_done:6", "journal_written:30"]


def study(path):
    """A folder with a small study that tries six configs at horizons."""
    cwd = folder(path, trials=6)
    text = (cwd / "space.yaml").read_text()
    pruner = "pruner: {name: successive_halving, min_resource: 1}"
    assert pruner in text
    (cwd / "space.yaml").write_text(text.replace(pruner, "shift: true, sampler: curves"))
    return cwd


def told(cwd):
    """All that matters of its trials."""
    return facts(cwd), [(t.horizon, t.of, t.config) for t in history(cwd).trials.values()]


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The same study when nothing disturbs it."""
    cwd = study(tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN)
    assert done.code == 0, done.said
    horizons = [round(1 / trial.horizon) for trial in history(cwd).trials.values()]
    assert horizons.count(1) >= 2
    assert len(set(horizons)) == 3
    return told(cwd)


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, point):
    """F81: no training is lost or doubled, and each config is trained on at the same horizon."""
    cwd = study(tmp_path / "run")
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    first = zygote.run(cwd, *RUN, HPSEARCH_FAILPOINT=point, **environment)
    assert first.code == -9, first.said
    again = zygote.run(cwd, *RUN, HPSEARCH_FAILPOINT="", **environment)
    assert again.code == 0, again.said
    assert told(cwd) == undisturbed
    assert not (found := check(cwd, said=first.said + again.said, views=False)), found
