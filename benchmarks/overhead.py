"""Share of a worker's wall time that is training steps and evaluation, in a real study with MLflow and all.

A study of equal trials without pruning runs as `hpsearch run` runs it; its trainer is ours with a clock around it, so
that what the worker does with its time is known to the millisecond: building the model, training and evaluating,
waiting for verdicts and for the next trial, writing the best weights.

    python benchmarks/overhead.py                          # 16 trials of 20 s on 2 workers
    python benchmarks/overhead.py --trials 4 --seconds 5
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # runs in a checkout that was never installed, too

from hpsearch.trainers.causal_lm import CausalLM  # noqa: E402

SPACE = """
study: overhead
budget: {{trials: {trials}}}
data:
  reference: {{task: text, source: "python:hpsearch.samples:python_reference"}}
tokenizer: {{kind: bpe, vocab_size: 1000}}
model: {{n_layers: 2, width: 96, n_heads: 4, context: 64}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  weight_decay: {{low: 0.01, high: 1.0, log: true}}
  batch_size: 16
  epochs: {epochs}
search: {{pruner: none, overfitting: false}}
resources: {{workers: {workers}, device: cpu}}
"""
TRAINER = 'trainer: "python:overhead:Timed"\n'


# -------------------------------------------------------------------------------------------------------- in the worker


def train(config: Any, handle: Any) -> Iterator[Any]:
    """hpsearch.training.loop.train, with where its time goes written beside the trial when it ends."""
    began = time.time()
    from hpsearch.training import loop

    said = handle.command
    first_step: list[float] = []

    def command() -> Any:
        if not first_step:
            first_step.append(time.time())
        return said()

    handle.command = command
    waiting = 0.0
    answered = evaluated = began
    for evaluation in loop.train(config, handle):
        evaluated = time.time()
        yield evaluation
        answered = time.time()
        waiting += answered - evaluated
    ended = time.time()
    in_between = waiting - (answered - evaluated)
    found = {
        "pid": os.getpid(),
        "began": began,
        "ended": ended,
        "building": first_step[0] - began,
        "working": evaluated - first_step[0] - in_between,
        "waiting": waiting,
        "saving": ended - answered,
    }
    with (Path(os.environ["OVERHEAD_LOG"]) / f"{os.getpid()}.jsonl").open("a") as log:
        log.write(json.dumps(found) + "\n")


class Timed(CausalLM):
    """causal_lm with its trainings clocked; spaces name it `python:overhead:Timed`."""

    def train(self, config: Any, handle: Any) -> Iterator[Any]:
        """See `train`."""
        yield from train(config, handle)


# ---------------------------------------------------------------------------------------------------------- the study


def epochs_for(seconds: float, space: str) -> float:
    """Epochs of the space's model that take so long on one thread, evaluations included."""
    from hpsearch.contract import Handle, WorkerSettings
    from hpsearch.space.experiment import Experiment
    from hpsearch.training.loop import Training

    config = Experiment.loads(space).config({"learning_rate": 3e-3, "weight_decay": 0.1})
    with tempfile.TemporaryDirectory() as folder:
        settings = WorkerSettings(device="cpu", threads=1, cache=Path(folder), base=Path(folder))
        training = Training(config, Handle(settings, Path(folder)))
        step, evaluation = cost(training.train_step, 100), cost(lambda: training.evaluator.measure(training.model), 3)
        return (seconds - config.evaluation.times * evaluation) / step / training.order.steps_per_epoch


def cost(work: Callable[[], Any], times: int) -> float:
    """Seconds of processor time that a piece of work takes: other programs disturb it less than wall time."""
    for _ in range(max(1, times // 10)):
        work()
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def search(space: Path, home: Path) -> tuple[float, float]:
    """`hpsearch run` in a process of its own; when it began and when it ended."""
    environment = os.environ | {
        "OVERHEAD_LOG": str(home),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-c", "from hpsearch.cli import main; main()", "run", str(space), "--home", str(home)]
    began = time.time()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return began, time.time()


# ----------------------------------------------------------------------------------------------------------- the report


def report(home: Path, span: tuple[float, float], workers: int) -> None:
    """Where the workers' time went."""
    from hpsearch import journal

    events = journal.read(home / "overhead" / "journal.jsonl")
    times = {event["event"]: event["time"] for event in events if event["event"].startswith("driver")}
    trials = [event for event in events if event["event"] == "trial_finished"]
    lives = [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted(home.glob("[0-9]*.jsonl"))]
    seconds = sorted(trial["seconds"] for trial in trials)
    print(f"{len(trials)} trials of {seconds[0]:.1f} to {seconds[-1]:.1f} s, outcomes: {outcomes(trials)}")
    working = sum(trial["working"] for life in lives for trial in life)
    within = sum(life[-1]["ended"] - life[0]["began"] for life in lives)
    driver = (times["driver_stopped"] - times["driver_started"]) * workers
    print(f"training steps and evaluation: {working:.1f} s of {len(lives)} workers'")
    print(f"  {working / within:6.1%} of the time from a worker's first trial to the end of its last")
    print(
        f"  {working / driver:6.1%} of the driver's time times {workers} workers (their start, and idling at the end)"
    )
    print(f"  {working / ((span[1] - span[0]) * workers):6.1%} of the whole command's (imports, data, MLflow's end)")
    first = [life[0]["building"] for life in lives]
    print(
        f"  building {1000 * sum(first) / len(first):7.1f} ms for a worker's first trial (the rest of importing in it)"
    )
    for key in ("building", "waiting", "saving", "between"):
        values = [value for life in lives for value in spent(life, key)]
        print(f"  {key:8} {1000 * sum(values) / max(1, len(values)):7.1f} ms a trial")


def spent(life: list[dict[str, float]], key: str) -> list[float]:
    """Seconds that went into a part, for each trial (building: each but the first; between: from one to the next)."""
    if key == "between":
        return [after["began"] - before["ended"] for before, after in pairwise(life)]
    if key == "building":
        return [trial[key] for trial in life[1:]]
    return [trial[key] for trial in life]


def outcomes(trials: list[dict[str, Any]]) -> str:
    """How the trials ended."""
    names = [trial["outcome"] for trial in trials]
    return ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))


def main() -> None:
    """Calibrates, searches, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a trial, at least")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        numbers = {"trials": options.trials, "workers": options.workers}
        epochs = epochs_for(1.1 * options.seconds, SPACE.format(epochs=1, **numbers))
        space = home / "overhead.yaml"
        space.write_text(SPACE.format(epochs=round(epochs, 3), **numbers) + TRAINER)
        span = search(space, home)
        report(home, span, options.workers)


if __name__ == "__main__":
    main()
