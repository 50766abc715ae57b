"""Do the rules of `hpsearch export --for` find the best learning rate of a larger model and of a longer training?

    python benchmarks/scale_up.py train.txt valid.txt -o scale.jsonl    trains (half an hour of a core); resumes
    python benchmarks/scale_up.py --table scale.jsonl                   prints the tables

Trains a small Llama over a grid of rates at several widths, depths, lengths and head counts, each time changing one of
them alone; a grid grows until its best rate is not at its end. The best rate is that of a parabola through the three
points around the lowest loss, in the logarithm. Printed are the exponents by which the best rates move, and what the
rate of each rule loses against the best one, when it starts from the smallest size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.training.config import TrainConfig
from hpsearch.training.loop import train

SIZES: dict[str, tuple[float, ...]] = {"width": (32, 64, 128), "tokens": (0.25, 1, 4), "layers": (2, 4, 8)}
MIDDLE = {"width": 64, "tokens": 1, "layers": 2}  # of what is not changed; tokens in epochs
HEAD, BATCH, CONTEXT, BATCH_OF_TOKENS = 16, 16, 64, 0.571
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
WORST = 8.0  # a loss that counts as no better than any higher one


def config(given: argparse.Namespace, name: str, size: float, rate: float, seed: int) -> TrainConfig:
    """The config of one training: the middle, but for one size."""
    at = MIDDLE | {name: size}
    files = {part: str(Path(file).resolve()) for part, file in zip(("train", "valid"), given.data, strict=True)}
    return TrainConfig.model_validate(
        {
            "seed": seed,
            "data": {"text": {"task": "text", "files": files}},
            "tokenizer": {"kind": "bpe", "vocab_size": 1000},
            "model": {
                "n_layers": int(at["layers"]),
                "width": int(at["width"]),
                "n_heads": int(at["width"]) // HEAD,
                "context": CONTEXT,
            },
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
    settings = WorkerSettings(
        device="cpu", threads=1, cache=Path(tempfile.gettempdir()) / "hpsearch-scale", base=Path()
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        last = list(train(config, Handle(settings, Path(folder))))[-1]
    seconds = round(time.process_time() - began, 1)
    return {"loss": last.metrics["val/loss"], "tokens": last.tokens, "steps": last.step, "seconds": seconds}


def grid(measure: Callable[[float], float]) -> Iterator[tuple[float, float]]:
    """The rates and their losses: five, and then more on the side where the best one is at the end."""
    found: dict[float, float] = {}
    wanted = list(RATES)
    while wanted:
        for rate in wanted:
            found[rate] = min(WORST, measure(rate))
            yield rate, found[rate]
        low, *_, high = sorted(found)
        best = min(found, key=found.__getitem__)
        wanted = [low / 2] if best == low else [high * 2] if best == high else []


def run(given: argparse.Namespace) -> None:
    """Trains what the file does not have yet."""
    known = {_key(row): row["loss"] for row in read(given.out)}

    def measure(name: str, size: float, rate: float) -> float:
        key = (name, float(size), rate, given.seed)
        if key not in known:
            row = {"series": name, "size": size, "rate": rate, "seed": given.seed}
            row |= trained(config(given, name, size, rate, given.seed))
            known[key] = row["loss"]
            with given.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(row, flush=True)
        return float(known[key])

    for name in given.series:
        for size in SIZES[name]:
            shared = "width" if size == MIDDLE[name] else name  # the middle is the same training in every series
            for _ in grid(
                lambda rate, shared=shared, name=name, size=size: measure(
                    shared, MIDDLE[shared] if shared != name else size, rate
                )
            ):
                pass


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of trainings; none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _key(row: dict[str, Any]) -> tuple[str, float, float, int]:
    return row["series"], float(row["size"]), row["rate"], row["seed"]


def main() -> None:
    """Trains the grids, or prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="text to train on, text to validate on")
    parser.add_argument("-o", "--out", type=Path, default=Path("scale.jsonl"))
    parser.add_argument("--series", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    run(given)


if __name__ == "__main__":
    main()
