"""Functions and programs that keep the contract, or break parts of it, in plain Python: they need no torch."""

GOOD = """
import random
import time

def train(config, trial):
    state = trial.load() or {"epoch": 0, "loss": 4.0, "random": None}
    draw = random.Random(trial.seed)
    if state["random"] is not None:
        version, numbers, gauss = state["random"]
        draw.setstate((version, tuple(numbers), gauss))
    loss = state["loss"]
    for epoch in range(state["epoch"] + 1, 4 + 1):
        pass  # takes its time
        loss = loss * (0.7 + 0.1 * draw.random())
        (trial.folder / "log.txt").write_text(str(loss))
        yield {"val/loss": loss, "step": epoch, "steps": 4}
        trial.save({"epoch": epoch, "loss": loss, "random": list(draw.getstate())})
"""

# It keeps 50 MiB of each training, writes beside its file, leaves a process, takes no seed and saves nothing.
BROKEN = """
import pathlib
import subprocess
import sys

kept = []

def train(config):
    kept.append(b"x" * (50 << 20))
    pathlib.Path(__file__).with_name("elsewhere.txt").write_text(str(len(kept)))
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    for epoch in range(4):
        yield {"val/loss": 1.0 / (epoch + 1)}
"""

# Two at once meet: the second one finds the file of the first.
DISTURBED = GOOD.replace(
    "    loss = state",
    """    import os
    import pathlib
    mark = pathlib.Path(__file__).with_name("mark")
    if mark.exists() and pathlib.Path("/proc", mark.read_text()).exists():
        raise RuntimeError("another trial is here")
    mark.write_text(str(os.getpid()))
    try:
        yield from body(config, trial, state, draw)
    finally:
        mark.unlink()

def body(config, trial, state, draw):
    time.sleep(1.0)
    loss = state""",
)

# It saves where it is, and not its random numbers.
TO_OTHER_CURVES = GOOD.replace("list(draw.getstate())", "None")

# It saves all that it can, and draws from the system's random numbers.
UNREPEATABLE = GOOD.replace("random.Random(trial.seed)", "random.SystemRandom()").replace(
    "list(draw.getstate())", "None"
)

STUBBORN = """
import argparse
import random
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
draw = random.Random(parser.parse_args().seed)
for step in range(1, 5):
    time.sleep(0.5)
    print({"val/loss": draw.random(), "step": step, "steps": 4})
"""


# A trainer that asks for no command, and saves nothing.
DEAF = """
import random
from hpsearch import Evaluation, Trainer

class Deaf(Trainer):
    def train(self, config, handle):
        draw = random.Random(config.seed)
        for index in range(1, 9):
            yield Evaluation(index=index, step=index, progress=index / 8, metrics={"val/loss": draw.random()})
"""
