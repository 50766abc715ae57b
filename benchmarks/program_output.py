"""What a program's way of printing through hpsearch costs: latency, processor time while it is silent or floods, start.

    python benchmarks/program_output.py [--rounds 3]

The trainer of programs runs in this process, as in a worker. Each line that is an evaluation has the time at which the
program printed it; its latency is up to the saved and yielded evaluation. Works with every version of hpsearch, so that
two checkouts can be compared (PYTHONPATH).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hpsearch.contract import Evaluation, Handle, WorkerSettings
from hpsearch.space.experiment import Experiment

TICKS = """
import json, sys, time
for step in range(1, 101):
    time.sleep(0.03)
    print(json.dumps({"val/loss": time.monotonic(), "step": step}))
"""
SILENT = """
import time
print({"val/loss": 1, "step": 1})
time.sleep(10)
print({"val/loss": 1, "step": 2})
"""
FLOOD = """
import sys, time
rate, began = RATE, time.monotonic()
lines = (b"x" * 79 + b"\\n") * 1000
for block in range(1, BLOCKS + 1):
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()
    time.sleep(max(0.0, began + block * 1000 / rate - time.monotonic()) if rate else 0)
print({"val/loss": time.monotonic() - began, "step": 1})
"""
SHORT = "echo \"{'val/loss': 1}\"\n"


def training(folder: Path, command: list[str]) -> Iterator[Evaluation]:
    """The evaluations of a program."""
    wanted = Experiment.of({"study": "mine", "command": command}, base=folder)
    (folder / "0000").mkdir()
    handle = Handle(WorkerSettings("cpu", 1, folder, folder), folder / "0000")
    return iter(wanted.trainer.train(wanted.train_config(), handle))


def spooler_seconds(folder: Path) -> float:
    """Processor time of the process that stores the output, if there is one."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (path / "cmdline").read_bytes()
            if b"spooler.py" in line and str(folder).encode() in line:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def latencies() -> list[float]:
    """Milliseconds from a print to its evaluation."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "train.py").write_text(TICKS)
        found = training(Path(name), ["python", "train.py"])
        return [1000 * (time.monotonic() - one.metrics["val/loss"]) for one in found]


def cost(code: str) -> tuple[float, float, float, float]:
    """What a program of two evaluations says, then seconds: wall, processor of the worker, of the spooler."""
    seen, over = [0.0], threading.Event()

    def watch(folder: Path) -> None:
        while not over.wait(0.2):
            seen.append(max(seen[-1], spooler_seconds(folder)))

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "train.py").write_text(code)
        watching = threading.Thread(target=watch, args=(Path(name),))
        watching.start()
        began, used = time.monotonic(), time.thread_time()
        [*_, last] = training(Path(name), ["python", "train.py"])
        spent = time.monotonic() - began, time.thread_time() - used
        over.set()
        watching.join()
        return last.metrics["val/loss"], *spent, seen[-1]


def starts(count: int) -> float:
    """Milliseconds of a trial of a program that ends at once."""
    began = time.monotonic()
    for _ in range(count):
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "train.sh").write_text(SHORT)
            list(training(Path(name), ["sh", "train.sh"]))
    return 1000 * (time.monotonic() - began) / count


def main() -> None:
    """Prints the figures of each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    for _ in range(parser.parse_args().rounds):
        found = sorted(latencies())
        print(f"latency: median {statistics.median(found):.1f} ms, 95 % below {found[94]:.1f}, longest {found[-1]:.1f}")
        _, wall, worker, spooler = cost(SILENT)
        print(f"silent for {wall:.1f} s: worker {worker:.3f} s of processor time, spooler {spooler:.3f}")
        for rate in (100_000, 0):
            blocks = 500
            code = FLOOD.replace("RATE", str(rate)).replace("BLOCKS", str(blocks))
            printed, wall, worker, spooler = cost(code)
            kind = f"{rate:,} lines/s" if rate else "as fast as it can"
            print(
                f"flood, {kind}: {blocks * 1000 / printed:,.0f} printed, read after {wall:.1f} s; worker {worker:.2f} s"
            )
            print(f"    of processor time, spooler {spooler:.2f}, for {blocks * 1000:,} lines of 80 bytes")
        print(f"a trial of a program that ends at once: {starts(20):.0f} ms")


if __name__ == "__main__":
    main()
