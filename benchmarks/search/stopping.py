"""What `search.stop` saves and loses, on stored learning curves: searches that end by it, and that go on all the same.

    python benchmarks/search/stopping.py DATA --bench lc_167184,charlm_s --seeds 10 --out stops.jsonl
    python benchmarks/search/stopping.py DATA --report stops.jsonl

DATA is the folder of compare.py. A search runs to its budget of trials; at each trial that ends it is noted what the
rule says, so that one run answers for several thresholds. Thresholds are in shares of the best known value, as sigma
is assumed (0.5%). Saved: the share of the compute that the rest of the search took. Lost: by how much the best value
at the stop is above the best one at the end, in thresholds.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from compare import load

from hpsearch.journal.trial_history import number
from hpsearch.policies.budget.saturation import FEWEST, expected_gain

SHARES = (0.0025, 0.005, 0.01)  # thresholds, of the best known value
METHODS = ("hpsearch tpe + successive_halving", "hpsearch curves + promotion", "hpsearch curves")


def main() -> None:
    """Runs the searches that the command line names, or reports on the runs of a file."""
    args = arguments()
    if args.report:
        report([json.loads(line) for line in args.report.read_text().splitlines()])
        return
    simulator = load(args.data)
    for bench_name in args.bench.split(","):
        bench = simulator.BENCH[bench_name]()
        for name in METHODS:
            for seed in range(args.seed0, args.seed0 + args.seeds):
                method = simulator.METHODS[name](bench, seed, args.workers)
                trace = run(method, bench, workers=args.workers, trials=args.trials)
                row = {"bench": bench_name, "method": name, "seed": seed, "best": bench.best, "trace": trace}
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(bench_name, name, seed, len(trace), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bench", default="lc_167184,lc_126026,charlm_s,ts_patch32_LSTM128_bs128")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed0", type=int, default=0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=100, help="budget of one search")
    parser.add_argument("--out", type=Path, default=Path("stops.jsonl"))
    parser.add_argument("--report", type=Path, help="print the table of such a file and end")
    return parser.parse_args()


def run(method: Any, bench: Any, *, workers: int, trials: int) -> list[tuple[float, float, float | None]]:
    """One search: (FTE, best final value, expected gain) after each trial that ended."""
    clock, known, order, now = list[tuple[float, int, int]](), dict[int, Any](), count(), 0.0
    trace: list[tuple[float, float, float | None]] = []

    def assign() -> None:
        while len(known) < trials:
            number_, point = method.next()
            if point is not None:
                _, values, costs = bench.get(point)
                known[number_] = [values, costs, 0]
            values, costs, level = known[number_]
            if level < len(values):
                heapq.heappush(clock, (now + costs[level], next(order), number_))
                return
            method.report(number_, bench.R, float(values[-1]), True)
            note()

    def note() -> None:
        history = method.history
        ended = [trial for trial in history.trials.values() if trial.outcome is not None or trial.paused]
        values = [number(trial.value) if trial.counts else math.nan for trial in ended]
        best = min((value for value in values if math.isfinite(value)), default=math.inf)
        gain = expected_gain(values) if len(ended) >= FEWEST else None
        trace.append((float(now) * workers / float(bench.fte), float(best), gain))

    for _ in range(workers):
        assign()
    while clock:
        now, _, number_ = heapq.heappop(clock)
        values, costs, level = known[number_]
        level = known[number_][2] = level + 1
        value, last = float(values[level - 1]), level == len(values)
        if method.report(number_, level, value if np.isfinite(value) else 1e3, last) != "go" or last:
            note()
            assign()
        else:
            heapq.heappush(clock, (now + costs[level], next(order), number_))
    return trace


def report(rows: list[dict[str, Any]]) -> None:
    """Prints a table: for each threshold the searches that stop, what they save, and what they lose."""
    print("| benchmark | search | threshold | stop | saved | lost: median / 90% / most |\n|---|---|---|---|---|---|")
    for bench, method in dict.fromkeys((row["bench"], row["method"]) for row in rows):
        for share in SHARES:
            found = [at(row, share) for row in rows if (row["bench"], row["method"]) == (bench, method)]
            stopped = [one for one in found if one is not None]
            saved = sum(one[0] for one in stopped) / len(found)
            lost = sorted(one[1] for one in stopped) or [0.0]
            shown = " / ".join(f"{lost[min(len(lost) - 1, int(q * len(lost)))]:.2f}" for q in (0.5, 0.9, 1.0))
            print(f"| {bench} | {method} | {share:.2%} | {len(stopped)} of {len(found)} | {saved:.0%} | {shown} |")


def at(row: dict[str, Any], share: float) -> tuple[float, float] | None:
    """(share of the compute that a stop saves, thresholds that it loses); None: it does not stop."""
    least, (fte, best, _) = share * abs(row["best"]), row["trace"][-1]
    for spent, value, gain in row["trace"]:
        if gain is not None and gain < least:
            return 1 - spent / fte, (value - best) / least
    return None


if __name__ == "__main__":
    main()
