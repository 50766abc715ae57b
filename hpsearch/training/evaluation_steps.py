"""The steps at which a training is evaluated."""

from __future__ import annotations

import math

from hpsearch.training.config import FitConfig


def evaluation_steps(config: FitConfig, total_steps: int) -> tuple[dict[int, int], int]:
    """Returns step -> evaluation index, and the last step of the training.

    Indices that fall on the same step are one evaluation with the highest index.
    """
    times, stop_at = config.evaluation.times, config.training.stop_at
    due = {math.ceil(i * total_steps / times): i for i in range(1, times + 1)}
    last = min(total_steps, math.ceil(stop_at * total_steps - 1e-9))
    due = {step: index for step, index in due.items() if step <= last}
    due.setdefault(last, max(1, math.ceil(stop_at * times - 1e-9)))
    return due, last
