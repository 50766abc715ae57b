"""Compares searches on stored learning curves, hpsearch's policies and their peers side by side.

    python benchmarks/search/compare.py DATA --bench lc_167184,ts --methods all --seeds 10 --out runs.jsonl
    python benchmarks/search/compare.py DATA --report runs.jsonl

DATA is the folder with simulate.py, which has the simulator and the peers, and the tables beside it. They are not part
of this repository. `lc_*` needs onnxruntime; the peers of Syne Tune need syne-tune. Compute is counted in full-training
equivalents (FTE), the mean cost of one full training. `ts` stands for all tasks of the TaskSet table.
"""

from __future__ import annotations

import argparse
import heapq
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import seam  # the files beside this one, which is no package
from race import Race

GOALS = {"ts": 5.0, "lc": 1.0, "charlm": 5.0, "steplaw": 0.1, "steplawS": 0.1}  # percent above the best value
PEERS = ["random", "optuna_tpe", "optuna_tpe_median", "optuna_tpe_sh", "asha_stop_ray", "asha_promotion", "hps", "race"]


def main() -> None:
    """Runs the searches that the command line names, or reports on the runs of a file."""
    args = arguments()
    if args.report:
        report([json.loads(line) for line in args.report.read_text().splitlines()])
        return
    simulator = load(args.data)
    benches = [name for wanted in args.bench.split(",") for name in expanded(simulator, wanted)]
    names = [*PEERS, *seam.methods()] if args.methods == "all" else args.methods.split(",")
    for bench_name in benches:
        bench = simulator.BENCH[bench_name]()
        goal = bench.best * (1 + goal_of(bench_name) / 100) + 1e-12
        for name in names:
            for seed in range(args.seed0, args.seed0 + args.seeds):
                method = simulator.METHODS[name](bench, seed, args.workers)
                if args.trials:
                    row = study(method, bench, workers=args.workers, trials=args.trials)
                else:
                    row = run(method, bench, workers=args.workers, fte=args.fte, goal=goal)
                row |= {"bench": bench_name, "method": name, "seed": seed, "workers": args.workers}
                row |= {"trials": args.trials} if args.trials else {"fte": args.fte}
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(bench_name, name, seed, row.get("reached", row.get("regret")), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bench", default="ts,lc_167184,lc_126026,charlm_s,steplaw960,steplaw1024")
    parser.add_argument("--methods", default="all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed0", type=int, default=0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fte", type=float, default=50.0, help="budget of one search")
    parser.add_argument("--trials", type=int, help="budget of one search in place of --fte")
    parser.add_argument("--out", type=Path, default=Path("runs.jsonl"))
    parser.add_argument("--report", type=Path, help="print the table of such a file and end")
    return parser.parse_args()


def load(data: Path) -> ModuleType:
    """The simulator beside the data, with hpsearch's methods and every task of TaskSet."""
    spec = importlib.util.spec_from_file_location("simulate", data / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    simulator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulator)
    simulator.METHODS.update(seam.methods() | {"race": Race})
    with np.load(data / "taskset_imdb" / "taskset_imdb.npz") as table:
        tasks = sorted(key.removesuffix("__val") for key in table.files if key.endswith("__val"))
    for task in tasks:
        simulator.BENCH[f"ts_{task.removeprefix('imdb_')}"] = lambda task=task: simulator.taskset(task)
    return simulator


def expanded(simulator: ModuleType, wanted: str) -> list[str]:
    """The benchmarks that a word names; `ts`: all tasks of TaskSet."""
    return [name for name in simulator.BENCH if name.startswith("ts_patch")] if wanted == "ts" else [wanted]


def goal_of(bench: str) -> float:
    """How far above the best known value a search has found it, in percent."""
    return GOALS[bench.split("_")[0].rstrip("0123456789")]


@dataclass(frozen=True)
class Step:
    """One level of one trial: the time at which it ended, what it cost, its value, and whether its trial has ended."""

    now: float
    cost: float
    value: float
    last: bool


def steps(method: Any, bench: Any, *, workers: int, trials: int | None = None) -> Iterator[Step]:
    """One search, level by level, without end; `trials`: until none of so many is in training or resumes.

    The events are those of the simulator's own loop, which has no budget of trials.
    """
    clock, known, order = list[tuple[float, int, int, float]](), dict[int, Any](), count()
    whole, idle = method.full and bench.restart, workers
    levels = getattr(method, "levels", slice(None))  # a method may pass some by

    def chosen() -> int | None:
        """The trial of a free worker; None: there is none."""
        while True:
            number, point = method.next()
            if number is None or (point is not None and trials is not None and len(known) >= trials):
                return None
            if point is not None:
                _, values, costs = bench.get(point)
                values, costs = values[levels], costs[levels]
                known[number] = [values, costs, 0]
            values, costs, level = known[number]
            if level < len(values):
                return int(number)
            method.report(number, bench.R, float(values[-1]), True)  # its own training was shorter: it has ended

    def put(now: float, number: int) -> None:
        _, costs, level = known[number]
        cost = float(costs[-1] if whole else costs[level])
        heapq.heappush(clock, (now + cost, next(order), number, cost))

    now = 0.0
    while True:
        while idle and (number := chosen()) is not None:
            idle -= 1
            put(now, number)
        if not clock:
            return
        now, _, number, cost = heapq.heappop(clock)
        values, _, level = known[number]
        level = known[number][2] = len(values) if whole else level + 1
        value, last = float(values[level - 1]), level == len(values)
        value = value if np.isfinite(value) else 1e3
        yield Step(now, cost, value, last)
        if method.report(number, level, value, last) != "go" or last:
            idle += 1
        else:
            put(now, number)


def run(method: Any, bench: Any, *, workers: int, fte: float, goal: float) -> dict[str, Any]:
    """One search until it reaches the goal or its budget: FTE to the goal (None: not reached), seconds."""
    began = time.process_time()
    for step in steps(method, bench, workers=workers):
        spent = step.now * workers / bench.fte
        if spent > fte:
            break
        if (step.last or not bench.restart) and step.value <= goal:
            return {"reached": round(spent, 3), "seconds": round(time.process_time() - began, 2)}
    return {"reached": None, "seconds": round(time.process_time() - began, 2)}


def study(method: Any, bench: Any, *, workers: int, trials: int) -> dict[str, Any]:
    """One search of so many trials: by how many percent its best value is above the best known one, and FTE."""
    if hasattr(method, "limit"):
        method.limit(trials)
    found = list(steps(method, bench, workers=workers, trials=trials))
    best = min(step.value for step in found if step.last or not bench.restart)
    spent = sum(step.cost for step in found) / bench.fte
    regret = 100 * (best / bench.best - 1)
    return {"regret": round(regret, 3), "spent": round(spent, 2), "ended": sum(step.last for step in found)}


def report(rows: list[dict[str, Any]]) -> None:
    """Prints a table; FTE to the goal, or of studies with a budget of trials their regret."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    print("| benchmark (budget) | " + " | ".join(methods) + " |\n|" + "---|" * (len(methods) + 1))
    for bench, workers in dict.fromkeys((row["bench"], row["workers"]) for row in rows):
        known = [row for row in rows if (row["bench"], row["workers"]) == (bench, workers)]
        cells = [cell([row for row in known if row["method"] == method]) for method in methods]
        budget = f"{known[0]['trials']} trials" if "regret" in known[0] else f"{max(row['fte'] for row in known):g}"
        print(f"| {bench} ({budget}, {workers} worker{'s' * (workers > 1)}) | " + " | ".join(cells) + " |")


def cell(rows: list[dict[str, Any]]) -> str:
    """One cell of the table: the lower quartile / median / upper quartile; `>`: beyond the budget.

    In brackets the seeds that reached the goal, or the median FTE of a study with a budget of trials.
    """
    if not rows:
        return ""
    if "regret" in rows[0]:
        return f"{quarters([row['regret'] for row in rows])} ({median(row['spent'] for row in rows):.1f})"
    found = [np.inf if row["reached"] is None else row["reached"] for row in rows]
    return f"{quarters(found)} ({sum(value < np.inf for value in found)})"


def quarters(values: list[float]) -> str:
    """Lower quartile / median / upper quartile."""
    found = sorted(values)
    return " / ".join(f"{v:.1f}" if v < np.inf else ">" for v in (found[len(found) * part // 4] for part in (1, 2, 3)))


if __name__ == "__main__":
    main()
