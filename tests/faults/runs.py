"""Runs of `hpsearch` that are to be crashed and resumed many times, and what they leave behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hpsearch import journal
from hpsearch.journal.history import History
from tests.cli.processes import events

SPACE = """
study: toy
seed: 3
budget: {{trials: {trials}}}
data: {{text: {{task: text, files: {{train: train.txt, valid: valid.txt}}}}}}
search: {{pruner: {{name: successive_halving, min_resource: 1}}, max_retries: 1000}}
evaluation: {{times: {times}}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  epochs: {{low: 2, high: 9}}
trainer: "python:hpsearch.testing.toy:Toy"
"""


@dataclass
class Done:
    """How a command ended."""

    code: int  # negative: a signal
    seconds: float
    said: str


class Zygote:
    """Starts commands by forking a process that is warm already."""

    def __init__(self):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running = None  # process number of a command without a `wait`

    def start(self, cwd, *arguments, views=False, **environment):
        """Starts a command and returns its process number. A command that a failed test left running is killed."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running, signal.SIGKILL)
            self.wait()
        self.output = cwd / "output.txt"
        request = {"arguments": list(arguments), "cwd": str(cwd), "environment": environment}
        request |= {"views": views, "output": str(self.output)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        self.running = int(self.process.stdout.readline())
        return self.running

    def wait(self):
        """Waits for the command and returns how it ended."""
        ended, self.running = json.loads(self.process.stdout.readline()), None
        return Done(**ended, said=self.output.read_text())

    def run(self, cwd, *arguments, **options):
        """Runs a command to its end."""
        self.start(cwd, *arguments, **options)
        return self.wait()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def folder(path, *, trials=3, times=4):
    """A folder with a small study's files."""
    path.mkdir()
    (path / "space.yaml").write_text(SPACE.format(trials=trials, times=times))
    for name in ("train", "valid"):
        (path / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    return path


def history(cwd, home="home"):
    """What the study's journal says."""
    return History.of(journal.read(cwd / home / "toy" / "journal.jsonl"))


def evaluated(cwd, number):
    """Whether the study has so many evaluations already, in a journal that may not be there yet."""
    path = cwd / "home" / "toy" / "journal.jsonl"
    return len(events(path, "evaluation")) >= number


def facts(cwd):
    """All that matters of the study's trials, to be compared with an undisturbed search's."""
    return [
        (t.number, t.params, t.outcome, t.state, t.value, t.best, t.reason, values(t))
        for t in history(cwd).trials.values()
    ]


def values(trial):
    """Evaluation index -> validation loss, as exact as Python writes it."""
    return {index: repr(e.metrics["val/loss"]) for index, e in sorted(trial.evaluations.items())}


def real_trainer(cwd):
    """Has the study in a folder train for real: with causal_lm in place of the toy."""
    path = cwd / "space.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("trainer:")))
