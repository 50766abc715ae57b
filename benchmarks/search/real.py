"""Searches compared on real trainings: hpsearch, plain loops around Optuna, and Ray Tune, in the same time each.

    python benchmarks/search/real.py SPACE --minutes 10,20,40 --seeds 3 --out real.jsonl   hours; resumes
    python benchmarks/search/real.py --report real.jsonl

Every search trains the same configs with the same code on one CPU thread. hpsearch searches as `hpsearch run` does, its
confirmation and its views within the time. The others are what their documentations show: a trial is a training to its
end, its value is that of its best evaluation, and the pruner hears of each evaluation. Their imports and the data are
ready before the time starts; hpsearch's start counts.

The winner of each search is then trained with fresh seeds, which no search has seen: the mean of their best evaluations
is what the search is worth.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.home.home import Home
from hpsearch.preflight.preparation import prepare, settings_for
from hpsearch.space.experiment import Experiment

OURS: dict[str, dict[str, Any]] = {  # settings of the section `search`
    "hpsearch": {},
    "hpsearch tpe + successive_halving": {"sampler": "tpe", "pruner": {"name": "successive_halving"}},
    "hpsearch curves + successive_halving": {"sampler": "curves", "pruner": {"name": "successive_halving"}},
    "hpsearch curves + promotion": {"sampler": "curves", "pruner": {"name": "promotion"}},
}
FRESH = 100_000  # the first seed of the final trainings
GRACE, FACTOR = 2, 3  # of Ray's ASHA: evaluations before its first rung, and reduction_factor


def main() -> None:
    """Runs the searches that the command line names, or reports on the runs of a file."""
    args = arguments()
    if args.one:
        print(json.dumps(one(args.space, json.loads(args.one))))
    elif args.report:
        report([json.loads(line) for line in args.report.read_text().splitlines()])
    else:
        compare(args)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path, nargs="?")
    parser.add_argument("--methods", default=",".join(["hpsearch", *PEERS]))
    parser.add_argument("--minutes", default="10,20,40")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed0", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=3, help="final trainings of each winner")
    parser.add_argument("--out", type=Path, default=Path("real.jsonl"))
    parser.add_argument("--report", type=Path, help="print the table of such a file and end")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(args: argparse.Namespace) -> None:
    """Runs each search that the file lacks in a process of its own, and appends its row."""
    known = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    done = {tuple(row[key] for key in ("space", "method", "minutes", "seed")) for row in known}
    space = args.space.stem
    for seed in range(args.seed0, args.seed0 + args.seeds):
        for minutes in map(float, args.minutes.split(",")):
            for method in args.methods.split(","):
                if (space, method, minutes, seed) in done:
                    continue
                wanted = {"space": space, "method": method, "minutes": minutes, "seed": seed, "fresh": args.fresh}
                command = [sys.executable, __file__, str(args.space), "--one", json.dumps(wanted)]
                found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment())
                row = found.stdout.splitlines()[-1]
                with args.out.open("a") as file:
                    file.write(row + "\n")
                print(row, flush=True)


def environment() -> dict[str, str]:
    """One thread for everything that computes; workers of Ray are no nicer than others (15 by default)."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAY_worker_niceness": "0"}


def one(path: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """One search and the final trainings of its winner."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(path, wanted, Path(folder))
        search = hpsearch if wanted["method"] in OURS else PEERS[wanted["method"]]
        start = time.time()
        config, claimed, trials = search(ground)
        wall = time.time() - start
        values = [ground.final(config, FRESH + number) for number in range(wanted["fresh"])]
    return wanted | {
        "value": float(np.mean(values)),
        "values": values,
        "claimed": claimed,
        "trials": trials,
        "seconds": wall,
        "config": {"model": config["model"], "training": config["training"]},
        "load": os.getloadavg()[1],
    }


Found = tuple[dict[str, Any], float, int]  # the winner's config, the value that the search names, the number of trials


class Ground:
    """The space, the prepared data and the budget of one search."""

    def __init__(self, path: Path, wanted: dict[str, Any], folder: Path) -> None:
        settings = Experiment.load(path).normalised()
        settings |= {
            "study": "real",
            "seed": wanted["seed"],
            "budget": {"hours": wanted["minutes"] / 60},
            "resources": {"workers": 1, "device": "cpu", "threads": 1},
        }
        if wanted["method"] in OURS:
            chosen = {key: settings["search"][key] for key in ("baselines",) if key in settings["search"]}
            settings["search"] = {**chosen, **OURS[wanted["method"]]}
        self.experiment = Experiment.of(settings, base=settings.get("base") or path.parent.resolve())
        self.folder, self.seconds, self.seed = folder, wanted["minutes"] * 60, wanted["seed"]
        home = Home(folder / "home")
        prepared = prepare(self.experiment, home, lambda what, share: None)
        self.worker: WorkerSettings = settings_for(self.experiment, home, prepared, 1)
        self.metric, self.sign = self.experiment.objective.metric, 1.0
        if self.experiment.objective.direction == "maximize":
            self.sign = -1.0
        self._trained = 0

    def train(self, config: dict[str, Any]) -> Iterator[tuple[int, float]]:
        """Trains a config; yields the index and the value of each evaluation."""
        self._trained += 1
        folder = self.folder / f"{os.getpid()}-{self._trained}"
        folder.mkdir()
        parsed = self.experiment.trainer.config.model_validate(config)
        for evaluation in self.experiment.trainer.train(parsed, Handle(self.worker, folder)):
            yield evaluation.index, evaluation.metrics.get(self.metric, math.nan)

    def final(self, config: dict[str, Any], seed: int) -> float:
        """The best value of a training with another seed."""
        return self.best([value for _, value in self.train({**config, "seed": seed})])

    def best(self, values: list[float]) -> float:
        """The best finite one of some values; the worst there can be if there is none."""
        return self.sign * min((self.sign * value for value in values if math.isfinite(value)), default=math.inf)

    def config(self, trial: Any) -> dict[str, Any]:
        """The config whose values an Optuna trial suggests."""
        found: dict[str, Any] = self.experiment.config(self.experiment.space.suggest(trial)).model_dump(mode="json")
        return found


def hpsearch(ground: Ground) -> Found:
    """hpsearch's own search, as `hpsearch run` does it."""
    import hpsearch as library

    study = library.run(ground.experiment, home=ground.folder / "home", progress=False)
    winner = Experiment.load(study.export(ground.folder / "best.yaml")).train_config()
    assert study.best is not None
    return winner.model_dump(mode="json"), float(study.best.value or math.nan), len(study.trials)


def optuna_loop(sampler: str, pruner: str) -> Callable[[Ground], Found]:
    """A plain loop around Optuna's ask and tell."""

    def search(ground: Ground) -> Found:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction=ground.experiment.objective.direction,
            sampler=getattr(optuna.samplers, sampler)(seed=ground.seed),
            pruner=getattr(optuna.pruners, pruner)(),
        )
        ends = time.time() + ground.seconds
        found: list[tuple[float, dict[str, Any]]] = []
        while time.time() < ends:
            trial = study.ask()
            config, values, state = ground.config(trial), [], optuna.trial.TrialState.COMPLETE
            for index, value in ground.train(config):
                values.append(value)
                found.append((ground.sign * value, config))
                trial.report(value, index)
                if time.time() >= ends or not math.isfinite(value) or trial.should_prune():
                    state = optuna.trial.TrialState.PRUNED
                    break
            complete = state == optuna.trial.TrialState.COMPLETE
            study.tell(trial, ground.best(values) if complete else None, state=state)
        return best_of(found, ground, len(study.trials))

    return search


def ray_tune(ground: Ground) -> Found:
    """Ray Tune with its ASHA and its Optuna search, one trial at a time."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    heard = ground.folder / "heard.jsonl"
    times = ground.experiment.trainer.evaluations(ground.experiment.space_file.config) or 20

    def trainable(given: dict[str, Any]) -> None:
        config = ground.config(Chosen(given))
        for index, value in ground.train(config):
            with heard.open("a") as file:
                file.write(json.dumps([time.time(), ground.sign * value, config]) + "\n")
            tune.report({"value": ground.sign * value, "training_iteration": index})

    space = {name: ground.experiment.space.distribution(name) for name in ground.experiment.space.params}
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    ends = time.time() + ground.seconds
    mode = {"metric": "value", "mode": "min"}
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            num_samples=-1,
            time_budget_s=ground.seconds,
            max_concurrent_trials=1,
            reuse_actors=True,
            search_alg=OptunaSearch(space, seed=ground.seed, **mode),
            scheduler=ASHAScheduler(max_t=times, grace_period=min(GRACE, times), reduction_factor=FACTOR, **mode),
        ),
        run_config=tune.RunConfig(storage_path=str(ground.folder / "ray"), verbose=0),
    )
    results = tuner.fit()
    rows = [json.loads(line) for line in heard.read_text().splitlines()]
    ray.shutdown()
    return best_of([(value, config) for at, value, config in rows if at <= ends], ground, len(results))


class Chosen:
    """An Optuna trial whose values are given."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.suggest_float = self.suggest_int = self.suggest_categorical = lambda name, *a, **k: params[name]


def best_of(found: list[tuple[float, dict[str, Any]]], ground: Ground, trials: int) -> Found:
    """The config with the best evaluation of a search."""
    value, config = min((row for row in found if math.isfinite(row[0])), key=lambda row: row[0])
    return config, ground.sign * value, trials


PEERS: dict[str, Callable[[Ground], Found]] = {
    "optuna tpe + median": optuna_loop("TPESampler", "MedianPruner"),
    "optuna random": optuna_loop("RandomSampler", "NopPruner"),
    "ray tune asha + optuna": ray_tune,
}


def report(rows: list[dict[str, Any]]) -> None:
    """Prints a table for each space: the winner's value with fresh seeds, quartiles of the searches."""
    for space in dict.fromkeys(row["space"] for row in rows):
        chosen = [row for row in rows if row["space"] == space]
        times = sorted({row["minutes"] for row in chosen})
        print(f"\n**{space}** (searches)\n\n| method | " + " | ".join(f"{m:g} minutes" for m in times) + " |")
        print("|---|" + "---|" * len(times))
        for method in dict.fromkeys(row["method"] for row in chosen):
            cells = [cell([r for r in chosen if r["method"] == method and r["minutes"] == m]) for m in times]
            print(f"| {method} | " + " | ".join(cells) + " |")


def cell(rows: list[dict[str, Any]]) -> str:
    """Quartiles of the values, and the median number of trials."""
    if not rows:
        return ""
    values = " / ".join(f"{value:.4g}" for value in np.quantile([row["value"] for row in rows], [0.25, 0.5, 0.75]))
    return f"{values} ({len(rows)}; {np.median([row['trials'] for row in rows]):g} trials)"


if __name__ == "__main__":
    main()
