"""Detects overfitting and divergence in one trial's learning curve. Pure functions.

*Overfitting*: validation loss rises while training loss still falls; such a trial ends with its best value and can win.
*Diverged*: the trial cannot win. Pruning, the third way to stop, compares trials, so the pruner does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

# The standard error over tokens is that of one evaluation. Two evaluations of one training use the same tokens, so much
# of it cancels in their difference: of a small transformer's text 0.2 to 0.35 of it was left between neighbouring
# evaluations, of ten labels 0.2 to 0.9. The lowest value is enough here: a trial counts by its loss on these very
# tokens, the threshold is several times as large, and the jitter of the curve is measured too. Of two models it says
# nothing.
PAIRED_SHARE = 0.2
SMALLEST_NOISE = 0.001  # share of the best loss
FEW_DIFFERENCES = 1.0  # the median of n differences is often far too small: noise is raised by 1 + 1 / n
POINTS_FOR_GAP = 8  # with fewer points the gap between the losses has too few differences to estimate its noise
LAST_SIGMAS = 1.0  # that are enough at the last evaluation before the cool-down: later nothing lowers the loss as much
DIVERGED_BY = 0.5  # nats above the first evaluation
DIVERGED_TIMES = 10.0  # times the first evaluation: overfitting never gets there


class Verdict(StrEnum):
    """What happens to a trial after an evaluation."""

    CONTINUE = "continue"
    PAUSE = "pause"  # it may be resumed; its value is the best evaluation so far
    PRUNE = "prune"
    OVERFIT = "overfit"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Phases:
    """The phases of a training, as shares of its schedule (0 to 1)."""

    warmup_until: float
    cooldown_from: float  # 1: the schedule has no cool-down
    ends_at: float  # end of the training; 1: end of the schedule


@dataclass(frozen=True)
class Point:
    """One evaluation of a trial: losses in nats per token, progress as a share of its training."""

    index: int  # 1, 2, ...
    progress: float  # 0 to 1
    val_loss: float
    train_loss: float
    stderr: float = 0.0  # standard error of val_loss over the validation split; 0: unknown


def noise(values: Sequence[float]) -> float:
    """Returns the standard deviation of the jitter around a smooth curve; 0 for fewer than four values.

    1.48 x the median absolute deviation of the second differences, over sqrt(6): a normal error of deviation s in
    each value gives second differences of deviation sqrt(1 + 4 + 1) s. Medians ignore single spikes.
    """
    seconds = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    if len(seconds) < 2:
        return 0.0
    middle = median(seconds)
    return 1.48 * median(abs(second - middle) for second in seconds) / math.sqrt(6)


def overfitting(
    curve: Sequence[Point], *, warmup_until: float, cooldown_from: float, evaluations: int = 3, sigmas: float = 3.0
) -> bool:
    """Whether validation loss rises for good while training loss still falls.

    True if all of these hold: each of the last `evaluations` losses is above the best one by more than
    sigmas * sqrt(2) * sigma (sqrt(2): both values are noisy); their mean training loss is below that at the best one;
    the mean gap between the two losses has grown by more than sigmas * sigma; these evaluations are after the warm-up
    (progress `warmup_until`) and before the cool-down (progress `cooldown_from`; 1: none) and the end, since a falling
    learning rate still lowers the loss. Ignores evaluations that are not finite: see `diverged`.
    """
    finite = [point for point in curve if math.isfinite(point.val_loss) and math.isfinite(point.train_loss)]
    streak, best = finite[-evaluations:], _best(finite)
    if best is None or len(finite) <= evaluations or curve[-1] is not finite[-1] or best in streak:
        return False
    if streak[0].progress < warmup_until or streak[-1].progress > min(cooldown_from, 1 - 1e-9):
        return False
    sigma = _sigma(finite, best)
    rise = min(point.val_loss for point in streak) - best.val_loss
    fall = best.train_loss - fmean(point.train_loss for point in streak)
    growth = fmean(point.val_loss - point.train_loss for point in streak) - (best.val_loss - best.train_loss)
    return rise > sigmas * math.sqrt(2) * sigma and fall > 0 and growth > sigmas * sigma


def is_last_stable(point: Point, *, cooldown_from: float) -> bool:
    """Whether an evaluation is the last one before the cool-down; evaluations are at equal fractions."""
    return point.progress <= cooldown_from < min(1.0, point.progress + point.progress / point.index)


def diverged(curve: Sequence[Point], *, warmup_until: float) -> bool:
    """Whether the last validation loss is not finite, or is far above the first one after the warm-up.

    Far above: by 0.5 nats if training loss rose too (if it fell, the trial overfits), or ten times the first.
    """
    if not curve:
        return False
    first, last = curve[0], curve[-1]
    if not math.isfinite(last.val_loss):
        return True
    if last.progress < warmup_until or last.val_loss <= first.val_loss + DIVERGED_BY:
        return False
    learns = last.train_loss < first.train_loss
    return not learns or last.val_loss > DIVERGED_TIMES * first.val_loss


def stale(values: Sequence[float], *, maximize: bool = False, evaluations: int = 3) -> bool:
    """Whether the best of an objective's values is older than the last `evaluations` values.

    F1 or BLEU often improves further after validation loss has started to rise: stop such a trial for overfitting only
    when its objective is stale too. Ignores values that are not finite.
    """
    known = [-value if maximize else value for value in values if math.isfinite(value)]
    return len(known) > evaluations and min(known[:-evaluations]) <= min(known[-evaluations:])


def reason(verdict: Verdict, curve: Sequence[Point], *, evaluations: int = 3) -> str:
    """Returns one line that explains a verdict: the losses, and the evaluations that measured them."""
    if not curve:
        return "no evaluation yet"
    last, best = curve[-1], _best(curve)
    now = f"validation loss {_loss(last.val_loss)}"
    if verdict is Verdict.DIVERGED:
        return _why_diverged(curve[0], last)
    if best is None or verdict is Verdict.CONTINUE:
        return f"{now} at evaluation {last.index}"
    if verdict is Verdict.PRUNE:
        return f"{now} at evaluation {last.index} (best {_loss(best.val_loss)}) is behind the other trials' there"
    return (
        f"{now} has stood above its best {_loss(best.val_loss)} (evaluation {best.index}) for {evaluations} evaluations"
        f" while training loss fell from {_loss(best.train_loss)} to {_loss(last.train_loss)}"
    )


def _why_diverged(first: Point, last: Point) -> str:
    now = f"validation loss {_loss(last.val_loss)} at evaluation {last.index}"
    if not math.isfinite(last.val_loss):
        return f"{now} is not a finite number"
    return f"{now} is far above the {_loss(first.val_loss)} of evaluation {first.index}"


def _best(curve: Sequence[Point]) -> Point | None:
    """Returns the earliest point with the lowest finite validation loss."""
    return min((point for point in curve if math.isfinite(point.val_loss)), key=lambda p: p.val_loss, default=None)


def _sigma(curve: Sequence[Point], best: Point) -> float:
    """Returns the noise of one validation loss, in nats: the jitter of the curve, with two lower bounds.

    If the minimum comes early, most of the curve is the steep descent before it, whose curvature looks like noise. The
    gap between training and validation loss curves less, so the lower of the two estimates is used.
    """
    jitter = noise([point.val_loss for point in curve])
    if len(curve) >= POINTS_FOR_GAP:
        jitter = min(jitter, noise([point.val_loss - point.train_loss for point in curve]))
    jitter *= 1 + FEW_DIFFERENCES / max(len(curve) - 2, 1)
    return max(jitter, PAIRED_SHARE * best.stderr, SMALLEST_NOISE * abs(best.val_loss))


def _loss(value: float) -> str:
    """Formats a loss: three decimals, or an exponent for large values."""
    return f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
