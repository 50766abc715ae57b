"""What the driver costs with many workers: milliseconds of its own processor time for each evaluation.

The workers are simulated: a launcher answers from formulas, without processes and without torch. Everything else is
the driver's own: sampler, pruner, verdicts, journal with its syncs, checkpoints' bookkeeping. What the formulas cost is
taken off. Then the same journal is resumed, and listed by `hpsearch show` as a whole process.

    python benchmarks/driver.py                                       # 1,000 workers, 10,000 trials of 20 evaluations
    python benchmarks/driver.py --trials 1000 --profile
    python benchmarks/driver.py --sampler random --pruner successive_halving
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import os
import pstats
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs in a checkout that was never installed, too

from hpsearch.contract import Command, Evaluation, TrainingPoint, WorkerSettings
from hpsearch.events import Finished, Measured
from hpsearch.launchers.messages import Ended, Evaluated, Message, Reply, Task
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.search.allowance import spent
from hpsearch.search.loop import Search
from hpsearch.search.study import Study
from hpsearch.space.experiment import Experiment
from hpsearch.testing.curves import SyntheticCurve

SPACE = """
study: driver
budget: {{trials: {trials}}}
data: {{text: {{task: text, dataset: "python:none:none"}}}}
evaluation: {{times: {evaluations}}}
search: {{sampler: {sampler}, pruner: {pruner}, overfitting: {overfitting}}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  epochs: {{low: 1.0, high: 12.0}}
  weight_decay: {{low: 0.01, high: 1.0, log: true}}
  batch_size: {{choices: [8, 16, 32]}}
"""
FACTS = {"fingerprint": "f" * 64, "sets": {}}
PARTS = 10  # of the study, each with its figure
POINTS = 10  # training points in an evaluation, as the training loop has


# ------------------------------------------------------------------------------------------------------- the workers


@dataclass
class Training:
    """A trial in training that never was."""

    trial: int
    curve: SyntheticCurve
    done: int = 0  # evaluations
    command: Command = Command.CONTINUE


class Simulated:
    """A launcher whose workers come by chance, so that not all trials end at once; see launchers/messages.py."""

    def __init__(self, workers: int, evaluations: int, folder: Path) -> None:
        self.settings = [WorkerSettings("cpu", 1, folder, folder)] * workers
        self.evaluations = evaluations
        self.seconds = 0.0  # of processor time within the simulation
        self._ready: list[int] = []  # workers with something to say
        self._chance = random.Random(0)
        self._trainings: dict[int, Training] = {}

    def ready(self, slot: int) -> bool:
        """Whether the worker can take a trial."""
        return True

    def train(self, slot: int, tasks: Sequence[Task]) -> None:
        """Hands a trial to a free worker."""
        with self._clocked():
            [task] = tasks
            rate, epochs = (task.config["training"][name] for name in ("learning_rate", "epochs"))
            curve = SyntheticCurve(learning_rate=rate, tokens=2.5e5 * epochs, noise=0.002, seed=task.trial)
            self._trainings[slot] = Training(task.trial, curve)
            self._ready.append(slot)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or asks a trial to pause."""
        training = self._trainings.get(slot)
        if training is not None and training.trial == reply.trial:
            training.command = reply.command
            if reply.index is not None:
                self._ready.append(slot)

    def messages(self, timeout: float) -> list[Message]:
        """What one of the workers says."""
        with self._clocked():
            if not self._ready:
                return []
            place = self._chance.randrange(len(self._ready))
            self._ready[place], self._ready[-1] = self._ready[-1], self._ready[place]
            return [self._next(self._ready.pop())]

    def close(self) -> None:
        """There is nothing to end."""

    def _next(self, slot: int) -> Message:
        training = self._trainings[slot]
        if training.command is not Command.CONTINUE or training.done == self.evaluations:
            del self._trainings[slot]
            return Ended(slot, training.trial, training.command)
        training.done += 1
        return Evaluated(slot, training.trial, evaluation(training, training.done / self.evaluations))

    @contextlib.contextmanager
    def _clocked(self) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - began


def evaluation(training: Training, progress: float) -> Evaluation:
    """What a worker would send: as much as a real one does."""
    done, loss = training.done, training.curve.train_loss(progress)
    found = {"train/loss": loss, "learning_rate": 1e-3, "gradient_norm": 0.5, "tokens_per_second": 1e4}
    point = TrainingPoint(step=10 * done, tokens=10_000 * done, time=1.7e9 + done, metrics=found)
    return Evaluation(
        index=done,
        step=10 * done,
        tokens=10_000 * done,
        epoch=progress,
        progress=progress,
        seconds=float(done),
        metrics={"val/loss": training.curve.val_loss(progress), "val/loss_stderr": 0.01, "train/loss": loss},
        points=[point] * POINTS,
    )


# -------------------------------------------------------------------------------------------------------- the figures


def searched(study: Study, launcher: Simulated, folder: Path) -> None:
    """Searches, and prints for each part of the study what an evaluation cost."""
    part = (study.experiment.budget.trials or 0) // PARTS or 1
    search = Search(study, launcher, checkpoints=folder / "checkpoints")
    costs, measured, finished, began = list[float](), 0, 0, time.monotonic()
    means = list[float]()
    print("trials finished   median (quartiles)      mean of all, ms of driver time for each evaluation", flush=True)
    last = part_began = time.process_time() - launcher.seconds
    for event in search.run():
        if isinstance(event, Measured):
            now = time.process_time() - launcher.seconds
            costs.append(1000 * (now - last))
            last, measured = now, measured + 1
        elif isinstance(event, Finished):
            finished += 1
            if finished % part == 0 and costs:
                now = time.process_time() - launcher.seconds
                means.append(1000 * (now - part_began) / len(costs))
                print(f"{finished:15}   {quartiles(costs)}   {means[-1]:.2f}", flush=True)
                last = part_began = time.process_time() - launcher.seconds
                costs = []
    seconds = time.monotonic() - began
    print(
        f"{finished} trials, {measured} evaluations in {seconds:.1f} s: {measured / seconds:.0f} evaluations a second"
    )
    if len(means) > 2:  # the first part has no model of the space yet, in the last there are idle workers
        print(f"mean of the last part but one over that of the second: {means[-2] / means[1]:.2f}", flush=True)


def quartiles(values: list[float]) -> str:
    """The median and the quartiles."""
    low, middle, high = quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:5.2f} ({low:.2f} to {high:.2f})"


def resumed(experiment: Experiment, folder: Path) -> None:
    """Opens the study again, as a later run does, and prints how long that takes."""
    size = (folder / "journal.jsonl").stat().st_size / 2**20
    began, processor = time.perf_counter(), time.process_time()
    study = Study.open(experiment, folder, FACTS)
    spent(study, OptunaPolicy(experiment))  # whether to start workers: the policy puts its trials back
    wall, processor = time.perf_counter() - began, time.process_time() - processor
    print(f"resume from a journal of {size:.0f} MiB: {wall:.2f} s ({processor:.2f} s of processor time)", flush=True)
    study.journal.close()


def shown(home: Path, *options: str) -> None:
    """Lists the study with `hpsearch show`, and prints how long the whole process takes."""
    command = [sys.executable, "-c", "from hpsearch.cli import main; main()", "show", "driver", "--home", str(home)]
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    began, before = time.perf_counter(), processor_of_children()
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    wall, processor = time.perf_counter() - began, processor_of_children() - before
    name = " ".join(["hpsearch show", *options])
    print(f"{name}, the whole process: {wall:.2f} s ({processor:.2f} s of processor time)", flush=True)


def processor_of_children() -> float:
    """Seconds of processor time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Searches, resumes, shows."""
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        home, folder = Path(place), Path(place) / "driver"
        experiment = Experiment.loads(SPACE.format(**vars(options)), path=str(home / "driver.yaml"))
        folder.mkdir()
        study = Study.open(experiment, folder, FACTS)
        with profiled(options.profile):
            searched(study, Simulated(options.workers, options.evaluations, folder), folder)
        study.journal.close()
        with profiled(options.profile):
            resumed(experiment, folder)
        shown(home)
        shown(home, "--json")


@contextlib.contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    """Prints where the time went, where that is wanted."""
    if not wanted:
        yield
        return
    with cProfile.Profile() as profile:
        yield
    pstats.Stats(profile).sort_stats("cumulative").print_stats(30)


def arguments() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--evaluations", type=int, default=20)
    parser.add_argument("--sampler", default="tpe", help="as in the space file's section search; likewise the next two")
    parser.add_argument("--pruner", default="none")
    parser.add_argument("--overfitting", default="false", choices=["true", "false"])
    parser.add_argument("--profile", action="store_true", help="print cProfile's first 30 lines (it slows all down)")
    parser.add_argument("--folder", type=Path, help="where to write (a disk of the kind that is meant)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
