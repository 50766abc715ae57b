"""`hpsearch pause` and `hpsearch resume` of a search that runs, with two workers."""

import signal
import time

import pytest

import hpsearch
from hpsearch.errors import HpsearchError, UserError
from hpsearch.journal.pause_file import PauseFile
from hpsearch.search.loop import Search
from hpsearch.search.study import read_history
from tests import blank
from tests.cli.folders import small
from tests.cli.processes import alive, descendants, end, events, started, wait_for
from tests.faults.nemesis import is_worker
from tests.searching import experiment, inline, opened


@pytest.fixture
def folder(tmp_path):
    blank.home(tmp_path / "home")
    return small(tmp_path, "held", trials=4)


def workers(pid):
    return [child for child in descendants(pid) if is_worker(child)]


def test_a_paused_search_frees_its_devices_and_goes_on_where_it_was(folder, call):
    home, journal = folder / "home", folder / "home" / "held" / "journal.jsonl"
    arguments = ("run", "space.yaml", "--home", "home", "--workers", "2")
    process = started(*arguments, cwd=folder, TOY_STEP="0.1")
    try:
        wait_for(lambda: len(events(journal, "evaluation")) >= 3)
        code, out, _ = call("pause", "held", "--home", home)
        assert (code, out) == (0, f"study 'held' is paused; hpsearch resume held --home {home} resumes it\n")
        assert workers(process.pid) == []
        held = {event["trial"] for event in events(journal, "trial_interrupted")}
        assert held
        before = len(events(journal, "evaluation"))
        assert call("pause", "held", "--home", home)[1].startswith("study 'held' is paused already")
        assert "held: paused, val/loss, minimize" in call("show", "held", "--home", home)[1]
        assert len(events(journal, "evaluation")) == before
        assert call("resume", "held", "--home", home)[:2] == (0, "study 'held' goes on\n")
        wait_for(lambda: len(events(journal, "evaluation")) > before)
        again = [event for event in events(journal, "trial_started") if event["attempt"] == 2]
        assert {event["trial"] for event in again} <= held
        assert call("resume", "held", "--home", home)[:2] == (0, "study 'held' is not paused\n")

        # A kill ends a pause: the next run searches.
        assert hpsearch.pause("held", home=home)
        end(process, signal.SIGKILL)
        wait_for(lambda: not alive(descendants(process.pid)))
        with pytest.raises(HpsearchError, match=r"is not running \(interrupted\); hpsearch run resumes it"):
            hpsearch.pause("held", home=home)
        process = started(*arguments, cwd=folder, TOY_STEP="0")
        wait_for(lambda: len(events(journal, "trial_finished")) >= 1)
        end(process, signal.SIGINT)
    finally:
        end(process)
    assert not (folder / "home" / "held" / "pause.json").exists()


def test_a_study_that_does_not_exist_cannot_be_paused(tmp_path):
    for command in (hpsearch.pause, hpsearch.resume):
        with pytest.raises(UserError, match="no study 'nothing'"):
            command("nothing", home=tmp_path)


# ------------------------------------------------------------------------------------------------------ in this process


class Held:
    """A search that is driven event by event, and may be paused between two of them."""

    def __init__(self, folder, *, body="budget: {trials: 3}\nsearch: {pruner: none, overfitting: false}\n"):
        self.study, self.file = opened(experiment(body), folder), PauseFile(folder)
        self.search = Search(self.study, inline(folder), checkpoints=folder / "checkpoints", pause=self.file)
        self.study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
        self.stop = False
        self.events = self.search.run(lambda: self.stop)

    def until(self, name):
        """Goes on to the next event of this name; returns the names up to it."""
        seen = []
        for event in self.events:
            seen.append(type(event).__name__)
            if seen[-1] == name:
                break
        return seen

    def close(self):
        self.events.close()
        self.study.journal.close()


@pytest.fixture
def held(tmp_path):
    made = Held(tmp_path / "toy")
    yield made
    made.close()


def test_a_pause_interrupts_what_trains_and_starts_nothing(held):
    held.until("Measured")
    held.file.ask()
    seen = held.until("SearchPaused")
    assert "Started" not in seen
    assert seen[-2:] == ["Interrupted", "SearchPaused"]
    history = held.study.history
    assert history.on_hold
    assert history.trials[0].reason.startswith("the search is paused; ")
    assert not any(trial.running for trial in history.trials.values())
    held.file.withdraw()
    seen = held.until("Finished")
    assert seen[:2] == ["SearchResumed", "Started"]
    assert not history.on_hold
    assert history.trials[0].attempt == 2
    assert history.trials[0].outcome == "completed"


def test_time_in_a_pause_counts_against_no_limit(held):
    held.until("Measured")
    held.file.ask()
    held.until("SearchPaused")
    spent, left = held.study.history.seconds, held.search._allowance.left().seconds
    time.sleep(0.3)
    held.study.record("config_enqueued", id="x", params={}, internal=None)  # what happens in a pause
    assert held.study.history.seconds == spent
    assert held.search._allowance.left().seconds == left
    held.file.withdraw()
    held.until("SearchResumed")
    assert held.study.history.seconds - spent < 0.3
    assert read_history(held.study.journal.path.parent).seconds == pytest.approx(held.study.history.seconds)


def test_a_stop_in_a_pause_ends_the_search_and_the_next_run_resumes(held, tmp_path):
    held.until("Measured")
    held.file.ask()
    held.until("SearchPaused")
    held.stop = True
    assert held.until("nothing") == ["Notice"]
    held.study.record("driver_stopped", reason="interrupted")
    history = held.study.history
    assert not history.on_hold
    assert history.trials[0].outcome is None
    assert not history.trials[0].paused


def test_a_pause_that_is_taken_back_before_it_began_leaves_no_trace(held):
    held.until("Measured")
    held.file.ask()
    held.until("Notice")
    held.file.withdraw()
    seen = held.until("Finished")
    assert "SearchPaused" not in seen
    assert "SearchResumed" not in seen
    assert held.study.history.trials[0].outcome == "completed"
