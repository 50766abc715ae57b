"""The toy's training with the time of each step written to the file that STEPS_FILE names."""

import dataclasses
import itertools
import os
import time

from hpsearch.testing import toy


class Timed(toy.Toy):
    def train(self, config, handle):
        with open(os.environ["STEPS_FILE"], "a") as file:

            def command():
                file.write(f"{time.monotonic()}\n")
                return handle.command()

            yield from super().train(config, dataclasses.replace(handle, command=command))


def longest_gap(path):
    """The longest time between two steps of one training (the toy's trainings are further apart), in seconds."""
    times = [float(line) for line in path.read_text().split()]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    between = len(gaps) // toy.STEPS  # of one training and the next
    return sorted(gaps)[-1 - between]
