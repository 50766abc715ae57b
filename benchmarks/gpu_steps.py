"""Milliseconds of a training step on a CUDA GPU: plain, with `compile`, with `cuda_graph`.

The steps are those of `hpsearch run`, the last ones of an epoch included, at two sizes: the quickstart's model and a
larger one. Medians of blocks of steps that end with the device waited for; each way in a process of its own.

    python benchmarks/gpu_steps.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs in a checkout that was never installed, too

WAYS: dict[str, dict[str, bool]] = {"plain": {}, "compiled": {"compile": True}, "graphed": {"cuda_graph": True}}
SIZES: dict[str, dict[str, Any]] = {
    "quickstart": {
        "source": "python_reference",
        "model": {"n_layers": 3, "width": 128, "n_heads": 4, "context": 64, "dropout": 0.04},
        "batch_size": 8,
    },
    "larger": {
        "source": "stdlib_prose",
        "model": {"n_layers": 6, "width": 384, "n_heads": 6, "context": 256, "dropout": 0.04},
        "batch_size": 64,
    },
}
WARM = 40  # steps left out: kernels, the compiler, the steps before a graph is recorded
BLOCK = 110  # steps between two looks at the clock, each of which waits for the device: an epoch of the quickstart


def train_config(size: str, way: str) -> Any:
    """The config of a size, trained in one of the ways."""
    from hpsearch.training.config import TrainConfig

    given = SIZES[size]
    return TrainConfig.model_validate(
        {
            "data": {"text": {"task": "text", "dataset": f"python:hpsearch.samples:{given['source']}"}},
            "tokenizer": {"kind": "bpe", "vocab_size": 2000},
            "model": given["model"],
            "training": {"learning_rate": 1e-3, "batch_size": given["batch_size"], "epochs": 1000.0, **WAYS[way]},
        }
    )


def measure(size: str, way: str, device: str, *, blocks: int, block: int, warm: int, folder: Path) -> dict[str, Any]:
    """Milliseconds of a step by block, and the training loss after all of them."""
    import torch

    from hpsearch.contract import Handle, WorkerSettings
    from hpsearch.training.loop import Training
    from hpsearch.training.measuring import Clock

    settings = WorkerSettings(device=device, threads=1, cache=folder / "cache", base=folder)
    training, clock = Training(train_config(size, way), Handle(settings, folder)), Clock(torch.device(device))
    for _ in range(warm):
        training.train_step()
    warming, found = clock.lap(), []
    for _ in range(blocks):
        for _ in range(block):
            training.train_step()
        found.append(1000 * clock.lap() / block)
    training.interval = 1
    training.train_step()
    return {"ms": found, "warming": warming, "loss": training.points[-1].metrics["train/loss"]}


def child(size: str, way: str, folder: Path, *, blocks: int) -> dict[str, Any] | None:
    """One measurement in a process of its own; None, and a line that says why, if it fails."""
    command = [sys.executable, __file__, "--child", size, way, str(folder), "--blocks", str(blocks)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"  {size:12} {way:9} failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}", flush=True)
        return None
    if done.stderr.strip():
        print(f"  {size:12} {way:9} said: {done.stderr.strip().splitlines()[-1][:200]}", flush=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """A line for each size and way; one line and exit 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=5, help=f"of {BLOCK} steps each (default: 5)")
    parser.add_argument("--child", nargs=3, metavar=("SIZE", "WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit(f"no CUDA GPU is visible to PyTorch {torch.__version__}: nothing measured")
    if options.child:
        size, way, folder = options.child
        given = {"blocks": options.blocks, "block": BLOCK, "warm": WARM, "folder": Path(folder)}
        print(json.dumps(measure(size, way, "cuda:0", **given)))
        return
    print(
        f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}: ms a step, median (lowest to highest) of blocks"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            plain = None
            for way in WAYS:
                found = child(size, way, Path(folder), blocks=options.blocks)
                if found is None:
                    continue
                middle = statistics.median(found["ms"])
                plain = middle if way == "plain" else plain
                ratio = f"{plain / middle:5.2f} times plain" if plain else ""
                spread = f"({min(found['ms']):.2f} to {max(found['ms']):.2f})"
                times = f"{middle:7.2f} {spread}  {ratio}  first {WARM} steps {found['warming']:.1f} s"
                print(f"  {size:12} {way:9} {times}  loss {found['loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
