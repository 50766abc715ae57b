"""`hpsearch extend`: more of a budget, for a study that has ended and for one that is searched."""

import threading

import pytest

import hpsearch
from hpsearch import journal
from hpsearch.api.extend import extending
from hpsearch.events import Finished, Notice, Started
from hpsearch.home.home import Home
from hpsearch.home.listing import summary
from hpsearch.journal.history import History
from hpsearch.policies.budget.extension import NAME, TAKEN, Extension
from hpsearch.policies.budget.spending import allowed
from hpsearch.search.allowance import take_extension
from hpsearch.search.loop import Search
from hpsearch.space.budget import Budget
from tests.api.conftest import space, without_views  # noqa: F401
from tests.search.test_loop import QUIET, healthy, workers
from tests.searching import Scripted, experiment, go, opened, says

pytestmark = pytest.mark.usefixtures("without_views")


def extensions(path):
    return [event["limits"] for event in journal.read(path) if event["event"] == "budget_extended"]


def test_totals_wait_in_a_file_until_a_driver_has_recorded_them(tmp_path):
    extension = Extension(tmp_path)
    assert extension.waiting() == extension.take() == {}
    extension.ask({"trials": 9})
    extension.ask({"trials": 8, "hours": 2.5})
    assert extension.waiting() == {"trials": 9, "hours": 2.5}
    assert extension.take() == {"trials": 9, "hours": 2.5}
    extension.ask({"trials": 12})  # while the driver records the first
    assert extension.waiting() == {"trials": 12, "hours": 2.5}
    extension.done()
    assert extension.take() == extension.waiting() == {"trials": 12, "hours": 2.5}
    extension.done()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_driver_took_comes_before_what_was_asked_since(tmp_path):
    (tmp_path / TAKEN).write_text('{"trials": 9}')
    (tmp_path / NAME).write_text('{"hours": 2}')
    extension = Extension(tmp_path)
    assert extension.take() == {"trials": 9}
    extension.done()
    assert extension.take() == {"hours": 2}


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"trials": "many", "hours": -1, "money": NaN, "device_hours": true, "x": 1}']
)
def test_a_file_that_is_not_ours_asks_for_nothing(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    assert Extension(tmp_path).waiting() == Extension(tmp_path).take() == {}


def test_a_running_search_takes_a_larger_budget_without_a_restart(tmp_path):
    """It is asked while the last trial of the first budget is in training."""

    def script(task):
        if task.trial == 1:
            Extension(tmp_path / "home").ask({"trials": 4})
        return healthy(task)

    wanted = experiment("budget: {trials: 2}\n" + QUIET)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert study.history.finished == [0, 1, 2, 3]
    assert [event.line for event in seen if isinstance(event, Notice)] == ["the budget is extended: 4 trials"]
    assert extensions(study.journal.path) == [{"trials": 4}]
    assert go(wanted, tmp_path / "home")[1] == []  # the file still says 2, the journal knows better


def test_what_was_closed_for_the_confirmation_opens_again(tmp_path):
    def script(task):
        if task.trial == 0 and task.attempt == 1:
            yield from says(task, 3.0, 2.5, end=False)
            study.history.closed = True
            search._placement.end()
            Extension(tmp_path / "home").ask({"hours": 2.0})
        yield from says(task, 3.0, 2.5, 2.0)

    study = opened(experiment("budget: {hours: 1, trials: 3}\n" + QUIET), tmp_path / "home")
    search = Search(study, Scripted(workers(tmp_path, 1), script), checkpoints=tmp_path)
    seen = list(search.run())
    study.journal.close()
    assert sum(isinstance(event, Finished) for event in seen) == 3
    assert not search._placement.is_ending


def test_a_driver_killed_before_it_forgot_the_request_adds_nothing_twice(tmp_path, monkeypatch):
    """F79."""

    def killed(name):
        if name == "extension_recorded":
            raise KeyboardInterrupt

    wanted = experiment("budget: {trials: 2}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    Extension(tmp_path / "home").ask({"trials": 5})
    monkeypatch.setattr("hpsearch.search.study.failpoints.hit", killed)
    with pytest.raises(KeyboardInterrupt):
        take_extension(study)
    monkeypatch.undo()
    study.journal.close()
    assert (tmp_path / "home" / TAKEN).exists()
    study = opened(wanted, tmp_path / "home")
    assert study.history.room == 5
    assert not take_extension(study)
    assert study.history.room == 5
    assert extensions(study.journal.path) == [{"trials": 5}]
    assert not (tmp_path / "home" / TAKEN).exists()
    study.journal.close()


@pytest.fixture
def run(space, tmp_path):  # noqa: F811
    """Runs the toy study in this process."""
    (tmp_path / "space.yaml").write_text("")

    def call(**options):
        wanted = {**space, "resources": {"launcher": "inline"}, **options.pop("space", {})}
        return hpsearch.run(wanted, **{"home": tmp_path / "home", "base": tmp_path, "progress": False, **options})

    return call


def test_a_finished_study_goes_on_with_what_is_added_to_it(run, tmp_path):
    run(trials=2)
    found = hpsearch.extend("toy", trials=2, home=tmp_path / "home", progress=False)
    assert len(found.trials) == 4
    assert 0 < found.device_hours == pytest.approx(found.history.device_seconds / 3600)
    assert len(run(trials=3).trials) == 4  # what was added stays
    assert len(run(trials=5).trials) == 5
    assert len(hpsearch.extend("toy", trials=1, home=tmp_path / "home", progress=False).trials) == 6


def test_an_amount_is_added_to_what_the_latest_run_was_allowed_not_to_the_file(run, tmp_path):
    run(space={"budget": {"trials": 12, "hours": 1}}, trials=2)
    for trials in (3, 4):
        found = hpsearch.extend("toy", trials=1, home=tmp_path / "home", progress=False)
        assert len(found.trials) == trials
    extending("toy", Home(tmp_path / "home"), trials=1, hours=0.5)
    assert Extension(tmp_path / "home" / "toy").waiting() == {"trials": 5, "hours": 1.5}


def test_a_confirmation_does_not_change_what_a_study_is_allowed(run, tmp_path):
    run(space={"budget": {"trials": 12}}, trials=2)
    hpsearch.confirm("toy", top=1, seeds=1, home=tmp_path / "home", progress=False)
    found = summary(Home(tmp_path / "home"), "toy")
    assert (found.done, found.total) == (2, 2)
    assert len(hpsearch.extend("toy", trials=1, home=tmp_path / "home", progress=False).trials) == 3


def test_limits_that_the_file_has_got_since_the_latest_run_hold_too():
    history = History(allowed={"trials": 2, "money": 5.0, "price_per_hour": 2.0})
    assert allowed(Budget(trials=12, hours=3), history) == Budget(trials=2, hours=3, money=5, price_per_hour=2)
    assert allowed(Budget(trials=12, price_per_hour=4), history) == Budget(trials=2, money=5, price_per_hour=4)
    assert allowed(Budget(trials=12), History()) == Budget(trials=12)  # of an older version


def test_a_study_that_another_process_searches_takes_it_there(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_STEP", "0.004")
    began, found = threading.Event(), []

    def show(event):
        if isinstance(event, Started):
            began.set()

    thread = threading.Thread(
        target=lambda: found.append(run(space={"budget": {"trials": 12}}, trials=1, progress=show))
    )
    thread.start()
    assert began.wait(120)
    study = hpsearch.extend("toy", trials=1, home=tmp_path / "home", progress=False)
    assert study.is_running
    thread.join(120)
    assert len(found[0].trials) == 2


def test_what_cannot_be_extended_is_one_line(run, tmp_path):
    run(space={"budget": {"trials": 2, "hours": 1}})
    refused = {
        "has no limit of money to extend; its budget: 2 trials, 1 h": {"money": 3},
        "has spent 2 of 2 trials: extend that as well": {"hours": 1.0},
        "has spent 2 of 2 trials: extend that with an amount of each": {},
        "trials: 0 is not allowed; allowed: a whole number from 1 to 1,000,000": {"trials": 0},
        "trials: 1000001 is not allowed; allowed: a whole number from 1 to 1,000,000": {"trials": 1_000_001},
        "study 'toy' would have 1,000,002 trials; allowed: at most 1,000,000": {"trials": 1_000_000},
        "hours: inf is not allowed; allowed: a finite number above 0": {"hours": float("inf")},
    }
    for said, more in refused.items():
        with pytest.raises(hpsearch.UserError, match=said):
            hpsearch.extend("toy", home=tmp_path / "home", **more)
    with pytest.raises(hpsearch.UserError, match="no study 'other'"):
        hpsearch.extend("other", home=tmp_path / "home", trials=1)
    assert not (tmp_path / "home" / "toy" / NAME).exists()


def test_the_command_says_what_it_does(run, call, tmp_path):
    run(trials=1)
    code, out, err = call("extend", "toy", "--trials", "1", "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    assert "study toy in " in out
    assert "spent so far: 1 of 2 trials" in out
    assert f"spent: 2 of 2 trials; to add as much again: hpsearch extend toy --home {tmp_path}/home --trials 2" in out
    code, _, err = call("extend", "toy", "--hours", "1", "--home", tmp_path / "home")
    assert (code, err) == (2, "error: study 'toy' has no limit of hours to extend; its budget: 2 trials\n")
    assert call("extend", "toy", "--device-hours", "nan", "--home", tmp_path / "home")[0] == 2
