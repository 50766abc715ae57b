"""One study searched, stopped, killed and finished in real processes, for all tests of the commands."""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hpsearch.views.mlflow.store import run_ids
from tests import blank
from tests.cli.processes import alive, descendants, end, events, hpsearch, shown, started, stopped, wait_for
from tests.faults.nemesis import is_worker

SPACE = """
study: story
seed: 2
budget: {trials: 4}
data: {text: {task: text, files: {train: train.txt, valid: valid.txt}}}
search: {pruner: none}
training:
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  epochs: {low: 2, high: 9}
trainer: "python:hpsearch.testing.toy:Toy"
"""


@dataclass
class Story:
    """Exit code and output of each process, and the journal after it."""

    cwd: Path
    said: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # exit code, stdout, stderr
    left: dict[str, list[int]] = field(default_factory=dict)  # processes alive after it
    ids: dict[str, dict[int, str]] = field(default_factory=dict)  # the MLflow run of each trial
    journals: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def home(self):
        return self.cwd / "home"

    @property
    def journal(self):
        return self.home / "story" / "journal.jsonl"

    def run(self, name, number, *, step, evaluations, ids=0):
        """`hpsearch run`, sent a signal once it has made some evaluations (and MLflow runs)."""
        before = len(events(self.journal, "evaluation"))
        process = started("run", "space.yaml", "--home", "home", "--workers", "2", cwd=self.cwd, TOY_STEP=step)
        self.pids[name] = process.pid
        try:
            ended = process.poll
            wait_for(lambda: len(events(self.journal, "evaluation")) >= before + evaluations or ended() is not None)
            family = descendants(process.pid)
            if name == "killed":
                with stopped([pid for pid in family if is_worker(pid)]):
                    wait_for(lambda: len(run_ids(self.home, "story")) >= ids or ended() is not None)
                    self.note("refused", hpsearch("run", "space.yaml", "--home", "home", cwd=self.cwd))
                    self.journals["while it runs"] = shown("story", cwd=self.cwd)
                family = descendants(process.pid)
            output = end(process, number)
        finally:
            end(process)
        self.said[name] = (process.returncode, *output)
        self._remember(name)
        try:
            wait_for(lambda: not alive(family))
        except AssertionError:
            self.left[name] = alive(family)

    def note(self, name, done):
        """A command that has run to its end."""
        self.said[name] = (done.returncode, done.stdout, done.stderr)
        self._remember(name)

    def _remember(self, name):
        self.ids[name], self.journals[name] = run_ids(self.home, "story"), events(self.journal)


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    """Killed with -9, interrupted with Ctrl-C, terminated, then run to the end."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("reads /proc")
    told = Story(tmp_path_factory.mktemp("story"))
    (told.cwd / "space.yaml").write_text(SPACE)
    blank.home(told.home)
    for name in ("train", "valid"):
        (told.cwd / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    told.run("killed", signal.SIGKILL, step="0.1", evaluations=3, ids=2)
    told.run("interrupted", signal.SIGINT, step="0.1", evaluations=3)
    told.run("terminated", signal.SIGTERM, step="0.1", evaluations=3)
    told.note("finished", hpsearch("run", "space.yaml", "--home", "home", "--workers", "2", cwd=told.cwd))
    return told
