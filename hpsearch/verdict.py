"""Go on, or stop? Pure functions of one trial's learning curve.

Three ways to stop are kept apart. *Pruned* is a comparison with other trials, so the pruner makes it; what is here
looks at one curve alone. *Overfitting*: validation loss has turned up while training loss still falls; such a trial
ends with its best value and can still win. *Diverged*: it never can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

# A standard error over tokens says how far the loss is from that of all text. Two evaluations of one training share
# their tokens, and most of that error cancels in their difference: what is left was 0.2 to 0.35 of it between
# neighbouring evaluations of a small transformer. The low end is taken: the threshold is several of them wide, and
# the jitter of the curve is measured beside it.
PAIRED_SHARE = 0.2
SMALLEST_NOISE = 0.001  # share of the best loss
FEW_DIFFERENCES = 1.0  # the median of n differences is often far too small: noise is raised by 1 + 1 / n
POINTS_FOR_GAP = 8  # below this the noise of the gap comes from too few differences to replace that of the loss
DIVERGED_BY = 0.5  # nats above the first evaluation
DIVERGED_TIMES = 10.0  # times the first evaluation: no overfitting gets there


class Verdict(StrEnum):
    """What becomes of a trial after an evaluation."""

    CONTINUE = "continue"
    PAUSE = "pause"  # it may be resumed, and counts by its best evaluation so far
    PRUNE = "prune"
    OVERFIT = "overfit"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Phases:
    """Where a training's phases begin and end, as shares of its schedule (0 to 1)."""

    warmup_until: float
    cooldown_from: float  # 1: the schedule has no cool-down
    ends_at: float  # where the training ends; 1: at the end of its schedule


@dataclass(frozen=True)
class Point:
    """One evaluation of a trial: losses in nats per token, progress as the share of its training that is done."""

    index: int  # 1, 2, ...
    progress: float  # 0 to 1
    val_loss: float
    train_loss: float
    stderr: float = 0.0  # standard error of val_loss over the validation split; 0: not known


def noise(values: Sequence[float]) -> float:
    """The standard deviation of the jitter around a smooth curve, 0 below four values.

    1.48 x the median absolute deviation of the second differences, over sqrt(6): a normal error of deviation s in
    each value gives second differences of deviation sqrt(1 + 4 + 1) s. Medians let single spikes pass unseen.
    """
    seconds = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    if len(seconds) < 2:
        return 0.0
    middle = median(seconds)
    return 1.48 * median(abs(second - middle) for second in seconds) / math.sqrt(6)


def overfitting(
    curve: Sequence[Point], *, warmup_until: float, cooldown_from: float, evaluations: int = 3, sigmas: float = 3.0
) -> bool:
    """Whether validation loss has turned up for good while training loss still falls.

    All of: the last `evaluations` losses stand above the best by more than sigmas * sqrt(2) * sigma (the sqrt(2): two
    noisy values are compared); their mean training loss is below that at the best; the mean gap between the two
    losses has grown by more than sigmas * sigma; the warm-up was over (progress `warmup_until`), and neither the
    cool-down (progress `cooldown_from`; 1 where the schedule has none) nor the end has come, for a falling rate still
    lowers the loss. Evaluations that are not finite belong to `diverged`.
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


def diverged(curve: Sequence[Point], *, warmup_until: float) -> bool:
    """Whether the last validation loss is not finite, or after the warm-up far above the first one.

    Far: 0.5 nats where training loss rose too (where it fell, the trial overfits, and may have been good before), or
    ten times the first whatever training loss did.
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
    """Whether the best of an objective's values is older than the last `evaluations` of them.

    F1 or BLEU often goes on rising after validation loss has turned up: stop such a trial for overfitting only when
    its objective is stale as well. Values that are not finite are passed over.
    """
    known = [-value if maximize else value for value in values if math.isfinite(value)]
    return len(known) > evaluations and min(known[:-evaluations]) <= min(known[-evaluations:])


def reason(verdict: Verdict, curve: Sequence[Point], *, evaluations: int = 3) -> str:
    """One line that tells a person why: the losses that speak for the verdict, and where they were measured."""
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
    """The earliest point of the lowest finite validation loss."""
    return min((point for point in curve if math.isfinite(point.val_loss)), key=lambda p: p.val_loss, default=None)


def _sigma(curve: Sequence[Point], best: Point) -> float:
    """The noise of one validation loss, in nats: the jitter of the curve, and no less than two floors.

    Where the minimum comes early, the steep descent before it is most of the curve, and its bend passes for noise.
    Training loss bends alike, so the gap between the two shows less of it: the lower of the two estimates is taken.
    """
    jitter = noise([point.val_loss for point in curve])
    if len(curve) >= POINTS_FOR_GAP:
        jitter = min(jitter, noise([point.val_loss - point.train_loss for point in curve]))
    jitter *= 1 + FEW_DIFFERENCES / max(len(curve) - 2, 1)
    return max(jitter, PAIRED_SHARE * best.stderr, SMALLEST_NOISE * abs(best.val_loss))


def _loss(value: float) -> str:
    """A loss as people write it: three decimals, or an exponent where that would be a long row of digits."""
    return f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
