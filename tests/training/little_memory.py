"""A training in a process with a limit of memory: `python -m tests.training.little_memory FOLDER MIB MICRO_BATCH`.

The limit is what the process has with its model built, and MIB; 0: none. Prints what came of it as JSON.
"""

import json
import logging
import resource
import sys
from pathlib import Path

from hpsearch.training.loop import Training
from tests.training.tiny import TEXT, handle, tiny

ROWS = 64  # sequences of 256 tokens: about 130 MiB at once


def main(folder, mebibytes, micro_batch):
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    config = tiny(
        {"text": TEXT},
        model={"context": 256, "width": 32},
        training={"batch_size": ROWS, "micro_batch_size": micro_batch or None, "epochs": 3},
        evaluation={"times": 1},
    )
    training = Training(config, handle(folder, f"{mebibytes}-{micro_batch}"))
    if mebibytes:
        limit = _virtual() + mebibytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    training.interval = 1
    while training.step < training.last_step:
        training.train_step()
    found = training.evaluate()
    losses = [point.metrics["train/loss"] for point in found.points]
    print(json.dumps([training.micro_batch.size, found.tokens, losses, found.metrics["val/loss"], found.peak_memory]))


def _virtual():
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmSize:")).split()[1]) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
