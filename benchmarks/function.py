"""A plain PyTorch function in hpsearch against the same function alone: wall time of a trial of about 20 s.

    python benchmarks/function.py [--rounds 3] [--seconds 20]

Each round trains it once alone and once as a worker of hpsearch runs it (trainer, session, 20 evaluations, a state at
each), in turns, in this process; it prints each pair's times and the ratio of the fastest ones. On a machine where
others work, the ratio of processor time says more than that of wall time; it does not contain the waits for the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from hpsearch.contract import Evaluation, WorkerSettings
from hpsearch.launchers.messages import Evaluated, Task
from hpsearch.launchers.session import Session
from hpsearch.space.experiment import Experiment

CODE = """
import torch

def train(config, trial):
    torch.manual_seed(0)
    x, y = torch.randn(4096, 64), torch.randn(4096, 1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(1, config["steps"] + 1):
        batch = torch.randint(4096, (256,))
        loss = ((model(x[batch]) - y[batch]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % max(1, config["steps"] // 20) == 0:
            with torch.no_grad():
                val = ((model(x) - y) ** 2).mean().item()
            print("step", step, val)
            yield {"val/loss": val, "step": step, "steps": config["steps"]}
            trial.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()})
"""


class Alone:
    """The trial of the function without hpsearch: it saves with torch.save, as scripts do."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.pt"

    def save(self, state: object) -> None:
        torch.save(state, self._path)


def alone(folder: Path, steps: int) -> tuple[float, float]:
    """Wall and processor seconds of the function itself."""
    code: dict[str, object] = {}
    exec(CODE, code)  # this file's own text
    began = time.perf_counter(), time.process_time()
    for _ in code["train"]({"steps": steps}, Alone(folder)):  # type: ignore[operator]
        pass
    return time.perf_counter() - began[0], time.process_time() - began[1]


def searched(folder: Path, steps: int) -> tuple[float, float]:
    """Wall and processor seconds of a trial, as a worker trains it."""
    (folder / "mine.py").write_text(CODE)
    file = {"study": "mine", "train": "./mine.py:train", "config": {"steps": steps}}
    config = Experiment.of(file, base=folder).train_config().model_dump(mode="json")
    settings = WorkerSettings("cpu", torch.get_num_threads(), folder, folder)
    began = time.perf_counter(), time.process_time()
    task = Task(trial=0, attempt=1, config=config, folder=folder / f"{time.monotonic_ns()}")
    session = Session(0, [task], settings, trainer="function", listen=lambda: None)
    found: list[Evaluation] = []
    while session.trials:
        found += [message.evaluation for message in session.step() if isinstance(message, Evaluated)]
    seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    assert len(found) == 20, found
    return seconds


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = round(1000 / alone(folder, 1000)[1] * options.seconds) // 20 * 20
        pairs = []
        for _ in range(options.rounds):
            pairs.append((alone(folder, steps), searched(folder, steps)))
            (wall, cpu), (own_wall, own_cpu) = pairs[-1]
            print(f"{steps} steps: alone {wall:.2f} s (processor {cpu:.2f} s), ", end="")
            print(f"in hpsearch {own_wall:.2f} s (processor {own_cpu:.2f} s)", flush=True)
    for i, clock in enumerate(("wall", "processor")):
        ratio = min(b[i] for _, b in pairs) / min(a[i] for a, _ in pairs)
        print(f"{clock} time: ratio of the fastest {ratio:.4f}; of each pair ", end="")
        print(", ".join(f"{b[i] / a[i]:.4f}" for a, b in pairs))


if __name__ == "__main__":
    main()
