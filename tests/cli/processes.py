"""hpsearch in real processes, as a shell would start it, with the toy trainer."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

from hpsearch import journal
from tests import warm

PROGRAM = [sys.executable, "-c", "from hpsearch.cli import main; main()"]
TOY = 'trainer: "python:hpsearch.testing.toy:Toy"\n'  # a line of a space file


def environment(**extra):
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **extra}


def hpsearch(*arguments, cwd, timeout=600, **options):
    """Runs a command to its end; returns its exit code and output. `options`: see `started`."""
    process = started(*arguments, cwd=cwd, **options)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        raise
    return subprocess.CompletedProcess(["hpsearch", *map(str, arguments)], process.returncode, stdout, stderr)


def started(*arguments, cwd, fresh=False, views=True, pictures=False, **extra):
    """Starts a command in its own session, as a terminal does; returns the process.

    It is a fork of a process that has imported everything, `fresh`: a new interpreter. Without `views` a fork ships
    nothing to MLflow and Optuna's database. Without `pictures` it draws none for MLflow, which take
    as long as all else.
    """
    if warm.AVAILABLE and not fresh:
        return warm.Warm(arguments, cwd=cwd, environment=environment(**extra), views=views, pictures=pictures)
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, *, limit=600.0):
    """Returns the condition's value once it is true."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


def events(path, name=None):
    """The events of a journal (of one name) as far as they are on the disk."""
    try:
        now = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = _read(path, now.st_ino, now.st_size, now.st_mtime_ns) if now.st_size else []
    return [event for event in found if name in (None, event["event"])]


@lru_cache(maxsize=8)
def _read(path, inode, size, changed):
    """A journal as it was then: who waits for an event asks fifty times a second."""
    return journal.read(path)


def descendants(pid):
    """The living processes that a process has started, and theirs (Linux)."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        if rest.split()[0] != "Z":
            children.setdefault(int(rest.split()[1]), []).append(int(name.split()[0]))
    found, todo = [], [pid]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found


def alive(pids):
    """Returns the processes that have not ended."""
    found = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
        except OSError:
            pass
    return found


@contextlib.contextmanager
def stopped(pids):
    """Processes that stand still (SIGSTOP) while something slower than they are catches up."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in alive(pids):
            os.kill(pid, signal.SIGCONT)


def end(process, number=signal.SIGKILL):
    """Ends a process that may have ended; returns its output."""
    if process.poll() is None:
        process.send_signal(number)
    return process.communicate(timeout=600)


def shown(study, *, cwd, home="home"):
    """Returns the JSON of `hpsearch show --json`."""
    done = hpsearch("show", study, "--json", "--home", home, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
