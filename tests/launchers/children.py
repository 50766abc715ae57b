"""Trainers that start processes; `pids.json` in a trial's folder has the pids: the worker first."""

import itertools
import multiprocessing
import os
import subprocess
import time

from hpsearch.contract import Evaluation
from hpsearch.system.atomic import write_json
from tests.searching import toy_with


@toy_with
def with_children(config, handle):
    """Starts a forked process, which inherits the worker's open files, and two programs."""
    forked = [multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,)) for _ in range(2)]
    for process in forked:
        process.start()
    forked[1].terminate()
    forked[1].join()  # it has not inherited the worker's SIGTERM handler
    yield from evaluations(handle.folder, itertools.repeat(1.0), programs())


@toy_with
def with_loader(config, handle):
    """Trains on batches of a DataLoader process, beside two programs."""
    from torch.utils.data import DataLoader

    loader = DataLoader(range(1_000_000), batch_size=4, num_workers=1)
    yield from evaluations(handle.folder, (float(batch.float().mean()) for batch in loader), programs())


def programs():
    return [subprocess.Popen(["sleep", "1000"], start_new_session=own) for own in (False, True)]


def evaluations(folder, losses, commands):
    for index, loss in enumerate(losses, 1):
        family = [os.getpid(), *(process.pid for process in (*multiprocessing.active_children(), *commands))]
        write_json(folder / "pids.json", family)
        yield Evaluation(index, index, index / 1_000_000, {"val/loss": loss})
