"""Tokens per second of our training loop, as a ratio to nanoGPT's train.py and to transformers.Trainer.

Every loop runs as it is, in a process of its own with one CPU thread, on the same tokens, with a model of the same
size: ours is `hpsearch.training.loop.train`, theirs their real train.py and their real Trainer, all without evaluating
and saving; ours also without what it asks of the allocator ("giving back"). All processes live at once and one runs at
a time: they are stopped and continued in turn, a few seconds each, so that a busy machine hurts all alike. Reported is
the median over the rounds of the ratio within a round, and the ratio of processor time over all rounds, which other
programs disturb less.

    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/training_speed.py --nanogpt nanoGPT
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

try:
    import accelerate  # noqa: F401  # what transformers.Trainer wants when it is made, minutes from here
    import psutil
except ImportError as error:
    sys.exit(f"{error.name} is missing: pip install -e '.[benchmarks]'")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs in a checkout that was never installed, too

WARMUP = 5  # steps left out at the beginning
EPOCHS = 100_000.0  # more than is ever trained: the processes are killed at the end
MANY = 10_000_000  # steps, likewise
NO_TEST = {"test": 0.0}


@dataclass(frozen=True)
class Size:
    """A model and its batches."""

    n_layers: int
    width: int
    n_heads: int
    mlp_width: int  # three matrices of it weigh as much as GPT's two of 4 x width, or up to 1% more
    context: int
    batch_size: int
    vocab_size: int

    @property
    def tokens(self) -> int:
        """Tokens in a step."""
        return self.batch_size * self.context


SIZES = {
    "recipe": Size(4, 128, 4, 344, 64, 12, 65),  # nanoGPT's own recipe for a CPU, characters
    "larger": Size(4, 256, 4, 688, 128, 16, 1500),
}
LOOPS = {  # name -> (which loop, its precision)
    "ours": ("ours", "auto"),
    "ours fp32": ("ours", "fp32"),
    "giving back": ("giving_back", "auto"),  # ours, with the memory that a step frees given back to the system
    "nanoGPT": ("nanogpt", "fp32"),  # it knows no other on a CPU
    "Trainer": ("trainer", "fp32"),  # its default
    "Trainer bf16": ("trainer", "bf16"),
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


def train_config(size: Size, precision: str = "auto") -> Any:
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
            "training": {
                "batch_size": size.batch_size,
                "epochs": EPOCHS,
                "learning_rate": 1e-3,
                "precision": precision,
            },
            "evaluation": {"times": 1},
        }
    )


def open_corpus(size: Size, folder: Path) -> Any:
    """The prepared data."""
    from hpsearch.data.corpus import Corpus

    config = train_config(size)
    return Corpus.open(config.data, config.tokenizer, cache=folder / "cache", base=folder)


# ------------------------------------------------------------------------------------------- the loops, a process each


def ours(size: Size, folder: Path, precision: str) -> None:
    """`train` as a search calls it, timed from one question of the loop ("am I to go on?") to the next."""
    from hpsearch.contract import Command, Handle, WorkerSettings
    from hpsearch.training.loop import train
    from hpsearch.training.model import Llama

    clock = Clock()

    def command() -> Command:
        clock.tick()
        return Command.CONTINUE

    print(f"{Llama(train_config(size).model, vocab_size=size.vocab_size).n_non_embedding} parameters")
    settings = WorkerSettings(
        device="cpu", threads=1, cache=folder / "cache", base=folder, checkpoint_seconds=float("inf")
    )
    out = folder / f"ours-{os.getpid()}"
    out.mkdir()
    for _ in train(train_config(size, precision), Handle(settings, out, command)):
        pass


def giving_back(size: Size, folder: Path, precision: str) -> None:
    """Ours with the C library's allocator as it is."""
    from hpsearch.training import memory

    memory.KEEP.clear()
    ours(size, folder, precision)


def trainer(size: Size, folder: Path, precision: str) -> None:
    """transformers.Trainer with a LlamaForCausalLM: no evaluation, no saving, no logging."""
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
    print(f"{model.num_parameters() - size.vocab_size * size.width} parameters")
    data = np.fromfile(folder / "train.bin", dtype=np.uint16).astype(np.int64)
    data = data[: len(data) // size.context * size.context].reshape(-1, size.context)
    rows = [{"input_ids": row, "labels": row} for row in torch.unbind(torch.from_numpy(data))]
    clock = Clock()

    class Ticking(transformers.TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.tick()

    arguments = transformers.TrainingArguments(
        output_dir=str(folder / f"trainer-{precision}"),
        per_device_train_batch_size=size.batch_size,
        max_steps=MANY,
        learning_rate=1e-3,
        weight_decay=0.1,
        max_grad_norm=1.0,
        lr_scheduler_type="cosine",
        logging_steps=MANY,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        bf16=precision == "bf16",
        remove_unused_columns=False,
    )
    transformers.Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Ticking()]).train()


def nanogpt(size: Size, folder: Path) -> list[str]:
    """The command of their train.py with evaluations off; it prints the milliseconds of every step by itself."""
    options = {
        "dataset": folder,
        "out_dir": folder / "nanogpt",
        "device": "cpu",
        "compile": False,
        "dtype": "float32",
        "eval_interval": MANY,
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
        "max_iters": MANY,
        "lr_decay_iters": MANY,
        "warmup_iters": 100,
    }
    return [sys.executable, "train.py", *(f"--{key}={value}" for key, value in options.items())]


class Clock:
    """Prints what passed since the last tick."""

    def __init__(self) -> None:
        self.last: float | None = None

    def tick(self) -> None:
        """The end of a step."""
        now = time.perf_counter()
        if self.last is not None:
            print(f"time {(now - self.last) * 1000:.3f}ms", flush=True)
        self.last = now


# --------------------------------------------------------------------------------------------------------- turn by turn


@dataclass
class Loop:
    """A process that trains on and on, and is stopped but for its turns."""

    name: str
    size: Size
    folder: Path
    process: psutil.Popen = field(init=False)
    blocks: list[float] = field(default_factory=list)  # seconds a step, of each turn
    cpu_seconds: float = 0.0
    steps: int = 0

    def start(self, checkout: Path | None) -> None:
        """Starts it, waits for its first steps and stops it."""
        kind, precision = LOOPS[self.name]
        own = [sys.executable, __file__, "--child", kind, precision, "--folder", str(self.folder), "--sizes"]
        names = [name for name, size in SIZES.items() if size == self.size]
        command = nanogpt(self.size, self.folder) if kind == "nanogpt" else own + names
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONUNBUFFERED"), "1")
        environment = {**os.environ, **one, "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                command, cwd=checkout if kind == "nanogpt" else None, env=environment, stdout=log, stderr=log
            )
        while len(self.seconds()) < WARMUP:
            if not self.process.is_running() or self.process.poll() is not None:
                sys.exit(f"{self.name} ended:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.2)
        self.process.send_signal(signal.SIGSTOP)

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / f"{self.name}.log"

    def seconds(self) -> list[float]:
        """Of every step so far."""
        return [float(ms) / 1000 for ms in re.findall(r"time ([\d.]+)ms", self.log.read_text())]

    def parameters(self) -> int:
        """Non-embedding numbers, from what it printed."""
        counts = sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) parameters", self.log.read_text()))
        tables = (self.size.vocab_size + self.size.context) * self.size.width  # nanoGPT counts tokens' and positions'
        return counts - (tables if self.name == "nanoGPT" else 0)

    def turn(self, seconds: float) -> None:
        """Runs for so long; the step that was under way when it began is left out."""
        before, cpu = len(self.seconds()), self.cpu()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        while len(self.seconds()) < before + 3:
            time.sleep(0.1)
        self.process.send_signal(signal.SIGSTOP)
        found = self.seconds()[before:]
        self.blocks.append(statistics.fmean(found[1:]))
        self.cpu_seconds += self.cpu() - cpu
        self.steps += len(found)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def end(self) -> None:
        """Kills it, where it still is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


# ----------------------------------------------------------------------------------------------------------- the report


def compare(name: str, text: str, options: argparse.Namespace) -> None:
    """All loops in turn, then a line each."""
    size = SIZES[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(size, text, folder)
        loops = [Loop(loop, size, folder) for loop in LOOPS if loop != "nanoGPT" or options.nanogpt]
        started: list[Loop] = []
        try:
            for loop in loops:
                loop.start(options.nanogpt)
                started.append(loop)
            for i in range(options.rounds):
                for loop in loops if i % 2 == 0 else reversed(loops):
                    loop.turn(options.seconds)
            print(f"\n{name}: {size}, {options.rounds} rounds of {options.seconds} s each")
            for loop in loops:
                report(loop, loops[:2])
        finally:
            for loop in started:
                loop.end()


def report(loop: Loop, own: list[Loop]) -> None:
    """Prints a loop's speed, and how many times as fast ours are."""
    speed = loop.size.tokens / statistics.median(loop.blocks)
    print(f"  {loop.name:12} {loop.parameters():>9,} non-embedding parameters {speed:>8,.0f} tokens/s", end="")
    for mine in own if loop not in own else []:
        ratios = sorted(theirs / ours for theirs, ours in zip(loop.blocks, mine.blocks, strict=True))
        low, median, high = ratios[len(ratios) // 4], statistics.median(ratios), ratios[-1 - len(ratios) // 4]
        cpu = loop.cpu_seconds / loop.steps / (mine.cpu_seconds / mine.steps)
        print(f"   {mine.name} {median:.2f} x as fast ({low:.2f} to {high:.2f}; by processor time {cpu:.2f})", end="")
    print(flush=True)


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
    parser.add_argument("--rounds", type=int, default=8, help="turns of each loop")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, precision = options.child
        {"ours": ours, "giving_back": giving_back, "trainer": trainer}[kind](
            SIZES[options.sizes[0]], options.folder, precision
        )
        return
    if options.nanogpt is None:
        print("no --nanogpt PATH: comparing with transformers.Trainer alone")
    text = options.text.read_text(encoding="utf-8") if options.text else real_text()
    for name in options.sizes:
        compare(name, text, options)


if __name__ == "__main__":
    main()
