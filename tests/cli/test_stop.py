"""`hpsearch stop`: a search ends as after Ctrl-C, also one in the background or under nohup."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests import blank
from tests.cli.conftest import SPACE
from tests.cli.processes import PROGRAM, alive, descendants, end, environment, events, hpsearch, wait_for
from tests.cli.test_run import one_line

STEP = "0.1"


@pytest.fixture
def folder(tmp_path):
    """A space of the toy trainer, and a home with empty stores."""
    (tmp_path / "space.yaml").write_text(SPACE)
    blank.home(tmp_path / "home")
    for name in ("train", "valid"):
        (tmp_path / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    return tmp_path


def ignoring(*numbers):
    """Called in a child: what a shell does for `&` (SIGINT), and nohup (SIGHUP)."""

    def ignore():
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    return ignore


def background(folder, *, ignored=(signal.SIGINT,)):
    """A run whose start ignores signals, once it has made an evaluation."""
    process = subprocess.Popen(
        [*PROGRAM, "run", "space.yaml", "--home", "home", "--workers", "1"],
        cwd=folder,
        env=environment(TOY_STEP=STEP),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=ignoring(*ignored),
    )
    journal = folder / "home" / "story" / "journal.jsonl"
    wait_for(lambda: events(journal, "evaluation") or process.poll() is not None)
    return process, journal


def test_a_run_in_the_background_is_stopped(folder):
    """F17: the driver has gone as after SIGTERM (143), everything is saved, and stop has waited for it."""
    process, journal = background(folder)
    try:
        family = descendants(process.pid)
        began = time.monotonic()
        done = hpsearch("stop", "space.yaml", "--home", "home", cwd=folder)
        took = time.monotonic() - began
        assert process.poll() is not None or wait_for(lambda: process.poll() is not None)
        out, err = end(process)
    finally:
        end(process)
    print(f"stopped {took:.1f} s after it was asked to")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"study 'story': asked pid {process.pid} to stop; its trials save their state (Ctrl-C: do not wait)",
        "study 'story' has stopped; hpsearch run resumes it",
    ]
    assert process.returncode == 143
    assert "stopping: trials save their state" in out
    assert "Traceback" not in err
    assert events(journal, "driver_stopped")[-1]["reason"] == "interrupted"
    wait_for(lambda: not alive(family))
    done = hpsearch("stop", "story", "--home", "home", cwd=folder)
    one_line((done.returncode, done.stdout, done.stderr), 1, "study 'story' is not running")


def test_a_run_under_nohup_outlives_its_terminal_and_ends_on_sigterm(folder):
    """F17: with SIGHUP and SIGINT ignored at its start a run goes on after them, and stops when it is told to."""
    process, journal = background(folder, ignored=(signal.SIGHUP, signal.SIGINT))
    try:
        process.send_signal(signal.SIGHUP)
        before = len(events(journal, "evaluation"))
        wait_for(lambda: len(events(journal, "evaluation")) >= before + 2 or process.poll() is not None)
        assert process.poll() is None
        end(process, signal.SIGTERM)
    finally:
        end(process)
    assert process.returncode == 143
    assert events(journal, "driver_stopped")[-1]["reason"] == "interrupted"


# ------------------------------------------------------------------------------------------- whom it does not stop


@pytest.fixture
def sleeper():
    """A living process of nobody's business, and when it started."""
    process = subprocess.Popen(["sleep", "600"])
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    yield process, started
    assert process.poll() is None, "it was killed"
    process.kill()
    process.wait()


@pytest.fixture
def held(tmp_path):
    """Writes a lock that is held, as by a driver."""
    files = []

    def write(content):
        (tmp_path / "home" / "story").mkdir(parents=True)
        file = os.open(tmp_path / "home" / "story" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        files.append(file)
        os.write(file, content if isinstance(content, bytes) else json.dumps(content).encode())
        fcntl.flock(file, fcntl.LOCK_EX)

    yield write
    for file in files:
        os.close(file)


def facts(process, started, **others):
    return {"pid": process.pid, "host": socket.gethostname(), "since": "now", "started": started, **others}


def test_a_study_that_nobody_runs_is_said_to_be_so(tmp_path, call, sleeper):
    """A lock that a dead run left, its process number given to another: nothing is done to that one."""
    (tmp_path / "story").mkdir()
    (tmp_path / "story" / "lock").write_text(json.dumps(facts(*sleeper)))
    one_line(call("stop", "story", "--home", tmp_path), 1, "study 'story' is not running")


def test_an_unknown_study_is_the_users_mistake(tmp_path, call):
    one_line(call("stop", "stori", "--home", tmp_path), 2, "no study 'stori' in .*; it has no study yet")


def test_a_run_on_another_host_is_to_be_stopped_there(tmp_path, call, held, sleeper):
    held(facts(*sleeper, host="elsewhere"))
    one_line(call("stop", "story", "--home", tmp_path / "home"), 1, r"by pid \d+ on host elsewhere; stop it there")


def test_a_process_that_only_has_the_number_is_not_stopped(tmp_path, call, held, sleeper):
    held(facts(sleeper[0], "1"))
    one_line(call("stop", "story", "--home", tmp_path / "home"), 1, "not visible from here .*; stop it there")


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"[1]", b"{}", b'{"pid": -1, "host": "x"}', b'{"pid": 0, "host": "x"}', b'{"pid": true}'],
    ids=repr,
)
def test_a_lock_that_names_nobody_stops_nobody(tmp_path, call, held, content):
    """To kill(2) 0 and -1 are everybody's number."""
    held(content.replace(b'"x"', json.dumps(socket.gethostname()).encode()))
    one_line(call("stop", "story", "--home", tmp_path / "home"), 1, r"lock does not name the process; end it")


def test_a_link_for_a_lock_is_not_followed(tmp_path, call, sleeper):
    (tmp_path / "story").mkdir()
    (tmp_path / "victim").write_text(json.dumps(facts(*sleeper)))
    (tmp_path / "story" / "lock").symlink_to(tmp_path / "victim")
    one_line(call("stop", "story", "--home", tmp_path), 1, "lock: cannot be read: ")
