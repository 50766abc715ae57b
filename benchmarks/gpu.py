"""Everything about a CUDA GPU in one call: the tests marked gpu, then tokens per second and model FLOP utilisation.

Ours with and without torch.compile, at the size of a GPT-2 small, and nanoGPT's train.py (compiled) in the same call
where a checkout of it is given. FLOPs a token as in PaLM's appendix B (arXiv 2204.02311), over the dense bf16 peak.

    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/gpu.py --nanogpt nanoGPT
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs in a checkout that was never installed, too

PEAKS = {"H100": 989e12, "H200": 989e12, "GH200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bf16
WARMUP = 10  # steps left out: compilation, the allocator
BLOCK = 10  # steps between two looks at the clock: each look waits for the device


def train_config(options: argparse.Namespace, *, compiled: bool) -> Any:
    """A GPT-2 small of the Llama kind."""
    from hpsearch.training.config import TrainConfig

    micro = options.micro_batch if options.micro_batch < options.batch else None
    training = {"batch_size": options.batch, "micro_batch_size": micro, "epochs": 10_000.0, "compile": compiled}
    return TrainConfig.model_validate(
        {
            "data": {"text": {"task": "text", "dataset": "python:hpsearch.samples:stdlib_prose"}},
            "tokenizer": {"kind": "bpe", "vocab_size": options.vocab},
            "model": {
                "n_layers": options.layers,
                "width": options.width,
                "n_heads": options.width // 64,
                "context": options.context,
            },
            "training": training | {"learning_rate": 6e-4},
            "evaluation": {"times": 1},
        }
    )


def ours(options: argparse.Namespace, folder: Path, *, compiled: bool) -> dict[str, float]:
    """Tokens per second of `train_step`, timed in blocks with the device waited for at their ends."""
    import torch

    from hpsearch.contract import Handle, WorkerSettings
    from hpsearch.training.loop import Training

    torch.cuda.reset_peak_memory_stats()
    settings = WorkerSettings(device="cuda:0", threads=1, cache=folder / "cache", base=folder)
    training = Training(train_config(options, compiled=compiled), Handle(settings, folder))
    blocks: list[float] = []
    for step in range(WARMUP + options.steps):
        if step >= WARMUP and (step - WARMUP) % BLOCK == 0:
            torch.cuda.synchronize()
            blocks.append(time.perf_counter())
        training.train_step()
    torch.cuda.synchronize()
    blocks.append(time.perf_counter())
    speed = BLOCK * options.batch * options.context / statistics.median(np.diff(blocks).tolist())
    flops = training.model.flops_per_token(options.context)
    return {"tokens": speed, "flops": flops, "params": training.model.n_params, **memory(torch)}


def memory(torch: Any) -> dict[str, float]:
    """GiB held at most."""
    return {"gib": torch.cuda.max_memory_allocated() / 2**30}


def nanogpt(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Tokens per second that their compiled train.py prints, on our tokens."""
    from hpsearch.data.corpus import Corpus

    config = train_config(options, compiled=True)
    corpus = Corpus.open(config.data, config.tokenizer, cache=folder / "cache", base=folder)
    for part, name in (("train", "train.bin"), ("valid", "val.bin")):
        np.asarray(corpus.sets["text"].splits[part].tokens).astype(np.uint16).tofile(folder / name)
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": corpus.tokenizer.vocab_size}))
    micro = min(options.micro_batch, options.batch)
    settings = {
        "dataset": folder,
        "out_dir": folder / "nanogpt",
        "device": "cuda:0",
        "dtype": "bfloat16",
        "compile": True,
        "eval_interval": 1_000_000,
        "eval_iters": 1,
        "log_interval": 1,  # at each print it waits for the device: without that its times are of the CPU's part
        "gradient_accumulation_steps": options.batch // micro,
        "batch_size": micro,
        "block_size": options.context,
        "n_layer": options.layers,
        "n_head": options.width // 64,
        "n_embd": options.width,
        "dropout": 0.0,
        "max_iters": WARMUP + options.steps,
    }
    command = [sys.executable, "train.py", *(f"--{key}={value}" for key, value in settings.items())]
    done = subprocess.run(command, cwd=options.nanogpt, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"nanoGPT's train.py failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    lines = re.findall(r"^iter (\d+): .* time ([\d.]+)ms", done.stdout, re.M)
    seconds = [float(ms) / 1000 for step, ms in lines if int(step) >= WARMUP]
    return {"tokens": options.batch * options.context / statistics.median(seconds)}


def child(kind: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One measurement in a process of its own: its memory and its compiled kernels are gone when it ends."""
    names = ("layers", "width", "context", "batch", "micro_batch", "vocab", "steps")
    given = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]
    command = [sys.executable, __file__, "--child", kind, "--folder", str(folder), *given]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"  {kind}: failed: {done.stderr.strip().splitlines()[-1][:200]}")
        return {}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_flops(device: str) -> float | None:
    """The dense bf16 peak of a GPU by its name; None for one that is not in the table."""
    return next((peak for name, peak in PEAKS.items() if name in device), None)


def report(kind: str, found: dict[str, float], peak: float | None) -> None:
    """A line."""
    if not found:
        return
    line = f"  {kind:14} {found['tokens']:>11,.0f} tokens/s"
    if "flops" in found:
        share = f"{found['tokens'] * found['flops'] / peak:.1%}" if peak else "unknown (peak not in the table)"
        line += f"  utilisation {share}  {found['params']:,.0f} parameters  {found['gib']:.1f} GiB"
    print(line, flush=True)


def measure(options: argparse.Namespace, device: str) -> None:
    """All loops, ours first and last so that a drift of the clock shows."""
    peak = peak_flops(device)
    print(f"{device}: {vars(options)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kinds = ["compiled", "eager", "compiled again"]
        found = {kind: child(kind, options, folder) for kind in kinds}
        for kind in kinds:
            report(kind, found[kind], peak)
        if options.nanogpt:
            theirs = nanogpt(options, folder)
            report("nanoGPT", theirs, peak)
            for kind in kinds:
                if found[kind]:
                    print(f"  {kind} / nanoGPT compiled: {found[kind]['tokens'] / theirs['tokens']:.2f}")


def main() -> None:
    """Tests, then measurements; one line and exit 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nanogpt", type=lambda path: Path(path).resolve(), help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=64, help="sequences a step")
    parser.add_argument("--micro-batch", type=int, default=32, help="sequences on the device at once")
    parser.add_argument("--vocab", type=int, default=16_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit(f"no CUDA GPU is visible to PyTorch {torch.__version__}: nothing measured")
    if options.child:
        print(json.dumps(ours(options, options.folder, compiled=options.child != "eager")))
        return
    if not options.no_tests:
        tests = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "tests"]
        print(f"tests marked gpu: exit {subprocess.run(tests, cwd=ROOT, env=dict(os.environ)).returncode}", flush=True)
    measure(options, torch.cuda.get_device_name(0))


if __name__ == "__main__":
    main()
