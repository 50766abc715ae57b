"""`hpsearch watch` beside a search whose journal this process writes, as a driver would, with the study's lock."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import pytest

import hpsearch
from hpsearch import journal
from hpsearch.cli.terminal import WatchTerminal
from hpsearch.displays.live.following import Follower, State, follow
from hpsearch.events import Left, Notice, Watched
from hpsearch.home.home import Home
from hpsearch.journal.history import History
from hpsearch.journal.study_lock import StudyLock
from hpsearch.outcome import Outcome
from tests.cli.processes import PROGRAM, environment, started
from tests.cli.screens import Screen
from tests.searching import ask, evaluation, experiment, opened

BODY = "budget: {trials: 4}\nsearch: {pruner: none, overfitting: false, confirm: false}\n"


class Driver:
    """A study that this process searches; `folder` is its home."""

    def __init__(self, home):
        self.home = home
        home.mkdir(exist_ok=True)
        self.folder = home / "toy"
        self.folder.mkdir(exist_ok=True)
        self.lock = StudyLock(self.folder / "lock", what="study 'toy'")
        self.study = opened(experiment(BODY), self.folder)
        self.start()

    def start(self):
        self.study.record("driver_started", pid=os.getpid(), host=journal_host(), workers=2, budget={"trials": 4})

    def trial(self, *losses, outcome=None):
        """Asks for a trial, trains it through some losses, and ends it with an outcome; returns its number."""
        number = ask(self.study)
        self.study.start(number, device="cpu", threads=1, worker=number % 2)
        for index, loss in enumerate(losses, start=1):
            self.measure(number, index, loss)
        if outcome is not None:
            self.study.finish(number, outcome)
        return number

    def measure(self, number, index, loss):
        self.study.report(number, evaluation(index, loss))

    def stop(self, reason="finished"):
        """Records the end, and lets go of the study."""
        self.study.record("driver_stopped", reason=reason)
        self.kill()

    def kill(self):
        """Lets go of the study without a word."""
        self.study.journal.close()
        self.lock.release()


def journal_host():
    from hpsearch.system.process import hostname

    return hostname()


@pytest.fixture
def driver(tmp_path):
    made = Driver(tmp_path / "home")
    yield made
    for end in (made.study.journal.close, made.lock.release):
        with contextlib.suppress(OSError):  # the test has ended it
            end()


def watch(driver, *more, **extra):
    return Screen("watch", "toy", "--home", "home", *more, cwd=driver.home.parent, **extra)


def test_the_view_follows_the_search_and_ends_with_it(driver):
    driver.trial(3.0, 2.5, outcome=Outcome.COMPLETED)
    one = driver.trial(3.0, 2.8, 2.6)
    with watch(driver) as screen:
        text = screen.until(lambda text: re.search(r"^trial 1 .* 15% 2.6000 ", text, re.MULTILINE))
        assert text.splitlines()[0] == "study toy in home/toy: running, minimize val/loss"
        assert re.search(r"^toy  [━╸─]+  1 of 4 trials  29%", text, re.MULTILINE)  # 1 and 3 of 20 parts, of 4
        assert "1 completed · 1 running" in text
        driver.measure(one, 4, 2.2)
        text = screen.until(lambda text: re.search(r"^trial 1 .* 20% 2.2000 █▆▅▁ ", text, re.MULTILINE))
        assert (
            "best val/loss 2.2000  trial 1, 0.3 better than the default" in text
            or "best val/loss 2.2000  trial 1" in text
        )
        driver.study.record("search_paused")
        screen.until(lambda text: "toy paused" in text)
        assert "the search is paused; `hpsearch resume toy --home home` resumes it" in screen.text
        driver.study.record("search_resumed")
        screen.until(lambda text: "the search goes on" in text)
        driver.study.finish(one, Outcome.OVERFIT)
        screen.until(lambda text: re.search(r"^trial 1 overfit  2.2000 best", text, re.MULTILINE))
        driver.stop()
        assert screen.end() == 0
        said = screen.everything
    assert "toy: 1 completed, 1 overfit" in said
    assert re.search(
        r"study toy has finished( \(spent: .*\))?; more of it: hpsearch extend toy --home home --trials ", said
    )


def test_ctrl_c_ends_the_view_and_leaves_the_search_alone(driver):
    driver.trial(3.0)
    before = driver.folder.joinpath("journal.jsonl").read_bytes()
    files = sorted(driver.folder.iterdir())
    with watch(driver) as screen:
        screen.until(lambda text: re.search(r"^trial 0 .* 5% ", text, re.MULTILINE))
        screen.process.sendintr()
        assert screen.end() == 130
        assert "the search goes on; hpsearch watch toy --home home shows it again" in screen.everything
    assert driver.folder.joinpath("journal.jsonl").read_bytes() == before
    assert sorted(driver.folder.iterdir()) == files


def test_in_the_locale_c_the_view_is_ascii(driver):
    driver.trial(3.0, 2.5, 2.0)
    with watch(driver, LANG="C", LC_ALL="") as screen:
        text = screen.until(lambda text: re.search(r"^trial 0 #.* 15% ", text, re.MULTILINE))
    assert text.isascii()
    assert re.search(r"^trial 0 ##\.+ +15% 2.0000 \^-_ +\d:\d\d ", text, re.MULTILINE)


def test_no_color_leaves_the_view_without_colours(driver):
    driver.trial(3.0, 2.5, outcome=Outcome.COMPLETED)
    driver.trial(3.0)
    with watch(driver, NO_COLOR="1") as screen:
        screen.until(lambda text: re.search(r"^trial 1 .* 5% ", text, re.MULTILINE))
        codes = re.findall(r"\x1b\[([\d;]*)m", screen.raw.decode())
    assert not [code for one in codes for code in one.split(";") if code and int(code) >= 30]


@pytest.mark.parametrize("extra", [{}, {"TERM": "dumb"}])
def test_without_a_terminal_that_redraws_there_are_lines(driver, extra):
    driver.trial(3.0, 2.5, outcome=Outcome.COMPLETED)
    one = driver.trial(3.0)
    with watch(driver, **extra) if extra else piped(driver) as screen:
        screen.until(lambda text: "study toy in home/toy: running" in text)
        driver.study.finish(one, Outcome.COMPLETED)
        driver.trial(2.9)
        screen.until(lambda text: re.search(r"^trial 2  learning_rate", text, re.MULTILINE))
        driver.stop("interrupted")
        assert screen.end() == 0
        said = screen.everything
        assert b"\x1b" not in screen.raw
    assert "trial 1 finished: completed val/loss 3.0000" in said
    assert "study toy was stopped; it resumes with: hpsearch extend toy --home home" in said


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reason", [None, "finished", "interrupted", "failed", "a reason of another version"])
def test_every_state_in_which_a_study_is_left_is_said(state, reason, tmp_path, capsys):
    history = History(study="toy", metric="val/loss", direction="minimize", stopped=reason)
    terminal = WatchTerminal(Home(tmp_path), "toy")
    for event in (Watched, Left):
        terminal.show(event(history, tmp_path, str(state)))
    terminal.screen.clear()
    last = " ".join(capsys.readouterr().out.split()).partition("study toy ")[2].partition("study toy ")[2]
    goes_on = "is searched again" if state is not State.ELSEWHERE else "is searched on another machine"
    begins = {
        State.FINISHED: "has finished;",
        State.STOPPED: "was stopped;",
        State.FAILED: "ended with an error;",
        State.INTERRUPTED: "is not running: ",
        State.FINISHING: {"finished": "has finished (", "failed": "ended with an error ("}.get(reason, "was stopped ("),
    }
    assert last.startswith(begins.get(state, goes_on)), last
    assert f"hpsearch {'watch' if state.goes_on else 'extend'} toy --home" in last


def test_a_view_that_comes_while_the_driver_writes_what_comes_last_ends_with_the_result(driver, call):
    driver.trial(3.0, 2.5, outcome=Outcome.COMPLETED)
    driver.study.record("driver_stopped", reason="finished")  # the lock is held on
    code, out, err = call("watch", "toy", "--home", driver.home)
    assert (code, err) == (0, "")
    assert "study toy has finished (its process still writes what comes last); more of it: hpsearch extend toy" in out


def test_a_study_that_starts_is_waited_for(tmp_path, call):
    (tmp_path / "home" / "toy").mkdir(parents=True)
    lock = StudyLock(tmp_path / "home" / "toy" / "lock", what="study 'toy'")
    code, _, err = call("show", "toy", "--home", tmp_path / "home")
    assert (code, err.count("\n")) == (2, 1)
    assert "starts: its driver prepares the data, it has no trial yet; hpsearch watch toy --home" in err
    seen = []

    def show(event):
        seen.append(event)
        if len(seen) == 3:  # it has looked twice
            lock.release()
            Driver(tmp_path / "home").stop()

    hpsearch.watch("toy", home=tmp_path / "home", progress=show)
    assert seen[0] == Notice("study toy starts: its driver prepares the data")
    assert names(seen) == ["Notice", "Preparing", "Preparing", "Watched", "Left"]


def test_a_run_that_has_not_come_up_is_waited_for(tmp_path):
    seen = []

    def show(event):
        seen.append(event)
        if len(seen) == 3:
            Driver(tmp_path / "home").stop()

    hpsearch.watch("toy", home=tmp_path / "home", progress=show)
    assert seen[0] == Notice(f"no study toy in {tmp_path}/home yet; waiting 30 s for its run to come up")
    assert names(seen)[-2:] == ["Watched", "Left"]


def test_a_run_that_never_comes_up_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.api.watch.PATIENCE", 0.0)
    with pytest.raises(hpsearch.UserError, match=r"no study 'toy' in .*it has no study yet"):
        hpsearch.watch("toy", home=tmp_path / "home", progress=False)


def test_a_study_whose_driver_ends_before_its_first_trial_is_one_line(tmp_path):
    (tmp_path / "home" / "toy").mkdir(parents=True)
    lock = StudyLock(tmp_path / "home" / "toy" / "lock", what="study 'toy'")
    seen = []

    def show(event):
        if not seen:
            lock.release()
        seen.append(event)

    with pytest.raises(hpsearch.UserError, match=r"no study 'toy' in .*it has no study yet"):
        hpsearch.watch("toy", home=tmp_path / "home", progress=show)
    assert names(seen) == ["Notice", "Preparing"]


class piped:  # noqa: N801 - used like `watch`
    """`watch` with its output in a pipe."""

    def __init__(self, driver):
        self.process = started("watch", "toy", "--home", "home", cwd=driver.home.parent)
        self.raw = b""

    def __enter__(self):
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    @property
    def everything(self):
        return self.raw.decode()

    def feed(self):
        try:
            self.raw += os.read(self.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)

    def until(self, condition):
        while not condition(self.everything):
            self.feed()
            assert self.process.poll() is None or condition(self.everything), self.everything

    def end(self):
        while self.process.poll() is None:
            self.feed()
        self.feed()
        return self.process.returncode


def objects(driver, *arguments):
    done = subprocess.run(
        [*PROGRAM, "watch", *arguments, "--home", "home", "--json"],
        cwd=driver.home.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, [json.loads(line, parse_constant=refused) for line in done.stdout.splitlines()], done.stderr


def refused(name):
    raise AssertionError(f"{name} is no JSON")


def test_json_has_the_state_and_the_result_of_a_search_that_has_ended(driver):
    driver.trial(3.0, float("nan"), 2.5, outcome=Outcome.COMPLETED)
    driver.stop("failed")
    code, found, _ = objects(driver, "toy")
    assert code == 0
    assert [one["event"] for one in found] == ["watched", "left", "result"]
    assert found[1]["state"] == "failed"
    best = found[-1]["best"]
    assert (best["trial"], best["value"], best["outcome"]) == (0, 2.5, "completed")
    assert found[-1]["outcomes"] == {"completed": 1}
    assert found[-1]["exit_code"] == 0
    assert found[-1]["files"]["journal"] == "home/toy/journal.jsonl"


def test_a_study_that_does_not_exist_is_one_clear_line(driver):
    code, found, err = objects(driver, "tox")
    assert code == 2
    assert err == "error: no study 'tox' in home; did you mean toy?\n"
    [error] = found
    assert (error["event"], error["exit_code"], error["kind"]) == ("error", 2, "UserError")
    assert error["message"] == "no study 'tox' in home; did you mean toy?"


def test_a_dead_driver_is_said_with_the_command_that_resumes(driver, call):
    driver.trial(3.0, 2.5)
    driver.kill()
    code, out, _ = call("watch", "toy", "--home", driver.home)
    assert code == 0
    assert "study toy is not running: the process that searched it is gone; it resumes with: hpsearch extend toy" in out
    code, out, _ = call("watch", "toy", "--home", driver.home, "--quiet")
    assert (code, out) == (0, "")


# ------------------------------------------------------------------------------------------------------ its events


def seen(driver, turns):
    """The names of the events while this driver does something in each turn, up to the end."""
    acts = iter(turns)

    def wait(seconds):
        next(acts)()

    return list(follow(driver.folder, stopping=lambda: False, wait=wait))


def names(events):
    return [type(event).__name__ for event in events]


def test_what_happens_becomes_the_events_of_a_run(driver):
    found = seen(
        driver,
        [
            lambda: driver.trial(3.0, 2.5),
            lambda: driver.study.interrupt(0, "stopped; its checkpoint is saved"),
            lambda: driver.study.record("search_paused"),
            lambda: driver.study.record("search_resumed"),
            lambda: driver.study.extend({"trials": 9.0}),
            lambda: driver.study.start(0, device="cpu", threads=1, worker=0),
            lambda: driver.measure(0, 2, 2.5),  # the journal has it
            lambda: driver.study.pause(0, "for now", saved=True),
            lambda: driver.stop(),
        ],
    )
    assert names(found) == [
        "Watched",
        *["Started", "Measured", "Measured", "Interrupted"],
        *["SearchPaused", "SearchResumed", "Notice", "Started", "Paused", "Left"],
    ]
    assert found[4].saved
    assert found[7].line == "the budget is extended: trials 9"
    assert found[-1].state == "finished"
    assert found[-1].history.trials[0].paused


def test_a_line_that_is_being_written_is_read_once_it_is_whole(driver):
    follower = Follower(driver.folder)
    line = journal.encode({"time": time.time(), "event": "search_paused"})
    with driver.folder.joinpath("journal.jsonl").open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert list(follower.new()) == []
        file.write(line[20:] + b"not a line\n")
        file.flush()
        assert names(follower.new()) == ["SearchPaused"]
    assert list(follower.new()) == []


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda driver: None, State.RUNNING),
        (lambda driver: driver.study.record("search_paused"), State.PAUSED),
        (lambda driver: driver.study.record("driver_stopped", reason="finished"), State.FINISHING),  # waits for MLflow
        (lambda driver: driver.stop(), State.FINISHED),
        (lambda driver: driver.stop("interrupted"), State.STOPPED),
        (lambda driver: driver.stop("failed"), State.FAILED),
        (lambda driver: driver.kill(), State.INTERRUPTED),
    ],
)
def test_the_state_is_that_of_the_lock_then_that_of_the_journal(driver, act, expected):
    act(driver)
    assert Follower(driver.folder).state() is expected


def test_on_another_machine_the_journal_says_who_searches(driver):
    driver.study.record("driver_started", pid=1, host="elsewhere.example")
    driver.kill()
    assert Follower(driver.folder).state() is State.ELSEWHERE


def test_an_idle_turn_reads_nothing(driver, monkeypatch):
    follower = Follower(driver.folder)
    monkeypatch.setattr(follower._tail, "read", lambda: pytest.fail("it reads"))
    assert [list(follower.new()) for _ in range(3)] == [[], [], []]


def test_watching_loads_nothing_heavy():
    code = (
        "import sys; from hpsearch.api.watch import watch; import hpsearch.cli.terminal\n"
        "print([name for name in ('torch', 'mlflow', 'optuna', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout == "[]\n"


def test_a_page_is_written_at_the_start_as_trials_end_and_at_the_end(driver, call):
    driver.trial(3.0, 2.5, outcome=Outcome.COMPLETED)
    page = driver.home.parent / "page.html"
    driver.stop()
    code, out, _ = call("watch", "toy", "--home", driver.home, "--html", page)
    assert code == 0
    assert "study toy has finished" in out
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")
    code, _, err = call("watch", "toy", "--home", driver.home, "--html", driver.home / "no" / "folder.html")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: ")
