"""Whether GPUs that train one trial at a time are idle most of the time, and have memory for more trials.

Small models leave a GPU waiting for the processor, which starts one small kernel after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hpsearch.contract import Evaluation

IDLE = 50.0  # percent of the time in which a kernel runs, below which a GPU has time for a second trial
FEWEST = 5  # evaluations that say how busy the GPU was
ROOM = 0.33  # of a GPU's memory: two such trials and their CUDA contexts take less than the 90 % that trials may
REMEDY = "resources: {trials_per_gpu: auto} trains several at once (the quickstart on an H200: 35 s instead of 100)"


def busy(trainings: Iterable[Sequence[Evaluation]]) -> float | None:
    """Percent of the time in which the GPUs ran a kernel, over the evaluations of some trainings.

    None: too few of them say it. The first of a training is left out: before it, kernels are loaded.
    """
    found = [
        (max(1.0, later.seconds - former.seconds), later.usage["gpu"])
        for training in trainings
        for former, later in pairwise(training)
        if "gpu" in later.usage
    ]
    if len(found) < FEWEST:
        return None
    return sum(seconds * percent for seconds, percent in found) / sum(seconds for seconds, _ in found)


def idle(percent: float | None, *, peak: int, size: int) -> str:
    """Says that GPUs were idle; empty if they were not, or have no memory for a second trial, or nothing is known.

    percent: of `busy`; peak: bytes of the largest trial; size: bytes of a GPU.
    """
    if percent is None or percent >= IDLE or not 0 < peak <= ROOM * size:
        return ""
    memory = f"{peak / 2**30:.2g} of {size / 2**30:.3g} GiB"
    return f"with one trial at a time, a GPU ran kernels {percent:.0f} % of the time and had at most {memory} in use"
