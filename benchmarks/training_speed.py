"""Tokens per second of our training loop, as a ratio to nanoGPT's train.py and to transformers.Trainer.

Every loop runs as it is, in a process of its own with one CPU thread, on the same tokens, with a model of the same
size: ours is `hpsearch.training.loop.train`, theirs their real train.py and their real Trainer. The processes take
turns (A B C A B C ...), and what is reported is the median over the rounds of the ratio within a round, so that a busy
machine hurts all alike.

    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/training_speed.py --nanogpt nanoGPT
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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs in a checkout that was never installed, too

WARMUP = 10  # steps left out at the beginning
EPOCHS = 100_000.0  # more than is ever trained: the processes are told when to stop


@dataclass(frozen=True)
class Size:
    """A model and its batches."""

    n_layers: int
    width: int
    n_heads: int
    mlp_width: int  # three matrices of it weigh as much as GPT's two of 4 x width, or up to 1 % more
    context: int
    batch_size: int
    vocab_size: int
    steps: int

    @property
    def tokens(self) -> int:
        """Tokens in a step."""
        return self.batch_size * self.context


SIZES = {
    "recipe": Size(4, 128, 4, 344, 64, 12, 65, steps=150),  # nanoGPT's own recipe for a CPU, characters
    "larger": Size(4, 256, 4, 688, 128, 16, 1500, steps=24),
}


# ------------------------------------------------------------------------------------------------------------- the data


def prepare(size: Size, text: str, folder: Path) -> None:
    """Writes text and tokenizer for ours, then the very same tokens as nanoGPT's data folder."""
    import tokenizers

    cut = len(text) * 9 // 10
    if size.vocab_size < 257:
        common = [c for c, _ in Counter(text).most_common(size.vocab_size - 2)]
        text = re.sub(f"[^{re.escape(''.join(common))}]", "", text)
        characters = tokenizers.models.BPE(vocab={c: i for i, c in enumerate(common)}, merges=[])
        tokenizers.Tokenizer(characters).save(str(folder / "tokenizer.json"))
    (folder / "train.txt").write_text(text[:cut], encoding="utf-8")
    (folder / "valid.txt").write_text(text[cut:], encoding="utf-8")
    corpus = open_corpus(size, folder)
    for part, name in (("train", "train.bin"), ("valid", "val.bin")):
        np.asarray(corpus.sets["text"].splits[part].tokens).astype(np.uint16).tofile(folder / name)
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": corpus.tokenizer.vocab_size}))


def train_config(size: Size) -> Any:
    """Our config of a size."""
    from hpsearch.training.config import TrainConfig

    tokenizer = {"kind": "bpe", "vocab_size": size.vocab_size}
    if size.vocab_size < 257:
        tokenizer = {"kind": "file", "file": "tokenizer.json"}
    model = {key: getattr(size, key) for key in ("n_layers", "width", "n_heads", "mlp_width", "context")}
    return TrainConfig.model_validate(
        {
            "data": {"text": {"task": "text", "files": {"train": "train.txt", "valid": "valid.txt"}, "split": NO_TEST}},
            "tokenizer": tokenizer,
            "model": model,
            "training": {"batch_size": size.batch_size, "epochs": EPOCHS, "learning_rate": 1e-3},
            "evaluation": {"times": 1},
        }
    )


NO_TEST = {"test": 0.0}


def open_corpus(size: Size, folder: Path) -> Any:
    """The prepared data."""
    from hpsearch.training.corpus import Corpus

    return Corpus.open(train_config(size), cache=folder / "cache", base=folder)


# ------------------------------------------------------------------------------------------- the loops, a process each


def ours(size: Size, folder: Path) -> dict[str, Any]:
    """`train` as a search calls it, timed from one question of the loop ("am I to go on?") to the next."""
    from hpsearch.training.contract import Handle, Setting, Told
    from hpsearch.training.loop import train
    from hpsearch.training.model import Llama

    times: list[float] = []

    def told() -> Told:
        times.append(time.perf_counter())
        return Told.GO_ON if len(times) <= size.steps else Told.FINISH

    setting = Setting(device="cpu", threads=1, cache=folder / "cache", base=folder)
    out = folder / "ours"
    out.mkdir(exist_ok=True)
    list(train(train_config(size), Handle(setting, out, told)))
    model = Llama(train_config(size).model, vocab_size=size.vocab_size)
    return {"seconds": np.diff(times).tolist(), "params": model.n_non_embedding}


def trainer(size: Size, folder: Path) -> dict[str, Any]:
    """transformers.Trainer with a LlamaForCausalLM: no evaluation, no saving, one log at the end."""
    import torch
    import transformers

    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=size.vocab_size,
        hidden_size=size.width,
        intermediate_size=size.mlp_width,
        num_hidden_layers=size.n_layers,
        num_attention_heads=size.n_heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=True,
        use_cache=False,
    )
    model = transformers.LlamaForCausalLM(config)
    data = np.fromfile(folder / "train.bin", dtype=np.uint16).astype(np.int64)
    data = data[: len(data) // size.context * size.context].reshape(-1, size.context)
    rows = [{"input_ids": row, "labels": row} for row in torch.from_numpy(data)]
    times: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            times.append(time.perf_counter())

    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=size.batch_size,
        max_steps=size.steps + 1,
        learning_rate=1e-3,
        weight_decay=0.1,
        max_grad_norm=1.0,
        lr_scheduler_type="cosine",
        logging_steps=10 * size.steps,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
    )
    transformers.Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Clock()]).train()
    embedding = model.get_input_embeddings().weight.numel()
    return {"seconds": np.diff(times).tolist(), "params": model.num_parameters() - embedding}


def nanogpt(size: Size, folder: Path, checkout: Path) -> dict[str, Any]:
    """Their train.py with evaluations off; it prints the milliseconds of every step."""
    options = {
        "dataset": folder,
        "out_dir": folder / "nanogpt",
        "device": "cpu",
        "compile": False,
        "dtype": "float32",
        "eval_interval": 10_000_000,
        "eval_iters": 1,  # one evaluation comes before the first step whatever one asks; that step is left out
        "log_interval": 1,
        "gradient_accumulation_steps": 1,
        "batch_size": size.batch_size,
        "block_size": size.context,
        "n_layer": size.n_layers,
        "n_head": size.n_heads,
        "n_embd": size.width,
        "dropout": 0.0,
        "learning_rate": 1e-3,
        "max_iters": size.steps,
        "lr_decay_iters": size.steps,
        "warmup_iters": 10,
    }
    command = [sys.executable, "train.py", *(f"--{key}={value}" for key, value in options.items())]
    printed = run(command, cwd=checkout)
    seconds = [float(ms) / 1000 for ms in re.findall(r"^iter \d+: .* time ([\d.]+)ms", printed, re.M)]
    counts = [int(n.replace(",", "")) for n in re.findall(r"with ([\d,]+) parameters", printed)]
    return {"seconds": seconds, "params": sum(counts) - (size.vocab_size + size.context) * size.width}


LOOPS: dict[str, Callable[[Size, Path], dict[str, Any]]] = {"ours": ours, "Trainer": trainer}


def run(command: list[str], *, cwd: Path | None = None) -> str:
    """What a process prints, which runs with one thread; its own words when it fails."""
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **one}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def measure(loop: str, name: str, folder: Path, checkout: Path | None) -> dict[str, Any]:
    """One process's seconds a step (the median one, and the mean over all) after the first steps."""
    if loop == "nanoGPT":
        assert checkout is not None
        found = nanogpt(SIZES[name], folder, checkout)
    else:
        printed = run([sys.executable, __file__, "--loop", loop, "--sizes", name, "--folder", str(folder)])
        found = json.loads(printed.splitlines()[-1])
    seconds = found["seconds"][WARMUP:]
    return {"step": statistics.median(seconds), "mean": statistics.fmean(seconds), "params": found["params"]}


# ------------------------------------------------------------------------------------------------------------ the report


def compare(name: str, text: str, options: argparse.Namespace) -> None:
    """All loops in turn, then a line each."""
    loops = ["ours", "Trainer", *(["nanoGPT"] if options.nanogpt else [])]
    found: dict[str, list[dict[str, Any]]] = {loop: [] for loop in loops}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(SIZES[name], text, folder)
        for i in range(options.rounds):
            for loop in loops if i % 2 == 0 else reversed(loops):
                found[loop].append(measure(loop, name, folder, options.nanogpt))
    print(f"\n{name}: {SIZES[name]}, {options.rounds} rounds")
    for loop in loops:
        report(loop, SIZES[name], found[loop], found["ours"])


def report(loop: str, size: Size, rounds: list[dict[str, Any]], own: list[dict[str, Any]]) -> None:
    """Prints the loop's speed and ours divided by it."""
    speed = size.tokens / statistics.median(one["mean"] for one in rounds)
    line = f"  {loop:8} {rounds[0]['params']:>10,} non-embedding parameters  {speed:>9,.0f} tokens/s"
    if loop != "ours":
        for kind in ("step", "mean"):
            ratios = sorted(theirs[kind] / mine[kind] for theirs, mine in zip(rounds, own, strict=True))
            median = statistics.median(ratios)
            line += f"  ours/{loop} by {kind}: {median:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(line, flush=True)


def real_text() -> str:
    """English prose that is on any Python machine (1.6 MB)."""
    from hpsearch.samples import stdlib_prose

    return "\n\n".join(stdlib_prose()["train"])


def main() -> None:
    """Parses the options; one loop of one size where it is called as a child of itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nanogpt", type=lambda path: Path(path).resolve(), help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--text", type=Path, help="a text file (default: prose of Python's own documentation)")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", choices=LOOPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        print(json.dumps(LOOPS[options.loop](SIZES[options.sizes[0]], options.folder)))
        return
    if options.nanogpt is None:
        print("no --nanogpt PATH: comparing with transformers.Trainer alone")
    text = options.text.read_text(encoding="utf-8") if options.text else real_text()
    for name in options.sizes:
        compare(name, text, options)


if __name__ == "__main__":
    main()
