"""Events as JSON: what docs/events.md promises, for the events of real searches and trainings."""

import io
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from hpsearch import events
from hpsearch.contract import Evaluation
from hpsearch.displays import json_lines
from hpsearch.displays.json_lines import JsonLines
from hpsearch.events import Finished, Measured, Notice, Searched, SearchPaused, Started, Trained
from hpsearch.journal.history import History
from hpsearch.outcome import Outcome
from tests.searching import evaluation, experiment, go, opened

DOCS = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
DOCUMENTED = set(re.findall(r"`([a-z_]+)`", DOCS))


def refused(name):
    raise AssertionError(f"{name} is no JSON")


def written(*shown):
    out = io.StringIO()
    lines = JsonLines(out)
    for event in shown:
        lines.show(event)
    return [json.loads(line, parse_constant=refused) for line in out.getvalue().splitlines()]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A study of three trials, and all events of its search."""
    folder = tmp_path_factory.mktemp("searched") / "toy"
    study, seen = go(experiment("budget: {trials: 3}\nsearch: {pruner: none}\n"), folder)
    return study, seen


def test_every_event_of_hpsearch_has_an_object():
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__}
    assert kinds == set(json_lines._DESCRIBED)


def test_every_key_of_a_real_search_is_documented(searched):
    study, seen = searched
    history = study.history
    found = written(
        events.Watched(history, Path("home/toy"), "running"), *seen, Searched(history, stopped=False, idle=False)
    )
    assert {one["event"] for one in found} >= {"watched", "started", "measured", "finished", "searched"}
    for one in found:
        assert {"event", "time"} <= set(one)
        assert one["event"] in DOCUMENTED
        assert set(one) <= DOCUMENTED | {"event", "time"}, set(one) - DOCUMENTED


def test_a_trial_is_named_with_what_it_measured(searched):
    study, seen = searched
    first = study.history.trials[0]
    started, measured = (next(e for e in seen if isinstance(e, kind)) for kind in (Started, Measured))
    found = written(events.Watched(study.history, Path(), "running"), started, measured, Finished(first, 0))
    assert [one["trial"] for one in found[1:]] == [0, 0, 0]
    assert found[1]["params"] == first.trained_params
    assert found[1]["sampled_params"] == first.params
    assert found[2]["value"] == found[2]["metrics"]["val/loss"] == first.evaluations[1].metrics["val/loss"]
    assert (found[3]["outcome"], found[3]["value"]) == (str(first.outcome), first.value)
    assert found[3]["best_evaluation"]["index"] == first.best.index


def test_the_result_has_the_best_and_the_default_trial(searched):
    history = searched[0].history
    [found] = written(Searched(history, stopped=True, idle=False))
    best = history.best()
    assert (found["best"]["trial"], found["best"]["value"]) == (best.number, best.value)
    assert found["default"]["trial"] == 0
    assert sum(found["outcomes"].values()) == 3
    assert found["stopped"] is True


def test_numbers_that_are_not_finite_are_null_and_text_is_one_line(tmp_path):
    study = opened(experiment("budget: {trials: 3}\n"), tmp_path / "toy")
    trial = study.history.trials.setdefault(0, type(searched_trial())(0, params={"优化器": "a\nb\x1b[31m"}))
    bad = Measured(trial, 0, evaluation(1, float("nan"), extra=float("inf"), less=float("-inf")))
    first = events.Watched(study.history, tmp_path, "running")
    _, found = written(first, bad)
    assert found["value"] is None
    assert (found["metrics"]["extra"], found["metrics"]["less"]) == (None, None)
    assert found["params"] == {"优化器": "a\nb\x1b[31m"}
    study.journal.close()


def searched_trial():
    from hpsearch.journal.trial_history import TrialHistory

    return TrialHistory(0, outcome=Outcome.COMPLETED)


def test_warnings_are_notices_of_a_level_without_secrets():
    found = written(Notice("warning: postgresql://me:hidden@host/db is gone"), Notice("stopping"))
    assert [(one["level"], one["event"]) for one in found] == [("warning", "notice"), ("info", "notice")]
    assert found[0]["message"].startswith("postgresql://")
    assert "hidden" not in found[0]["message"]


def test_a_study_without_a_value_has_no_best():
    history = History(study="new")
    found = written(Searched(history, stopped=False, idle=True), SearchPaused(history))
    assert found[0]["best"] is None
    assert found[1] == {"event": "search_paused", "study": "new", "time": found[1]["time"]}


def test_an_evaluation_of_a_training_has_the_documented_keys():
    [found] = written(Trained(evaluation(3, 2.0), "val/loss", 0.15))
    assert set(found) <= DOCUMENTED | {"event", "time"}
    assert found["share"] == 0.15
    known = {field.name for field in fields(Evaluation)}
    assert {"index", "step", "tokens", "epoch", "progress", "seconds", "metrics"} <= known & set(found)
