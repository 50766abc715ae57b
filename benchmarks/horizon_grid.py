"""Do learning rates and batch sizes shifted with the horizon rank configs as the whole training does?

    python benchmarks/horizon_grid.py train.txt valid.txt -o grid.jsonl    trains (half an hour of a core); resumes
    python benchmarks/horizon_grid.py --table grid.jsonl                   prints the tables

A grid over learning rate and batch size is trained with a schedule of its own at each horizon (a share of the epochs):
as it is, and with rate and batch shifted by Step Law's exponents; other shifts are interpolated. Printed are the rank
correlation of the short trainings' losses with those of the longest horizon, what the config that the short ones prefer
loses there, and the exponents by which the best learning rate and batch size of these trainings move.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import griddata
from scipy.stats import spearmanr

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.training.config import TrainConfig
from hpsearch.training.loop import train

Array = NDArray[np.float64]
HORIZONS = (1 / 9, 1 / 3, 1.0)
RATE, BATCH = 0.307, 0.571  # exponents of the horizon (Step Law, arXiv 2503.04715)
SHIFTS = {"as they are": (0.0, 0.0), "rate and batch shifted": (RATE, BATCH), "batch shifted": (0.0, BATCH)}
WORST = 8.0  # a loss that counts as no better than any higher one
NEAR = 0.5  # nats above the best loss of a horizon: the trainings that the optimum is fitted to


def trainings(given: argparse.Namespace) -> Iterator[tuple[dict[str, Any], TrainConfig]]:
    """What each training is (horizon, rate and batch of the whole one, shifted or not), and its config."""
    for horizon in HORIZONS:
        for shifted in (False, True) if horizon < 1 else (False,):
            for rate in given.rates:
                for batch in given.batches:
                    place = {"horizon": round(horizon, 4), "shifted": shifted, "rate": rate, "batch": batch}
                    yield place, config(given, horizon, rate, batch, shifted=shifted)


def config(given: argparse.Namespace, horizon: float, rate: float, batch: int, *, shifted: bool) -> TrainConfig:
    """The config of one training."""
    scale = horizon if shifted else 1.0
    files = {name: str(Path(file).resolve()) for name, file in zip(("train", "valid"), given.data, strict=True)}
    return TrainConfig.model_validate(
        {
            "seed": given.seed,
            "data": {"text": {"task": "text", "files": files}},
            "tokenizer": {"kind": "bpe", "vocab_size": given.vocabulary},
            "model": {"n_layers": given.layers, "width": given.width, "n_heads": 4, "context": 64},
            "training": {
                "learning_rate": rate * scale**RATE,
                "batch_size": max(1, round(batch * scale**BATCH)),
                "epochs": given.epochs * horizon,
                "precision": "fp32",
            },
            "evaluation": {"times": 4},
        }
    )


def trained(config: TrainConfig) -> dict[str, Any]:
    """The end of a training."""
    settings = WorkerSettings(device="cpu", threads=1, cache=Path(tempfile.gettempdir()) / "hpsearch-grid", base=Path())
    with tempfile.TemporaryDirectory() as folder:
        curve = list(train(config, Handle(settings, Path(folder))))
    losses = [one.metrics["val/loss"] for one in curve]
    return {"loss": losses[-1], "lowest": min(losses), "tokens": curve[-1].tokens, "steps": curve[-1].step}


# -------------------------------------------------------------------------------------------------------------- tables


def table(rows: list[dict[str, Any]]) -> None:
    """Prints the tables of a grid; its longest horizon is the whole one."""
    by_horizon = {h: [row for row in rows if row["horizon"] == h] for h in sorted({row["horizon"] for row in rows})}
    *shorter, longest = by_horizon
    whole = {(row["rate"], row["batch"]): row["loss"] for row in by_horizon[longest] if not row["shifted"]}
    places, losses = np.log(np.array(list(whole))), np.array(list(whole.values()))
    best = list(whole)[int(losses.argmin())]
    said = f"rate {best[0]:g}, batch {best[1]}, loss {losses.min():.4f}"
    print(f"{len(rows)} trainings; the best of {len(whole)} at horizon {longest}: {said}")
    print("| horizon | trainings | rank correlation with the whole | of its better half | regret of their best |")
    print("|---|---|---|---|---|")
    for horizon in shorter:
        for name, exponents in SHIFTS.items():
            found = at(by_horizon[horizon], places + np.array(exponents) * np.log(horizon / longest))
            better = losses <= np.median(losses)
            regret = losses[found.argmin()] - losses.min()
            cells = f"{rho(found, losses):.2f} | {rho(found[better], losses[better]):.2f} | {regret:.4f}"
            print(f"| {horizon / longest:.3f} | {name} | {cells} |")
    _exponents(by_horizon)
    _best_exponents(by_horizon, longest, places, losses)


def at(rows: list[dict[str, Any]], places: Array) -> Array:
    """The losses of a horizon at (log rate, log batch): linear between its trainings, outside them the nearest."""
    points, losses = _points(rows)
    inside = griddata(points, losses, places, method="linear")
    found: Array = np.where(np.isnan(inside), griddata(points, losses, places, method="nearest"), inside)
    return found


def rho(a: Array, b: Array) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(a, b).statistic)


def _points(rows: list[dict[str, Any]]) -> tuple[Array, Array]:
    points = np.log([[row["config_rate"], row["config_batch"]] for row in rows])
    return points, np.minimum([row["loss"] for row in rows], WORST)


def _exponents(by_horizon: dict[float, list[dict[str, Any]]]) -> None:
    """Prints the optimum of a paraboloid that is fitted to each horizon, and the slopes of its logarithms."""
    optima = []
    print(
        "\n| horizon | trainings near the best | best rate | best batch | loss there | residual |\n" + "|---" * 6 + "|"
    )
    for horizon, rows in by_horizon.items():
        points, losses = _points(rows)
        near = losses <= losses.min() + NEAR
        best, loss, residual = _optimum(points[near], losses[near])
        optima.append(best)
        rate, batch = np.exp(best)
        print(f"| {horizon} | {near.sum()} | {rate:.2e} | {batch:.1f} | {loss:.3f} | {residual:.3f} |")
    slopes = np.polyfit(np.log(list(by_horizon)), np.array(optima), 1)[0]
    print(f"\nexponents of the optimum: rate {slopes[0]:.2f} (Step Law {RATE}), batch {slopes[1]:.2f} ({BATCH})")


def _optimum(points: Array, losses: Array) -> tuple[Array, float, float]:
    """The lowest place of the fitted paraboloid within the points' bounds, its loss, and the fit's standard error."""
    centre = points.mean(axis=0)
    terms = _terms(points - centre)
    weights, *_ = np.linalg.lstsq(terms, losses, rcond=None)
    sides = [np.linspace(side.min(), side.max(), 400) for side in (points - centre).T]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    fitted = _terms(grid) @ weights
    residual = np.sqrt(np.sum((terms @ weights - losses) ** 2) / max(1, len(losses) - 6))
    return grid[fitted.argmin()] + centre, float(fitted.min()), float(residual)


def _terms(points: Array) -> Array:
    x, y = points.T
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _best_exponents(
    by_horizon: dict[float, list[dict[str, Any]]], longest: float, places: Array, losses: Array
) -> None:
    """Prints the exponents whose shift ranks best, by the mean rank correlation over the shorter horizons."""
    steps = np.arange(-0.2, 1.01, 0.1)
    shorter = [horizon for horizon in by_horizon if horizon < longest]

    def mean(exponents: tuple[float, float]) -> float:
        shifts = [np.array(exponents) * np.log(horizon / longest) for horizon in shorter]
        found = zip(shorter, shifts, strict=True)
        return float(np.mean([rho(at(by_horizon[horizon], places + shift), losses) for horizon, shift in found]))

    scored = {(float(a), float(b)): mean((a, b)) for a in steps for b in steps}
    best = max(scored, key=scored.__getitem__)
    print(
        f"exponents that rank best: rate {best[0]:.1f}, batch {best[1]:.1f} (mean rank correlation {scored[best]:.2f}; "
        f"Step Law's {mean((RATE, BATCH)):.2f}, none {mean((0.0, 0.0)):.2f})"
    )


def main() -> None:
    """Trains the grid, or prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="text to train on, text to validate on")
    parser.add_argument("-o", "--out", type=Path, default=Path("horizons.jsonl"))
    parser.add_argument("--rates", type=float, nargs="+", default=(1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2))
    parser.add_argument("--batches", type=int, nargs="+", default=(8, 20, 50))
    parser.add_argument("--epochs", type=float, default=3.0, help="of the whole training")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table:
        table([json.loads(line) for line in given.table.read_text().splitlines()])
        return
    done = given.out.read_text().splitlines() if given.out.exists() else []
    known = [json.loads(line)["config"] for line in done]
    for place, wanted in trainings(given):
        if (written := wanted.model_dump(mode="json")) in known:
            continue
        began = time.process_time()
        found = place | trained(wanted) | {"seconds": round(time.process_time() - began, 1)}
        training = wanted.training
        own = {"config_rate": training.learning_rate, "config_batch": training.batch_size, "config": written}
        with given.out.open("a") as out:
            out.write(json.dumps(found | own) + "\n")
        print(found, flush=True)


if __name__ == "__main__":
    main()
