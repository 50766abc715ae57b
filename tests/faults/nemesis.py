"""Kills at random times: a study is run, killed and resumed until it is finished."""

import os
import random
import signal
import time
from pathlib import Path

from tests import warm
from tests.cli.processes import alive, descendants, events

RUN = ("run", "space.yaml", "--home", "home", "--workers", "2")


class Nemesis:
    """Kills the processes of one study and records what happened."""

    def __init__(self, zygote, cwd, seed, *, views=True, pictures=False, **environment):
        """`environment`: variables of all drivers but the last, which is not killed."""
        self.zygote, self.cwd, self.views = zygote, cwd, views
        self._shown = {"views": views, "pictures": pictures}
        self.draw = random.Random(seed)
        self._always = {"TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
        self._environment = environment
        self.kills = 0
        self.said = ""
        self.until_news = []  # seconds from the start of a driver to its first evaluation
        self.outlived = []  # processes still alive a minute after their driver
        self.codes = []
        self.figures = []  # memory (bytes) and file descriptors of drivers over time

    def kill_drivers(self, kills, *, latest, everything=False):
        """Kills the driver (or it and all that it started) `kills` times, within `latest` s of its first evaluation."""
        while self.kills < kills:
            before, began = len(self._events()), time.monotonic()
            pid = self._start()
            if not self._await_evaluation(before, pid):
                self._end([])
                return
            self.until_news.append(time.monotonic() - began)
            time.sleep(self.draw.uniform(0, latest))
            family = descendants(pid)
            for victim in [pid, *family] if everything else [pid]:
                kill(victim)
            self._end(family)

    def kill_workers(self, kills, *, latest, starved=0.0):
        """Kills one worker after another of a single driver, `kills` times.

        `starved`: half of them stand still before, for up to so many seconds.
        """
        pid = self._start()
        while self.kills < kills and alive([pid]):
            time.sleep(self.draw.uniform(0, latest))
            if workers := [child for child in descendants(pid) if is_worker(child)]:
                victim = self.draw.choice(workers)
                if starved and self.draw.random() < 0.5 and kill(victim, signal.SIGSTOP):
                    time.sleep(self.draw.uniform(0, starved))
                self.kills += kill(victim)
        self._end([])

    def anything(self, seconds, blows):
        """For some seconds calls random `blows`, functions that take a driver's pid."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            before, pid = len(self._events()), self._start()
            if self._await_evaluation(before, pid):
                while alive([pid]) and time.monotonic() < until:
                    time.sleep(self.draw.uniform(0, 2))
                    self.figures.append((_memory(pid), _descriptors(pid)))
                    self.draw.choice(blows)(pid)
                for victim in [pid, *descendants(pid)] if alive([pid]) else []:
                    self.kills += kill(victim)
            self._end([])

    def finish(self, *options):
        """Runs the study to its end."""
        done = self.zygote.run(self.cwd, *RUN, *options, **self._shown, **self._always, TOY_STEP="0")
        self.said += done.said
        assert done.code == 0, self.said
        if self.views and "hpsearch sync" in done.said:  # busy with other work, MLflow had not written all by then
            later = self.zygote.run(self.cwd, "sync", *RUN[1:4], **self._shown, **self._always)
            assert later.code == 0, later.said

    def _start(self):
        return self.zygote.start(self.cwd, *RUN, **self._shown, **self._always, **self._environment)

    def _end(self, family):
        done = self.zygote.wait()
        self.kills += done.code == -signal.SIGKILL
        self.codes.append(done.code)
        self.said += done.said
        deadline = time.monotonic() + 60
        while (left := alive(family)) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.outlived += left

    def _events(self):
        return events(self.cwd / "home" / "toy" / "journal.jsonl")

    def _await_evaluation(self, before, pid, limit=600.0):
        """Waits for an evaluation after the journal's first `before` events; returns False if the driver ends first."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and alive([pid]):
            if any(event["event"] == "evaluation" for event in self._events()[before:]):
                return True
            time.sleep(0.01)
        return False


def is_worker(pid):
    """Whether a process is a worker or a fork of one, not the shipping process."""
    try:
        proc = Path(f"/proc/{pid}")
        return b"spawn_main" in (proc / "cmdline").read_bytes() or (proc / "comm").read_bytes().strip() == warm.WORKER
    except OSError:
        return False


def kill(pid, number=signal.SIGKILL):
    """Kills a process, or sends another signal; returns False if it had ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _memory(pid):
    return _of(f"/proc/{pid}/statm", lambda text: int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def _descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def _of(path, read):
    try:
        with open(path) as file:
            return read(file.read())
    except OSError:
        return None
