"""Kills at random instants: a study is run, killed and run again until it is finished, and then looked at."""

import os
import random
import signal
import time

from tests.cli.processes import alive, descendants, events

RUN = ("run", "space.yaml", "--home", "home", "--workers", "2")


class Nemesis:
    """What persecutes one study, and what that one went through."""

    def __init__(self, zygote, cwd, seed, *, views=True, **environment):
        """`environment`: of all its drivers but the last, which is left in peace."""
        self.zygote, self.cwd, self.views = zygote, cwd, views
        self.draw = random.Random(seed)
        self._always = {"TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
        self._environment = environment
        self.kills = 0
        self.said = ""
        self.until_news = []  # seconds from the start of a driver to its first evaluation
        self.outlived = []  # processes that were there 5 s after their driver had gone
        self.codes = []

    def kill_drivers(self, kills, *, latest, everything=False):
        """Kills the driver (or it and all that it started) `kills` times, within `latest` s of its first news."""
        while self.kills < kills:
            before, began = len(self._events()), time.monotonic()
            pid = self._start()
            if not self._news(before, pid):
                self._end([])
                return
            self.until_news.append(time.monotonic() - began)
            time.sleep(self.draw.uniform(0, latest))
            family = descendants(pid)
            for victim in [pid, *family] if everything else [pid]:
                _kill(victim)
            self._end(family)

    def kill_workers(self, kills, *, latest):
        """Kills one worker after another of a single driver, `kills` times."""
        pid = self._start()
        while self.kills < kills and alive([pid]):
            time.sleep(self.draw.uniform(0, latest))
            if workers := [child for child in descendants(pid) if is_worker(child)]:
                self.kills += _kill(self.draw.choice(workers))
        self._end([])

    def finish(self):
        """Lets the study end in peace."""
        done = self.zygote.run(self.cwd, *RUN, views=self.views, **self._always, TOY_STEP="0")
        self.said += done.said
        assert done.code == 0, self.said

    def _start(self):
        return self.zygote.start(self.cwd, *RUN, views=self.views, **self._always, **self._environment)

    def _end(self, family):
        done = self.zygote.wait()
        self.kills += done.code == -signal.SIGKILL
        self.codes.append(done.code)
        self.said += done.said
        deadline = time.monotonic() + 5
        while (left := alive(family)) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.outlived += left

    def _events(self):
        return events(self.cwd / "home" / "toy" / "journal.jsonl")

    def _news(self, before, pid, limit=60.0):
        """Waits for an evaluation that is not in the journal's first events; False when the driver ends first."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and alive([pid]):
            if any(event["event"] == "evaluation" for event in self._events()[before:]):
                return True
            time.sleep(0.01)
        return False


def is_worker(pid):
    """Whether a process is one of multiprocessing's, which train (and not the shipping one)."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"spawn_main" in file.read()
    except OSError:
        return False


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
