"""How well do losses measured early rank the finals, and from where does an overfitting training cool down best?

    python benchmarks/cooldown_grid.py DATA... -n 24 -o grid.jsonl     trains (hours of a core); resumes what is there
    python benchmarks/cooldown_grid.py --table grid.jsonl              prints the tables

Every config of a random grid is trained to its end on one thread, from warm-up to the end of its cool-down. From the
stable states it left, branches cool down: at the rungs, and around the best evaluation where the curve overfits. DATA:
a text file, or `quickstart` for the text of the quickstart.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.training import checkpoint
from hpsearch.training.branch import Branch
from hpsearch.training.config import TrainConfig
from hpsearch.training.loop import Training
from hpsearch.training.schedule import shorter
from hpsearch.training.stable_states import copied

TIMES = 20
STALE = 3  # evaluations since the best one, at the end of the stable phase: the curve overfits
RUNGS = (2, 6)  # evaluations: 10% and 30% of the schedule
AROUND = np.arange(0.5, 1.11, 0.1)  # of the best evaluation: where branches begin
QUICKSTART = "python:hpsearch.samples:python_reference"


def configs(data: str, given: argparse.Namespace) -> Iterator[TrainConfig]:
    """Draws n configs; half of them at the middle of the epochs, the others anywhere."""
    rng = np.random.default_rng(given.seed)
    low, high = np.log(given.epochs)
    source = {"source": QUICKSTART} if data == "quickstart" else {"files": {"train": str(Path(data).resolve())}}
    for number in range(given.n):
        epochs = float(np.exp((low + high) / 2 if number % 2 else rng.uniform(low, high)))
        yield TrainConfig.model_validate(
            {
                "data": {"text": {"task": "text", **source}},
                "tokenizer": {"kind": "bpe", "vocab_size": 2000},
                "model": {
                    "n_layers": int(rng.integers(1, 4)),
                    "width": 96,
                    "n_heads": 4,
                    "context": 64,
                    "dropout": float(rng.choice([0.0, 0.1, 0.2])),
                },
                "training": {
                    "learning_rate": round(float(np.exp(rng.uniform(np.log(3e-4), np.log(1e-2)))), 6),
                    "batch_size": int(rng.choice(given.batch_size)),
                    "epochs": round(epochs, 2),
                },
                "evaluation": {"times": TIMES},
            }
        )


class Explored(Training):
    """A training that keeps its state at every evaluation, and can be set back to any."""

    def __init__(self, config: TrainConfig, handle: Handle) -> None:
        super().__init__(config, handle)
        self.states: dict[int, checkpoint.State] = {}
        self.whole = self.order

    def to_the_end(self) -> list[dict[str, Any]]:
        """Trains the whole schedule; returns its evaluations."""
        while self.step < self.last_step and not self.diverged:
            self.train_step()
            if self.evaluation_due():
                found = self.evaluate()
                self.states[found.index] = copied(self._position())
        return [evaluation.to_dict() | {"points": []} for evaluation in self.evaluations]

    def cooled(self, index: int) -> dict[str, Any] | None:
        """The end of the branch from an evaluation; None if there is no such branch."""
        state = self.states.get(index)
        config = state and shorter(self.config, self.whole, falls_from=state["place"]["step"])
        if state is None or not config:
            return None
        self._restore(state)
        self._enter(Branch.of(index, config, self.config))
        while self.step < self.last_step:
            self.train_step()
        found = self.evaluate()
        return {"index": index, "loss": found.metrics["val/loss"], "epoch": found.epoch, "step": found.step}


def overfits(curve: list[dict[str, Any]], config: TrainConfig) -> int | None:
    """The best evaluation of the stable phase, if the curve has risen since; None: it has not, or hardly."""
    stable = [one for one in curve if one["progress"] <= 1 - config.training.cooldown]
    best = min(stable, key=lambda one: one["metrics"]["val/loss"])
    return best["index"] if stable[-1]["index"] - best["index"] >= STALE else None


def explore(config: TrainConfig, settings: WorkerSettings, *, with_cosine: bool) -> dict[str, Any]:
    """Trains a config, its branches and, if wanted, its cosine."""
    with tempfile.TemporaryDirectory() as folder:
        run = Explored(config, Handle(settings, Path(folder)))
        curve = run.to_the_end()
        found = overfits(curve, config)
        starts = set(RUNGS)
        if found is not None:
            starts |= {round(share * found) for share in AROUND} & set(range(1, TIMES))
        branches = [branch for index in sorted(starts) if (branch := run.cooled(index)) is not None]
        cosine_curve = _cosine(config, Handle(settings, Path(folder))) if with_cosine else []
    return {
        "config": config.model_dump(mode="json"),
        "curve": [_short(one) for one in curve],
        "overfits": found,
        "branches": branches,
        "cosine": [_short(one) for one in cosine_curve],
        "steps": run.length,
    }


def _cosine(config: TrainConfig, handle: Handle) -> list[dict[str, Any]]:
    training = config.training.model_copy(update={"schedule": "cosine"})
    return Explored(config.model_copy(update={"training": training}), handle).to_the_end()


def _short(evaluation: dict[str, Any]) -> list[float]:
    metrics = evaluation["metrics"]
    return [evaluation["index"], evaluation["tokens"], metrics["val/loss"], metrics["train/interval_loss"]]


# -------------------------------------------------------------------------------------------------------------- tables


def table(rows: list[dict[str, Any]]) -> None:
    """Prints the rank correlation of early losses with the final ones, and the regret of each place to cool down."""
    whole = [row for row in rows if row["overfits"] is None]
    usual = Counter(map(_epochs, rows)).most_common(1)[0][0]
    print(f"{len(rows)} trainings, {len(whole)} do not overfit; one length: {usual:g} epochs")
    for name, chosen in (("all lengths", whole), ("one length", [r for r in whole if _epochs(r) == usual])):
        finals = [row["curve"][-1][2] for row in chosen]
        print(f"\n{name} ({len(chosen)}): Spearman's rank correlation with the final loss (cost: share of a training)")
        for rung in RUNGS:
            share = rung / TIMES
            print(
                f"  stable loss at {share:.0%}: {_rho(finals, [_at(r['curve'], rung) for r in chosen])}  ({share:.3f})"
            )
            cooled = [next((b["loss"] for b in r["branches"] if b["index"] == rung), np.nan) for r in chosen]
            print(f"  cooled from {share:.0%}:    {_rho(finals, cooled)}  ({share / 0.8:.3f})")
            cosines = [row["cosine"][-1][2] if row["cosine"] else np.nan for row in chosen]
            print(f"  cosine at {share:.0%} (own finals): {_rho(cosines, [_at(r['cosine'], rung) for r in chosen])}")
        shared = min(min(_tokens(row, rung) for row in chosen) for rung in RUNGS[-1:])
        at_tokens = [float(np.interp(shared, *_by_tokens(row))) for row in chosen]
        print(f"  stable loss at {shared:,} tokens: {_rho(finals, at_tokens)}")
    print("\noverfitting trainings: loss above the best branch, by where the cool-down begins (share of the best one)")
    regret: dict[float, list[float]] = {}
    for row in (row for row in rows if row["overfits"]):
        best = row["overfits"]
        near = {float(s): next((b for b in row["branches"] if b["index"] == round(s * best)), None) for s in AROUND}
        lowest = min(b["loss"] for b in near.values() if b)
        for share, branch in near.items():
            if branch:
                regret.setdefault(share, []).append(branch["loss"] - lowest)
        regret.setdefault(0.0, []).append(_at(row["curve"], best) - lowest)
    for share, values in sorted(regret.items()):
        what = f"{share:.2f}" if share else "no cool-down"
        print(f"  {what:>12}: median {np.median(values):.4f}, mean {np.mean(values):.4f}, n {len(values)}")


def _rho(finals: list[float], early: list[float]) -> str:
    known = [(a, b) for a, b in zip(finals, early, strict=True) if np.isfinite(a) and np.isfinite(b)]
    return f"{spearmanr(*zip(*known, strict=True)).statistic:.3f}" if len(known) > 2 else "-"


def _at(curve: list[list[float]], index: int) -> float:
    return next((one[2] for one in curve if one[0] == index), float("nan"))


def _tokens(row: dict[str, Any], index: int) -> int:
    return next((int(one[1]) for one in row["curve"] if one[0] == index), 0)


def _by_tokens(row: dict[str, Any]) -> tuple[list[float], list[float]]:
    return [one[1] for one in row["curve"]], [one[2] for one in row["curve"]]


def _epochs(row: dict[str, Any]) -> float:
    return float(row["config"]["training"]["epochs"])


def main() -> None:
    """Trains the grid, or prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["quickstart"])
    parser.add_argument("-n", type=int, default=24, help="configs per data set")
    parser.add_argument("-o", "--out", type=Path, default=Path("grid.jsonl"))
    parser.add_argument("--epochs", type=float, nargs=2, default=(4, 28), help="the least and the most")
    parser.add_argument("--batch-size", type=int, nargs="+", default=(16, 32, 64))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cosine", action="store_true", help="train every config with a cosine as well")
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table:
        table([json.loads(line) for line in given.table.read_text().splitlines()])
        return
    done = given.out.read_text().splitlines() if given.out.exists() else []
    known = {json.dumps(json.loads(line)["config"]) for line in done}
    settings = WorkerSettings(device="cpu", threads=1, cache=Path(tempfile.gettempdir()) / "hpsearch-grid", base=Path())
    for data in given.data:
        for config in configs(data, given):
            if json.dumps(config.model_dump(mode="json")) not in known:
                found = explore(config, settings, with_cosine=given.cosine)
                with given.out.open("a") as out:
                    out.write(json.dumps(found) + "\n")
                print(found["curve"][-1], found["overfits"], flush=True)


if __name__ == "__main__":
    main()
