"""The same trainings by `hpsearch run`, by Ray Tune with Optuna, and by an Optuna script with a process per trial.

Each runs as a whole process, from its start to its end, with data that were tokenised before. The training is ours in
all three, with a clock around it; so what differs is what each program does between trainings: starting processes,
importing, asking the sampler, reporting, keeping results. `hpsearch run` is measured as it is, with its journal, its
checkpoints and MLflow.

    python benchmarks/turnaround.py                                  # 12 trials of 2 s on 2 workers, once each
    python benchmarks/turnaround.py --rounds 5                       # in turns, medians and quartiles
    python benchmarks/turnaround.py --trials 60 --rounds 5
    python benchmarks/turnaround.py --trials 16 --seconds 20 --skip ray
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]  # runs in a checkout that was never installed, too

from hpsearch.trainers.causal_lm import CausalLM  # noqa: E402

METRIC = "val/loss"
TRAINER = 'trainer: "python:turnaround:Timed"\n'
FEWEST = 0.35  # epochs: with fewer there are fewer steps than evaluations
RANGES = {"learning_rate": (1e-3, 1e-2), "weight_decay": (0.01, 1.0)}  # as in SPACE; each in the log


# ----------------------------------------------------------------------------------------------- the trainings, clocked


def train(config: Any, handle: Any) -> Iterator[Any]:
    """hpsearch.training.loop.train; when it ends, a line says when it made its steps, and in which slot."""
    from hpsearch.training import loop

    said, first_step, waited, evaluation = handle.command, list[float](), 0.0, None

    def command() -> Any:
        if not first_step:
            first_step.extend((time.time(), time.process_time()))
        return said()

    handle.command = command
    evaluated = answered = time.time()
    processor = 0.0
    for evaluation in loop.train(config, handle):
        waited += answered - evaluated
        evaluated, processor = time.time(), time.process_time()
        yield evaluation
        answered = time.time()
    found = {
        "slot": os.environ.get("TURNAROUND_SLOT", ""),
        "pid": os.getpid(),
        "first": first_step[0],
        "last": evaluated,
        "ended": time.time(),
        "working": evaluated - first_step[0] - waited,
        "processor": processor - first_step[1],
        "size": [evaluation.step, evaluation.index] if evaluation else [],
    }
    with (Path(os.environ["TURNAROUND_LOG"]) / f"{os.getpid()}.jsonl").open("a") as log:
        log.write(json.dumps(found) + "\n")


class Timed(CausalLM):
    """causal_lm with its trainings clocked; spaces name it `python:turnaround:Timed`."""

    def train(self, config: Any, handle: Any) -> Iterator[Any]:
        """See `train`."""
        yield from train(config, handle)


def one_trial(folder: Path, params: dict[str, float], report: Callable[[Any], object]) -> float:
    """A training as a script of one's own has it: config, train, report; gives its lowest loss."""
    from hpsearch.contract import Handle, WorkerSettings
    from hpsearch.training.config import TrainConfig

    told = json.loads((folder / "training.json").read_text())
    told["config"]["training"] |= params
    prepared = {digest: Path(place) for digest, place in told["prepared"].items()}
    settings = WorkerSettings(device="cpu", threads=1, cache=folder, base=folder, prepared=prepared)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        losses: list[float] = []
        for evaluation in train(TrainConfig.model_validate(told["config"]), Handle(settings, Path(place))):
            losses.append(evaluation.metrics[METRIC])
            report(evaluation)
    return min(losses)


# --------------------------------------------------------------------------------------------------------- the programs


@dataclass(frozen=True)
class Job:
    """What a program is to do."""

    folder: Path  # of its own
    trials: int
    workers: int


def hpsearch_command(job: Job) -> list[str]:
    """`hpsearch run`."""
    run = [sys.executable, "-c", "from hpsearch.cli import main; main()", "run"]
    return [*run, str(job.folder / "turnaround.yaml"), "--home", str(job.folder / "home")]


def own_command(name: str) -> Callable[[Job], list[str]]:
    """A function of this file as a program."""

    def command(job: Job) -> list[str]:
        call = f"import turnaround; turnaround.{name}({str(job.folder)!r}, {job.trials}, {job.workers})"
        return [sys.executable, "-c", call]

    return command


def ray_tune(place: str, trials: int, workers: int) -> None:
    """Ray Tune as its guide has it: a function, OptunaSearch, one CPU a trial."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    folder = Path(place)

    def trainable(params: dict[str, float]) -> None:
        import turnaround

        turnaround.one_trial(folder, params, lambda e: tune.report({"loss": e.metrics[METRIC]}))

    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={name: tune.loguniform(*ends) for name, ends in RANGES.items()},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=OptunaSearch(), num_samples=trials, max_concurrent_trials=workers
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "results"), verbose=0),
    )
    found = tuner.fit()
    if found.num_errors:
        sys.exit(str(found.errors[0]))


def optuna_script(place: str, trials: int, workers: int) -> None:
    """Optuna as its guide has it for several processes: a study in SQLite, and processes that each run one trial."""
    import optuna

    optuna.create_study(study_name="turnaround", storage=f"sqlite:///{place}/optuna.db", direction="minimize")
    numbers, failed = count(), list[str]()

    def slot(name: int) -> None:
        command = [sys.executable, "-c", f"import turnaround; turnaround.optuna_trial({place!r})"]
        while next(numbers) < trials and not failed:
            environment = os.environ | {"TURNAROUND_SLOT": str(name)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                failed.append(done.stderr)

    slots = [threading.Thread(target=slot, args=(name,)) for name in range(workers)]
    for thread in slots:
        thread.start()
    for thread in slots:
        thread.join()
    if failed:
        sys.exit(failed[0])


def optuna_trial(place: str) -> None:
    """One trial of the Optuna script, in a process of its own."""
    import optuna

    def objective(trial: Any) -> float:
        params = {name: trial.suggest_float(name, *ends, log=True) for name, ends in RANGES.items()}

        def report(evaluation: Any) -> None:
            trial.report(evaluation.metrics[METRIC], evaluation.index)
            if trial.should_prune():
                raise optuna.TrialPruned

        return one_trial(Path(place), params, report)

    optuna.load_study(
        study_name="turnaround",
        storage=f"sqlite:///{place}/optuna.db",
        sampler=optuna.samplers.TPESampler(constant_liar=True),
        pruner=optuna.pruners.NopPruner(),
    ).optimize(objective, n_trials=1)


PROGRAMS: dict[str, Callable[[Job], list[str]]] = {
    "hpsearch": hpsearch_command,
    "ray": own_command("ray_tune"),
    "optuna": own_command("optuna_script"),
}
LABELS = {"hpsearch": "hpsearch run", "ray": "Ray Tune, Optuna search", "optuna": "Optuna, process per trial"}


# ------------------------------------------------------------------------------------------------------- the comparison


class Bench:
    """The space, and the data tokenised once, from which each run gets a fresh folder."""

    def __init__(self, place: Path, options: argparse.Namespace) -> None:
        import overhead

        from hpsearch.home.home import Home
        from hpsearch.preflight.preparation import prepare
        from hpsearch.space.experiment import Experiment

        self.place, self.options = place, options
        numbers = {"trials": options.trials, "workers": options.workers}
        calibrated = overhead.epochs_for(options.seconds, overhead.SPACE.format(epochs=1, **numbers))
        self.epochs = options.epochs or max(FEWEST, round(calibrated, 3))
        self.space = overhead.SPACE.format(epochs=self.epochs, **numbers)
        experiment, self.home = Experiment.loads(self.space, path=str(place / "turnaround.yaml")), Home(place / "home")
        self.home.make()
        prepared = prepare(experiment, self.home, lambda what, share: None).folders
        self.training = {
            "config": experiment.space_file.config.model_dump(mode="json"),
            "prepared": {digest: str(folder) for digest, folder in prepared.items()},
        }
        if options.used_home:
            from hpsearch.views import shipping

            shipping.prepare(self.home.path, None)

    def run(self, name: str, number: int) -> dict[str, float]:
        """One program, from the start of its process to its end."""
        job = Job(self.place / f"{name}-{number}", self.options.trials, self.options.workers)
        log = job.folder / "log"
        log.mkdir(parents=True)
        (job.folder / "turnaround.yaml").write_text(self.space + TRAINER)
        (job.folder / "training.json").write_text(json.dumps(self.training))
        shutil.copytree(self.home.path, job.folder / "home")
        began = time.time()
        done = subprocess.run(PROGRAMS[name](job), env=environment(log), capture_output=True, text=True)
        wall = time.time() - began
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        trials = [json.loads(line) for path in log.glob("*.jsonl") for line in path.read_text().splitlines()]
        shutil.rmtree(job.folder)
        return figures(self.checked(name, trials), began, wall, self.options.workers)

    def checked(self, name: str, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The trials; ends the program unless they are as many, and as long, as all others'."""
        sizes = {tuple(trial["size"]) for trial in trials}
        self.size = getattr(self, "size", sizes)
        if len(trials) != self.options.trials or len(sizes) != 1 or sizes != self.size:
            sys.exit(f"{name}: {len(trials)} trials of (steps, evaluations) {sizes}, others had {self.size}")
        return trials


def environment(log: Path) -> dict[str, str]:
    """One thread for each training, and nothing of a running Ray cluster."""
    paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    told = {
        "TURNAROUND_LOG": str(log),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | told


def figures(trials: list[dict[str, Any]], began: float, wall: float, workers: int) -> dict[str, float]:
    """What one run of a program gave; times in seconds."""
    lives = lives_of(trials, workers)
    working = sum(trial["working"] for trial in trials)
    gaps = [after["first"] - before["last"] for life in lives for before, after in pairwise(life)]
    within = sum(life[-1]["ended"] - life[0]["first"] for life in lives)
    return {
        "turn-around": median(gaps) if gaps else float("nan"),
        "share": working / (wall * workers),
        "share without start": working / within,
        "trials per hour": 3600 * len(trials) / wall,
        "wall": wall,
        "first step": min(trial["first"] for trial in trials) - began,
        "end": began + wall - max(trial["ended"] for trial in trials),
        "training": working / len(trials),
        "by processor": sum(trial["processor"] for trial in trials) / len(trials),
    }


def lives_of(trials: list[dict[str, Any]], workers: int) -> list[list[dict[str, Any]]]:
    """The trials of each worker in turn; with a process for each trial, the slot free for longest gets the next."""
    trials = sorted(trials, key=lambda trial: trial["first"])
    key = "slot" if trials[0]["slot"] else "pid"
    names = list(dict.fromkeys(trial[key] for trial in trials))
    if len(names) <= workers:
        return [[trial for trial in trials if trial[key] == name] for name in names]
    lives: list[list[dict[str, Any]]] = [[] for _ in range(workers)]
    for trial in trials:
        min(lives, key=lambda life: life[-1]["ended"] if life else 0.0).append(trial)
    return lives


# ----------------------------------------------------------------------------------------------------------- the report

COLUMNS: dict[str, Callable[[float], str]] = {
    "turn-around": lambda value: f"{value:.3f} s",
    "share": lambda value: f"{value:.1%}",
    "share without start": lambda value: f"{value:.1%}",
    "trials per hour": lambda value: f"{value:.0f}",
    "wall": lambda value: f"{value:.1f} s",
    "first step": lambda value: f"{value:.1f} s",
    "end": lambda value: f"{value:.1f} s",
    "training": lambda value: f"{value:.2f} s",
    "by processor": lambda value: f"{value:.2f} s",
}


def report(found: dict[str, list[dict[str, float]]]) -> None:
    """A table of the programs, then our rate over each other's in the same round."""
    for name, rounds in found.items():
        print(f"\n{LABELS[name]}")
        for column, form in COLUMNS.items():
            print(f"  {column:20} {spread([figure[column] for figure in rounds], form)}")
    print()
    for name in found:
        if name != "hpsearch" and "hpsearch" in found:
            pairs = list(zip(found["hpsearch"], found[name], strict=True))
            rates = [ours["trials per hour"] / theirs["trials per hour"] for ours, theirs in pairs]
            turns = [theirs["turn-around"] / ours["turn-around"] for ours, theirs in pairs]
            print(f"hpsearch over {LABELS[name]}: {spread(rates, '{:.2f}'.format)} times the trials per hour;", end=" ")
            print(f"its turn-around is {spread(turns, '{:.0f}'.format)} times ours")


def spread(values: list[float], form: Callable[[float], str]) -> str:
    """The median, and the quartiles where there are several values."""
    if len(values) < 2:
        return form(values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{form(median(values))} ({form(low)} to {form(high)})"


def main() -> None:
    """Calibrates, runs the programs in turns, reports."""
    options = arguments()
    names = [name for name in PROGRAMS if name not in options.skip]
    if "ray" in names and not all(importlib.util.find_spec(package) for package in ("ray", "pandas", "pyarrow")):
        print("Ray Tune is not installed (pip install 'ray[tune]'): it is left out")
        names.remove("ray")
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), options)
        print(
            f"{options.trials} trials of {bench.epochs} epochs on {options.workers} workers, {options.rounds} round(s)"
        )
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(options.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                found[name].append(bench.run(name, number))
                line = ", ".join(f"{column} {form(found[name][-1][column])}" for column, form in COLUMNS.items())
                print(f"round {number + 1}, {name}: {line}", flush=True)
        report(found)


def arguments() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a trial, about, of one core")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--skip", action="append", default=[], choices=list(PROGRAMS), help="a program; may be repeated"
    )
    parser.add_argument("--epochs", type=float, help="of a trial, instead of --seconds")
    parser.add_argument("--used-home", action="store_true", help="MLflow's database is there, as in any later study")
    return parser.parse_args()


if __name__ == "__main__":
    main()
