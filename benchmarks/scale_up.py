"""Do the rules of `hpsearch export --for` find the best learning rate of a larger model and of a longer training?

    python benchmarks/scale_up.py train.txt valid.txt -o scale.jsonl    trains (half an hour of a core); resumes
    python benchmarks/scale_up.py --table scale.jsonl                   prints the tables

Trains a small Llama over a grid of rates at several widths, lengths and depths, each time changing one of them alone
(a longer training has the batch of Step Law); a grid grows until its best rate is not at its end. The best rate is the
lowest point of a parabola through the best loss and its two neighbours, in the logarithm of the rate. Printed are the
losses, the exponent by which the best rate moves, and what the rate of each rule loses against the best one of a size,
if it starts from the best one of the size before. At last the rules make rates for models of a published grid out of
the best rate here.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.trainers.causal_lm.rules import parameters
from hpsearch.trainers.causal_lm.scale_rules import REPLICATION, STEP_LAW_RATE, WIDTH_DEPTH, Growth
from hpsearch.training.config import ModelConfig, TrainConfig
from hpsearch.training.loop import train

SIZES: dict[str, tuple[float, ...]] = {"width": (16, 32, 64, 128), "tokens": (0.25, 1, 2), "layers": (2, 8)}
MIDDLE = {"width": 64, "tokens": 1, "layers": 2}  # of what is not changed; tokens in epochs
HEAD, BATCH, CONTEXT, BATCH_OF_TOKENS = 16, 16, 64, 0.571
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
# Best rates of Llamas by others, at 1.024e9 tokens (layers, rate; width 128 times the layers): Lingle, part III
PUBLISHED = ((6, 3.91e-3), (8, 1.95e-3), (12, 9.77e-4), (16, 6.91e-4))
PUBLISHED_TOKENS = 1.024e9
WORST = 8.0  # a loss that counts as no better than any higher one


class Grid(NamedTuple):
    """The losses of one size over the rates, as the mean of its seeds."""

    size: float
    rates: list[float]
    losses: list[float]


def config(given: argparse.Namespace, name: str, size: float, rate: float, seed: int) -> TrainConfig:
    """The config of one training: the middle, but for one size."""
    at = MIDDLE | {name: size}
    files = {part: str(Path(file).resolve()) for part, file in zip(("train", "valid"), given.data, strict=True)}
    width = int(at["width"])
    return TrainConfig.model_validate(
        {
            "seed": seed,
            "data": {"text": {"task": "text", "files": files}},
            "tokenizer": {"kind": "bpe", "vocab_size": 1000},
            "model": {"n_layers": int(at["layers"]), "width": width, "n_heads": width // HEAD, "context": CONTEXT},
            "training": {
                "learning_rate": rate,
                "batch_size": max(1, round(BATCH * at["tokens"] ** BATCH_OF_TOKENS)),
                "epochs": at["tokens"],
                "precision": "fp32",
            },
            "evaluation": {"times": 4},
        }
    )


def trained(config: TrainConfig) -> dict[str, Any]:
    """The end of a training."""
    cache = Path(tempfile.gettempdir()) / "hpsearch-scale"
    settings = WorkerSettings(device="cpu", threads=1, cache=cache, base=Path())
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        last = list(train(config, Handle(settings, Path(folder))))[-1]
    seconds = round(time.process_time() - began, 1)
    return {"loss": last.metrics["val/loss"], "tokens": last.tokens, "steps": last.step, "seconds": seconds}


def run(given: argparse.Namespace) -> None:
    """Trains what the file does not have yet."""
    for name in given.series:
        for size in SIZES[name]:
            while lacking := wanted(known_rates(given, name, size)):
                for rate in lacking:
                    row = {"series": name, "size": size, "rate": rate, "seed": given.seed}
                    row |= trained(config(given, name, size, rate, given.seed))
                    with given.out.open("a") as out:
                        out.write(json.dumps(row) + "\n")
                    print(row, flush=True)


def known_rates(given: argparse.Namespace, name: str, size: float) -> dict[float, float]:
    """The losses of a size by rate; the middle is the same training in every series."""
    rows = [row for row in read(given.out) if row["seed"] == given.seed and is_of(row, name, size)]
    return {row["rate"]: min(WORST, row["loss"]) for row in rows}


def is_of(row: dict[str, Any], name: str, size: float) -> bool:
    """Whether a training belongs to a size of a series."""
    is_middle = size == MIDDLE[name] and row["size"] == MIDDLE[row["series"]]
    return is_middle or (row["series"] == name and row["size"] == size)


def wanted(found: dict[float, float]) -> list[float]:
    """The rates to train next: the five first ones, then one more on the side where the best one is at the end."""
    if lacking := [rate for rate in RATES if rate not in found]:
        return lacking
    low, *_, high = sorted(found)
    best = min(found, key=found.__getitem__)
    return [low / 2] if best == low else [high * 2] if best == high else []


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of trainings; none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# -------------------------------------------------------------------------------------------------------------- tables


def table(rows: list[dict[str, Any]]) -> None:
    """Prints the losses and best rates of each series, and what the rules lose."""
    print(f"{len(rows)} trainings, {sum(row['seconds'] for row in rows):.0f} s of processor time")
    for name in SIZES:
        grids = [grid for size in SIZES[name] if len((grid := grid_of(rows, name, size)).rates) > 2]
        if len(grids) > 1:
            _print_losses(name, grids)
            _print_rules(name, grids)
    _print_published(grid_of(rows, "width", MIDDLE["width"]), tokens=tokens_of(rows))


def tokens_of(rows: list[dict[str, Any]]) -> float:
    """The tokens of a training of the middle."""
    return float(next(row["tokens"] for row in rows if is_of(row, "width", MIDDLE["width"])))


def grid_of(rows: list[dict[str, Any]], name: str, size: float) -> Grid:
    """The mean losses of a size over the rates."""
    found: dict[float, list[float]] = {}
    for row in rows:
        if is_of(row, name, size):
            found.setdefault(row["rate"], []).append(min(WORST, row["loss"]))
    rates = sorted(found)
    return Grid(size, rates, [float(np.mean(found[rate])) for rate in rates])


def best_rate(grid: Grid) -> float:
    """The lowest point of a parabola through the best loss and its neighbours; at an end of the grid that rate."""
    at = int(np.argmin(grid.losses))
    if at in (0, len(grid.rates) - 1):
        return grid.rates[at]
    x, y = np.log(grid.rates[at - 1 : at + 2]), grid.losses[at - 1 : at + 2]
    square, slope, _ = np.polyfit(x - x[1], y, 2)
    return float(np.exp(x[1] - slope / (2 * square)))


def loss_at(grid: Grid, rate: float) -> float:
    """The loss of a rate between those of a grid, linear in the logarithm; NaN outside."""
    inside = grid.rates[0] <= rate <= grid.rates[-1]
    return float(np.interp(math.log(rate), np.log(grid.rates), grid.losses)) if inside else math.nan


def _print_losses(name: str, grids: list[Grid]) -> None:
    rates = sorted({rate for grid in grids for rate in grid.rates})
    print(
        f"\n| {name} | "
        + " | ".join(f"{rate:g}" for rate in rates)
        + " | best rate |\n"
        + "|---" * (len(rates) + 2)
        + "|"
    )
    for grid in grids:
        losses = dict(zip(grid.rates, grid.losses, strict=True))
        cells = [f"{losses[rate]:.3f}" if rate in losses else "" for rate in rates]
        print(f"| {grid.size:g} | " + " | ".join(cells) + f" | {best_rate(grid):.2g} |")
    slope = np.polyfit(np.log([grid.size for grid in grids]), np.log([best_rate(grid) for grid in grids]), 1)[0]
    print(f"the best rate goes as {name}^{slope:.2f}")


def _print_rules(name: str, grids: list[Grid]) -> None:
    print("\n| from, to | rule | rate | loss above the best of the grid |\n|---|---|---|---|")
    for before, after in itertools.pairwise(grids):
        for rule, ratio in _ratios(name, before.size, after.size):
            rate = best_rate(before) * ratio
            loses = loss_at(after, rate) - min(after.losses)
            print(f"| {before.size:g}, {after.size:g} | {rule} | {rate:.2g} | {loses:.3f} |")


def _ratios(name: str, before: float, after: float) -> Iterator[tuple[str, float]]:
    """What each rule makes of the rate."""
    yield "as it is", 1.0
    yield from _laws(MIDDLE | {name: before}, MIDDLE | {name: after})


def _laws(before: dict[str, float], after: dict[str, float]) -> Iterator[tuple[str, float]]:
    growth = Growth(
        width=after["width"] / before["width"],
        layers=after["layers"] / before["layers"],
        parameters=(_parameters(before), _parameters(after)),
        tokens=(before["tokens"], after["tokens"]),
    )
    for law in (WIDTH_DEPTH, REPLICATION, STEP_LAW_RATE):
        yield law.name, law.ratio(growth)


def _parameters(at: dict[str, float]) -> int:
    width = int(at["width"])
    return parameters(ModelConfig(n_layers=int(at["layers"]), width=width, n_heads=width // HEAD))


def _print_published(middle: Grid, *, tokens: float) -> None:
    """What the rules make of our best rate at the sizes of a published grid, and the best rates there."""
    ours = MIDDLE | {"tokens": tokens}
    print("\n| parameters | best rate there | rule | rate | of the best |\n|---|---|---|---|---|")
    for layers, best in PUBLISHED:
        there: dict[str, float] = {"width": 128 * layers, "layers": layers, "tokens": PUBLISHED_TOKENS}
        for rule, ratio in _laws(ours, there):
            rate = best_rate(middle) * ratio
            print(f"| {_parameters(there) / 1e6:.0f}M | {best:.2g} | {rule} | {rate:.2g} | {rate / best:.2f} |")


def main() -> None:
    """Trains the grids, or prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="text to train on, text to validate on")
    parser.add_argument("-o", "--out", type=Path, default=Path("scale.jsonl"))
    parser.add_argument("--series", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table:
        table(read(given.table))
    else:
        run(given)


if __name__ == "__main__":
    main()
