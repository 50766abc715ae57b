"""Selection regret in simulation: how much worse the chosen trial is than the best one, in seed deviations.

    python benchmarks/search/regret.py

A search is a set of trials whose true values lie `spread` seed deviations apart (normal); each is measured once, with
a seed deviation of 1. `minimum` takes the best measured value. `confirmed` trains the finalists again with fresh
seeds and takes the best mean, with hpsearch's own code (journal/confirmation.py) and seeds (policies/finalists.py): 3
x 3 seeds, or 3 x 1 after at most 12 trials. `optimism` is by how much the measured value of `minimum` flatters its
trial.
"""

from __future__ import annotations

import argparse

import numpy as np

from hpsearch.journal.confirmation import confirmation
from hpsearch.policies.finalists import SEEDS, SMALL_STUDY, TOP

SPREADS = (0.5, 1.0, 2.0, 4.0)  # of the true values, in seed deviations


def main() -> None:
    """Prints a table: a row for each number of trials and spread."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--searches", type=int, default=4000, help="simulated for each row")
    parser.add_argument("--trials", type=int, nargs="+", default=[12, 16, 40, 100])
    options = parser.parse_args()
    draw = np.random.default_rng(0)
    print("| trials | spread | minimum | confirmed | seeds | optimism of minimum | of confirmed |\n|" + "---|" * 7)
    for trials in options.trials:
        for spread in SPREADS:
            found = np.array([search(draw, trials, spread) for _ in range(options.searches)])
            error = found.std(axis=0) / np.sqrt(options.searches)
            means = [f"{mean:.2f} ± {2 * e:.2f}" for mean, e in zip(found.mean(axis=0), error, strict=True)]
            seeds = f"{TOP} x {seeds_of(trials)}"
            print(f"| {trials} | {spread:g} | {means[0]} | {means[1]} | {seeds} | {means[2]} | {means[3]} |")


def seeds_of(trials: int) -> int:
    """The fresh seeds of each finalist."""
    return 1 if trials <= SMALL_STUDY else SEEDS


def search(draw: np.random.Generator, trials: int, spread: float) -> tuple[float, float, float, float]:
    """Returns the regret of the minimum and of the confirmed winner, and by how much each one's value flatters."""
    true = spread * draw.standard_normal(trials)
    measured = true + draw.standard_normal(trials)
    finalists = [int(number) for number in np.argsort(measured)[:TOP]]
    fresh = {number: list(true[number] + draw.standard_normal(seeds_of(trials))) for number in finalists}
    found = confirmation({number: float(measured[number]) for number in finalists}, fresh).winner
    first, best = finalists[0], true.min()
    return true[first] - best, true[found.trial] - best, true[first] - measured[first], true[found.trial] - found.mean


if __name__ == "__main__":
    main()
