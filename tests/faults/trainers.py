"""Trainers that misbehave in a worker; use one as `python:tests.faults.trainers:greedy`."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from hpsearch.contract import Command
from hpsearch.testing import toy
from tests.searching import toy_with


@toy_with
def first_device_is_broken(config, handle):
    """The toy, which raises a CUDA error on the first GPU; the other one waits until that has happened twice."""
    errors = handle.folder.parent / "errors"
    if os.environ["CUDA_VISIBLE_DEVICES"] == "0":
        with errors.open("a") as file:
            file.write("!")
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    while not errors.exists() or errors.stat().st_size < 2:
        time.sleep(0.01)
    yield from toy.train(config, handle)


@toy_with
def greedy(config, handle):
    """Allocates more memory than its process may use."""
    import resource

    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for found in toy.train(config, handle):
        yield found
        bytearray(8 << 30)


KEPT = []  # memory that `leaking` never frees


@toy_with
def leaking(config, handle):
    """The toy, which leaks memory in each trial."""
    from hpsearch.launchers import memory

    memory.LEAK_ROOM = 64 << 20
    yield from toy.train(config, handle)
    KEPT.append(bytearray(b"x") * (100 << 20))


@toy_with
def littering(config, handle):
    """The toy, which leaves cyclic garbage in each trial."""
    from hpsearch.launchers import memory

    memory.LEAK_ROOM = 64 << 20
    yield from toy.train(config, handle)
    held = [bytearray(b"x") * (100 << 20)]
    held.append(held)


ODD = ("val/loss", 1.0)  # a metric and its value from the second evaluation on


@toy_with
def odd(config, handle):
    """The toy, with one unusual metric value."""
    for found in toy.train(config, handle):
        if found.index >= 2:
            found.metrics[ODD[0]] = ODD[1]
        yield found


@toy_with
def wants_all(config, handle):
    """The toy, whose first trial runs out of memory while others train (each has a file while it trains)."""
    here = handle.folder.parent / f"{handle.folder.name}.here"
    here.touch()
    try:
        for found in toy.train(config, handle):
            if handle.folder.name == "0000" and found.index >= 2 and len(list(here.parent.glob("*.here"))) > 1:
                raise MemoryError("9 GiB asked for")
            yield found
    finally:
        here.unlink(missing_ok=True)


@toy_with
def dies_in_a_pause(config, handle):
    """The toy, killed when it reads PAUSE after the evaluation DIES_PAUSING_AT, once a trial."""
    done, index = handle.folder.parents[1] / f"{handle.folder.name}-died.txt", 0

    def command():
        heard = handle.command()
        if heard is Command.PAUSE and index == int(os.environ["DIES_PAUSING_AT"]) and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return heard

    for found in toy.train(config, replace(handle, command=command)):
        index = found.index
        yield found


@toy_with
def waits_at_two(config, handle):
    """The toy, which waits after its second evaluation until the file GO_ON exists or it gets the command to end."""
    go_on = Path(os.environ["GO_ON"])
    for found in toy.train(config, handle):
        yield found
        while found.index == 2 and not go_on.exists() and handle.command() is Command.CONTINUE:
            time.sleep(0.01)


@toy_with
def terminated_in_a_pause(config, handle):
    """The toy, whose process gets SIGTERM when it hears of a pause."""

    def command():
        heard = handle.command()
        if heard is Command.PAUSE:
            os.kill(os.getpid(), signal.SIGTERM)
        return heard

    yield from toy.train(config, replace(handle, command=command))


def second_one(fault):
    """The toy whose trial 1 has a fault after its second evaluation."""

    def train(config, handle):
        for found in toy.train(config, handle):
            yield found
            if handle.folder.name == "0001" and found.index == 2:
                fault()

    return type("SecondOne", (toy.Toy,), {"train": lambda self, config, handle: train(config, handle)})


second_one_dies = second_one(lambda: os._exit(3))
second_one_hangs = second_one(lambda: time.sleep(600))
