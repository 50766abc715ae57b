"""Runs `hpsearch` commands that tests crash and resume, and reads what they leave behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from hpsearch import journal
from hpsearch.journal.history import History
from tests import blank, warm
from tests.cli.processes import events

SPACE = """
study: toy
seed: 3
budget: {{trials: {trials}}}
data: {{text: {{task: text, files: {{train: train.txt, valid: valid.txt}}}}}}
search: {{pruner: {{name: successive_halving, min_resource: 1}}, max_retries: 1000, confirm: false}}
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
    """Starts commands by forking a process that has imported everything."""

    def __init__(self):
        self.unanswered = None  # pid of a command that nobody has waited for yet
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        self.process = self._started(environment)
        self.running = None  # process number of a command without a `wait`

    def _started(self, environment):
        """The process that forks: itself a fork of the one that forks commands, where there is one."""
        if warm.AVAILABLE:
            return warm.Piped("zygote", cwd=warm.ROOT, environment=environment)
        command = [sys.executable, "-m", "tests.faults.zygote"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=warm.ROOT, env=environment, **pipes)

    def start(self, cwd, *arguments, views=False, pictures=False, **environment):
        """Starts a command and returns its pid. Kills the command of a test that failed before it called `wait`."""
        if self.unanswered is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.unanswered, signal.SIGKILL)
            self.wait()
        if views and "home" in arguments and not (cwd / "home" / "mlflow.db").exists():
            blank.home(cwd / "home")
        self.output = cwd / "output.txt"
        request = {"arguments": list(arguments), "cwd": str(cwd), "environment": environment}
        request |= {"views": views, "pictures": pictures, "output": str(self.output)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        self.unanswered = int(self.process.stdout.readline())
        return self.unanswered

    def wait(self):
        """Waits for the command's end; returns its exit code, its seconds and its output."""
        answer = json.loads(self.process.stdout.readline())
        self.unanswered = None
        return Done(**answer, said=self.output.read_text() if self.output.exists() else "")

    def run(self, cwd, *arguments, **options):
        """Runs a command and returns how it ended."""
        self.start(cwd, *arguments, **options)
        return self.wait()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def folder(path, *, trials=3, times=4):
    """Makes a folder with the files of a small study."""
    path.mkdir()
    (path / "space.yaml").write_text(SPACE.format(trials=trials, times=times))
    for name in ("train", "valid"):
        (path / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    return path


def history(cwd, home="home"):
    """Returns the history in the study's journal."""
    return History.of(journal.read(cwd / home / "toy" / "journal.jsonl"))


def evaluated(cwd, number):
    """Whether the journal, if it exists, has at least `number` evaluations."""
    path = cwd / "home" / "toy" / "journal.jsonl"
    return len(events(path, "evaluation")) >= number


def facts(cwd):
    """Returns all trials as tuples, to compare with an undisturbed search."""
    return [
        (t.number, t.params, t.outcome, t.state, t.value, t.best, t.reason, values(t))
        for t in history(cwd).trials.values()
    ]


def values(trial):
    """Returns evaluation index -> exact validation loss."""
    return {index: repr(e.metrics["val/loss"]) for index, e in sorted(trial.evaluations.items())}


def real_trainer(cwd):
    """Makes the study in a folder train causal_lm instead of the toy."""
    path = cwd / "space.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("trainer:")))
