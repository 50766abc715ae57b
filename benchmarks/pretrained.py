"""Fine-tuning of a pretrained encoder against transformers.Trainer: the same model, data, batches, precision and steps.

    python -m benchmarks.pretrained --model FOLDER --data train.tsv --steps 40

Prints the seconds of processor time of a step of each, taken in turns, the first step left out, and the mean training
losses of the steps. Dropout is off, so that the losses can be compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from hpsearch.contract import Command, Handle, WorkerSettings
from hpsearch.trainers.huggingface.batches import rows_of
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.parts import FineTuning, parts
from hpsearch.training.batches import BatchOrder
from hpsearch.training.loop import Training

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, help="the folder of an encoder")
    parser.add_argument("--data", required=True, help="a file with the columns text and label")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        compare(given, Path(folder))


def compare(given: argparse.Namespace, folder: Path) -> None:
    """Trains by turns with both, and prints what came out."""
    settings = WorkerSettings(device="cpu", threads=given.threads, cache=folder / "cache", base=Path().resolve())
    settings.cache.mkdir()
    config = FineTuneConfig.model_validate(
        {
            "data": {"set": {"task": "classification", "files": {"train": str(Path(given.data).resolve())}}},
            "model": {"pretrained": str(Path(given.model).resolve()), "context": 64},
            "config": NO_DROPOUT,
            "training": {"epochs": 1.0, "learning_rate": 1e-4, "schedule": "constant", "warmup": 0.0},
            "evaluation": {"times": 1},
        }
    )
    ours, theirs = [], []
    for turn in range(given.rounds):
        ours.append(by_hpsearch(config, Handle(settings, folder / f"run{turn}"), given.steps))
        theirs.append(by_transformers(config, settings, folder / f"hf{turn}", given.steps))
    seconds = [statistics.median(one for one, _ in found) for found in (ours, theirs)]
    print(f"processor time of a step: hpsearch {seconds[0]:.3f} s, transformers.Trainer {seconds[1]:.3f} s")
    print(f"ratio {seconds[0] / seconds[1]:.3f}; mean loss {ours[0][1]:.5f} and {theirs[0][1]:.5f}")


def by_hpsearch(config: FineTuneConfig, handle: Handle, steps: int) -> tuple[float, float]:
    """The processor time of a step, and the mean loss of all."""
    handle.folder.mkdir()
    assert handle.command() is Command.CONTINUE
    run = Training(config, handle, parts)
    ends = []
    while run.step < steps:
        run.train_step()
        ends.append(time.process_time())
    run._close_window(0.0)
    sums = run.train_loss.interval["set"]
    return (ends[-1] - ends[0]) / (steps - 1), sums[0] / sums[1]


def by_transformers(config: FineTuneConfig, settings: WorkerSettings, folder: Path, steps: int) -> tuple[float, float]:
    """The same of transformers.Trainer on the same batches, with its own AdamW and clipping."""
    tuning = FineTuning.of(config, settings, torch.device("cpu"))
    rows = rows_of(tuning.corpus, "train", config, tuning.kind, torch.device("cpu"))
    order = BatchOrder(rows, batch_size=config.training.batch_size, seed=config.seed, epochs=config.training.epochs)
    batches = []
    for step in range(steps):
        found, numbers = order.at(step)
        batches.append(inputs(found, numbers, tuning.tokenizer.pad_id))
    torch.manual_seed(config.seed)
    model = tuning.network().hf.train()
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=config.resolved().training.learning_rate or 0.0,
        weight_decay=config.training.weight_decay,
        adam_beta2=config.training.beta2,
        lr_scheduler_type="constant",
        max_grad_norm=config.training.grad_clip,
        bf16=tuning_precision(config) == "bf16",
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_steps=steps,
    )
    trainer = transformers.Trainer(model, arguments, data_collator=lambda one: one[0], train_dataset=InTurn(batches))
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(batches)  # type: ignore[method-assign]
    clock = Clock()
    trainer.add_callback(clock)
    loss = trainer.train().training_loss
    return (clock.ends[-1] - clock.ends[0]) / (steps - 1), float(loss)


class Clock(transformers.TrainerCallback):
    """The processor time at the end of each step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Takes the time."""
        self.ends.append(time.process_time())


class InTurn(torch.utils.data.Dataset[Any]):
    """Batches as examples: a batch of one is a batch."""

    def __init__(self, batches: list[dict[str, torch.Tensor]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return self.batches[i]


def inputs(rows: Any, numbers: Any, pad_id: int) -> dict[str, torch.Tensor]:
    """A batch as transformers' collators pad it."""
    read = [rows.prompt(n) for n in numbers]
    width = max(map(len, read))
    return {
        "input_ids": torch.tensor([one + [pad_id] * (width - len(one)) for one in read]),
        "attention_mask": torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in read]),
        "labels": torch.tensor([rows.target(n)[0] for n in numbers]),
    }


def tuning_precision(config: FineTuneConfig) -> str:
    """The precision that `auto` comes to here."""
    from hpsearch.training.device import precision_of

    return precision_of(config.training, torch.device("cpu"))


if __name__ == "__main__":
    main()
