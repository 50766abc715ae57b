"""The same study on one Ray node and on two, and by local workers: what a second node saves, and what Ray costs.

The nodes are two Rays of this machine with one CPU each, as `ray.cluster_utils.Cluster` starts them; they run before
`hpsearch run` is started and end after it, and are not in its time. The data are tokenised before. In each round the
same study runs in four ways, as whole processes from start to end:

    local        --launcher local --workers 2
    own Ray      --launcher ray --workers 2, which starts a Ray for the run
    two nodes    --launcher ray on a Ray that runs already: two workers, one on each node
    one node     --launcher ray on a Ray that runs already: one worker

    python benchmarks/nodes.py                                  # 24 trials of 2 s, once
    python benchmarks/nodes.py --rounds 3                       # in turns, medians and quartiles: about 8 minutes
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]  # runs in a checkout that was never installed, too

import turnaround  # noqa: E402  # its study, and its clock around the training

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
Figures = dict[str, float]


@dataclass(frozen=True)
class Way:
    """One way of running the study."""

    label: str
    launcher: str
    workers: int
    nodes: int = 0  # that run already; 0: none


WAYS = {
    "local": Way("local workers", "local", 2),
    "own": Way("a Ray of its own", "ray", 2),
    "two": Way("two nodes that run already", "ray", 2, nodes=2),
    "one": Way("one node that runs already", "ray", 1, nodes=1),
}


class Bench(turnaround.Bench):
    """The space and the tokenised data of turnaround.py; each run gets a fresh folder."""

    def compare(self, name: str, number: int) -> Figures:
        """One `hpsearch run`, from the start of its process to its end."""
        way, folder = WAYS[name], self.place / f"{name}-{number}"
        log = folder / "log"
        log.mkdir(parents=True)
        (folder / "nodes.yaml").write_text(self.space)
        shutil.copytree(self.home.path, folder / "home")
        with nodes(way.nodes, turnaround.environment(log)) as told:
            began = time.time()
            done = subprocess.run(command(way, folder), env=told, capture_output=True, text=True)
            wall = time.time() - began
        if done.returncode:
            sys.exit(f"{way.label}: failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        trials = [json.loads(line) for path in log.glob("*.jsonl") for line in path.read_text().splitlines()]
        shutil.rmtree(folder)
        trials = self.checked(name, trials)
        return turnaround.figures(trials, began, wall, way.workers) | costs(trials, way.workers)


@contextlib.contextmanager
def nodes(count: int, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """So many Ray nodes of one CPU with this environment, which their workers inherit; gives a command's to join."""
    if not count:
        yield environment
        return
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(environment)
    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            made.add_node(**NODE)
        made.wait_for_nodes()
        yield environment | {"RAY_ADDRESS": made.address}
    finally:
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)


def command(way: Way, folder: Path) -> list[str]:
    """`hpsearch run` in this way."""
    run = [sys.executable, "-c", "from hpsearch.cli import main; main()", "run", str(folder / "nodes.yaml")]
    return [*run, "--home", str(folder / "home"), "--launcher", way.launcher, "--workers", str(way.workers)]


def costs(trials: list[dict[str, Any]], workers: int) -> Figures:
    """What is between the trainings: the wait for an answer after an evaluation, and the time with work to do."""
    waits = [(trial["last"] - trial["first"] - trial["working"]) / (trial["size"][1] - 1) for trial in trials]
    searched = max(trial["ended"] for trial in trials) - min(trial["first"] for trial in trials)
    return {"answer": median(waits), "searching": searched, "workers": float(len({trial["pid"] for trial in trials}))}


# ----------------------------------------------------------------------------------------------------------- the report

COLUMNS: dict[str, Callable[[float], str]] = turnaround.COLUMNS | {
    "answer": lambda value: f"{1000 * value:.1f} ms",  # from an evaluation to the next step, with the driver's part
    "searching": lambda value: f"{value:.1f} s",  # first step of the first trial to the end of the last
    "workers": lambda value: f"{value:.0f}",  # processes that trained
}
RATIOS = (
    ("two nodes over one", "two", "one"),
    ("a Ray of its own over local workers", "own", "local"),
    ("a Ray that runs already over local workers", "two", "local"),
)


def report(found: dict[str, list[Figures]]) -> None:
    """A table of the ways, then the ratios of each round."""
    for name, rounds in found.items():
        print(f"\n{WAYS[name].label}, {WAYS[name].workers} worker(s)")
        for column, form in COLUMNS.items():
            print(f"  {column:20} {turnaround.spread([figures[column] for figures in rounds], form)}")
    print()
    for label, a, b in RATIOS:
        if a in found and b in found:
            compare(label, found[a], found[b])


def compare(label: str, ours: list[Figures], theirs: list[Figures]) -> None:
    """One line: wall time, time from the first step to the end of the last trial, and what an evaluation takes more."""
    pairs = list(zip(ours, theirs, strict=True))
    wall = [a["wall"] / b["wall"] for a, b in pairs]
    searching = [a["searching"] / b["searching"] for a, b in pairs]
    answers = [a["answer"] - b["answer"] for a, b in pairs]
    print(
        f"{label}: {turnaround.spread(wall, '{:.2f}'.format)} of the time, "
        f"without start and end {turnaround.spread(searching, '{:.2f}'.format)}; "
        f"an evaluation's answer {turnaround.spread(answers, lambda value: f'{1000 * value:+.1f} ms')}"
    )


def main() -> None:
    """Calibrates, runs the study in each way in turns, reports."""
    options = arguments()
    names = [name for name in WAYS if name not in options.skip]
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), options)
        print(f"{options.trials} trials of {bench.epochs} epochs, {options.rounds} round(s)", flush=True)
        found: dict[str, list[Figures]] = {name: [] for name in names}
        for number in range(options.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                found[name].append(bench.compare(name, number))
                line = ", ".join(f"{column} {form(found[name][-1][column])}" for column, form in COLUMNS.items())
                print(f"round {number + 1}, {WAYS[name].label}: {line}", flush=True)
        report(found)


def arguments() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a trial, about, of one core")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--skip", action="append", default=[], choices=list(WAYS), help="a way; may be repeated")
    parser.add_argument("--epochs", type=float, help="of a trial, instead of --seconds")
    parser.add_argument("--used-home", action="store_true", help="MLflow's database is there, as in any later study")
    parser.set_defaults(workers=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
