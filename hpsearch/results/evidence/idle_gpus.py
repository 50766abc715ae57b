"""Whether GPUs that train one trial at a time are idle most of the time, and have memory for more trials.

Small models leave a GPU waiting for the processor, which starts one small kernel after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hpsearch.contract import Evaluation

IDLE = 50.0  # percent of the time in which a kernel runs, below which a GPU has time for a second trial
FEWEST = 5  # evaluations that say how busy the GPU was
STEPPING = 0.2  # share of a measurement that its steps take at least
ROOM = 0.33  # of a GPU's memory: two such trials and their CUDA contexts take less than the 90% that trials may
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


def busy_in_steps(measurements: Iterable[Evaluation]) -> float | None:
    """The same of measurements (training/measuring.py), at most: as if the GPU had run nothing beside their steps.

    The GPU is looked at before and between steps, so it may have been seen while the model was built. None: too few
    measurements say it, or spend enough of their time in steps.
    """
    found: list[tuple[float, float]] = []  # seconds in steps; seconds in kernels, at most
    for one in measurements:
        stepping = one.metrics.get("step", 0.0) * one.metrics.get("steps", 0.0)
        if "gpu" in one.usage and stepping >= STEPPING * one.seconds > 0:
            found.append((stepping, min(stepping, one.usage["gpu"] / 100 * one.seconds)))
    if len(found) < FEWEST:
        return None
    return 100 * sum(kernels for _, kernels in found) / sum(stepping for stepping, _ in found)


def idle(percent: float | None, *, peak: int, size: int) -> str:
    """Says that GPUs were idle; empty if they were not, or have no memory for a second trial, or nothing is known.

    percent: of `busy`; peak: bytes of the largest trial; size: bytes of a GPU.
    """
    if percent is None or percent >= IDLE or not 0 < peak <= ROOM * size:
        return ""
    memory = f"at most {peak / 2**30:.2g} of {size / 2**30:.3g} GiB"
    return f"with one trial at a time, a GPU ran kernels at most {percent:.0f}% of the time, with {memory} in use"
