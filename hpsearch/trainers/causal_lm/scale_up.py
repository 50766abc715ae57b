"""A larger training than a trial's: the values of its config, by the laws of scale_rules.py, from the trial's own.

The laws are applied as ratios: the trial's values are what the search has measured, whatever a law says of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hpsearch.document.document import Fault
from hpsearch.trainers.causal_lm import scale_rules as laws
from hpsearch.trainers.causal_lm.rules import dropout
from hpsearch.trainers.causal_lm.scale_rules import Growth, Law, amount
from hpsearch.trainers.causal_lm.scale_target import Extent, ScaleTarget, extent, larger
from hpsearch.trainers.scaling import Answer, Change, ScaleUp
from hpsearch.training.config import TrainConfig

GIVEN, FOLLOWS = "given", "follows"
WARMUP, LONG_WARMUP = "arXiv 1910.04209", 0.1
ANCHORS = ("learning_rate", "batch_size", "weight_decay")
REPEATS, WORTHLESS = 4, 16  # passes over the same data (arXiv 2305.16264)


def scaled(
    config: TrainConfig, given: Mapping[str, Any], *, sets: Mapping[str, Any], searched: Collection[tuple[str, str]]
) -> ScaleUp:
    """The larger training that the user describes; raises Fault for what it cannot be.

    config: that of the trial, up to its best evaluation; sets: the counts of the study's data; searched: (section,
    key) of the study's ranges.
    """
    target, before = ScaleTarget.of(given), extent(config, sets)
    after = larger(before, target, sets)
    if after.config == config and after.tokens == before.tokens and target.batch_size is None:
        raise Fault((), f"nothing is larger than in the trial; allowed: {', '.join(ScaleTarget.model_fields)}")
    growth = Growth(
        width=after.config.model.width / config.model.width,
        layers=after.config.model.n_layers / config.model.n_layers,
        parameters=(before.parameters, after.parameters),
        tokens=(before.tokens, after.tokens),
    )
    changes = [*_sizes(config, after, target), *_values(before, after, target, growth, searched)]
    ordered = tuple(sorted(changes, key=lambda one: _place(config, one)))
    sizes = {"parameters": growth.parameters, "tokens": growth.tokens}
    found = _applied(after.config, ordered)
    return ScaleUp(found, ordered, sizes, tuple(_warnings(before, after, target, growth, searched, ordered)))


# --------------------------------------------------------------------------------------------------- size and length


def _sizes(config: TrainConfig, after: Extent, target: ScaleTarget) -> Iterator[Change]:
    """What the user gives, and what follows from it."""
    for section in ("model", "training"):
        old, new = getattr(config, section), getattr(after.config, section)
        for key in type(old).model_fields:
            was, now = getattr(old, key), getattr(new, key)
            if was != now:
                rule = GIVEN if getattr(target, key, None) is not None else FOLLOWS
                yield Change(section, key, was, Answer(now, rule, _why_size(key, after, target)))


def _why_size(key: str, after: Extent, target: ScaleTarget) -> str:
    if key == "n_heads" and target.n_heads is None:
        return f"heads as wide as the trial's, {after.config.model.width // after.config.model.n_heads}"
    if key == "stop_at":
        return "the whole schedule"
    if key != "epochs":
        return ""
    if target.epochs is not None and target.tokens is not None:
        return f"of data with {amount(after.epoch_tokens)} tokens, which data must name"
    return f"{amount(after.tokens)} tokens, of data with {amount(after.epoch_tokens)}"


# ------------------------------------------------------------------------------------------------------------ values


def _values(
    before: Extent, after: Extent, target: ScaleTarget, growth: Growth, searched: Collection[tuple[str, str]]
) -> Iterator[Change]:
    """The values that the laws are about; each depends on those before it."""
    batch = _batch_size(before, after, target, growth)
    yield batch
    batch_ratio = float(batch.after or 1) * after.row_tokens / before.batch_tokens
    rate = _rate(before.config, growth, off=batch_ratio / laws.STEP_LAW_BATCH.ratio(growth))
    yield rate
    rate_ratio = float(rate.after or 0) / before.config.training.learning_rate
    is_searched = ("training", "weight_decay") in searched
    yield _decay(before.config, growth, batch=batch_ratio, rate=rate_ratio, searched=is_searched)
    yield _warmup(before.config, steps=after.tokens / (float(batch.after or 1) * after.row_tokens))
    yield _dropout(before, after)


def _batch_size(before: Extent, after: Extent, target: ScaleTarget, growth: Growth) -> Change:
    def answer(law: Law) -> Answer:
        return law.answer(max(1, round(before.batch_tokens * law.ratio(growth) / after.row_tokens)))

    others = (answer(laws.STEP_LAW_BATCH), answer(laws.POWER_LINES_BATCH))
    now = before.config.training.batch_size
    if target.batch_size is not None:
        return Change("training", "batch_size", now, Answer(target.batch_size, GIVEN), others=others)
    why = "an independent grid came to D^0.574, and our own small trainings to D^0.5 (benchmarks)"
    return Change("training", "batch_size", now, others[0], why, others[1:])


def _rate(config: TrainConfig, growth: Growth, *, off: float) -> Change:
    """The rate; off: the batch, as a multiple of the best one, with whose square root the rate goes."""
    now = config.training.learning_rate

    def answer(law: Law) -> Answer:
        return law.answer(_digits(now * law.ratio(growth) * math.sqrt(off)))

    chosen, *others = (answer(law) for law in (laws.WIDTH_DEPTH, laws.REPLICATION, laws.STEP_LAW_RATE))
    why = "it knows width from depth, and agrees with an independent grid; Step Law's exponent in N does not hold there"
    return Change("training", "learning_rate", now, chosen, why, tuple(others))


def _decay(config: TrainConfig, growth: Growth, *, batch: float, rate: float, searched: bool) -> Change:
    now = config.training.weight_decay
    by_tau = [
        Answer(_digits(float(one.value or 0)), one.rule, one.formula, one.source, one.holds)
        for one in laws.decay(now, batch=batch, rate=rate, growth=growth)
    ]
    kept = Answer(now, "as it is", "", laws.STEP_LAW, "0.1 in the trainings that the laws of the rate were fitted to")
    if searched:
        why = "the trial's weight decay was searched, so its time scale is a measured one"
        return Change("training", "weight_decay", now, by_tau[0], why, (by_tau[1], kept))
    why = "the study did not search it, so there is no measured time scale to keep"
    return Change("training", "weight_decay", now, kept, why, tuple(by_tau))


def _warmup(config: TrainConfig, *, steps: float) -> Change:
    """The share of the warm-up: as it is, but so many steps that AdamW knows the squares of the gradients."""
    training = config.training
    least = 2 / (1 - training.beta2)
    share = Answer(training.warmup, "same share", "the schedule goes with the training", "arXiv 2203.03466")
    needed = min(LONG_WARMUP, least / max(1.0, steps))
    formula = f"2 / (1 - beta2) = {least:.0f} steps, at most {LONG_WARMUP:.0%} of all"
    least_share = Answer(_digits(needed), "untuned warm-up", formula, WARMUP)
    if training.warmup == 0 or training.warmup >= needed:
        return Change("training", "warmup", training.warmup, share, "it is long enough", (least_share,))
    return Change("training", "warmup", training.warmup, least_share, "the share would be fewer steps", (share,))


def _dropout(before: Extent, after: Extent) -> Change:
    """The dropout, moved by what the rule of the epochs moves; 0 up to one epoch."""
    now, old = before.config.model.dropout, before.config.training
    epochs = after.config.training.epochs
    moved = now + dropout(epochs).value - dropout(old.epochs * old.stop_at).value
    value = 0.0 if epochs <= 1 else min(0.5, max(0.0, float(f"{moved:.2g}")))
    rule = Answer(value, "repeats", "dropout + 0.05 log2(epochs after / before)", "arXiv 2305.13230", "1 to 16 epochs")
    return Change("model", "dropout", now, rule, "none up to one epoch, more where data repeat more often")


# ---------------------------------------------------------------------------------------------------------- warnings


def _warnings(
    before: Extent,
    after: Extent,
    target: ScaleTarget,
    growth: Growth,
    searched: Collection[tuple[str, str]],
    changes: Collection[Change],
) -> Iterator[str]:
    """What speaks against the values."""
    for law, what in ((laws.WIDTH_DEPTH, "rate"), (laws.STEP_LAW_BATCH, "batch")):
        moves = growth.length > 1 or (what == "rate" and growth.size != 1)
        if moves and (outside := law.outside(growth)):
            yield f"the law of the {what} was fitted on {law.holds}; here {outside}: take its value as a start"
    if growth.size > laws.FAR:
        yield (
            f"{growth.size:.3g} times the parameters: rates extrapolated in size missed by a factor of 4 at 4.7B "
            "parameters (Lingle, part V); before the whole training, compare a third, one and three times the rate on "
            "its first steps"
        )
    if kept := [key for key in ANCHORS if ("training", key) not in searched]:
        yield f"not searched, so where they start from is no measured optimum: {', '.join(kept)}"
    yield from _of_data(after, target)
    if after.config.model.width // after.config.model.n_heads < laws.HEAD <= after.config.model.width // 4:
        head = after.config.model.width // after.config.model.n_heads
        yield f"heads of {head} are narrow for this width: {laws.HEAD} to 128 is usual (n_heads)"
    decay = next((one.after for one in changes if one.key == "weight_decay"), None)
    if decay and decay > 1:
        yield f"a weight decay of {decay:g} is above all that the laws were fitted on"


def _of_data(after: Extent, target: ScaleTarget) -> Iterator[str]:
    epochs = after.config.training.epochs
    if target.epochs is not None and target.tokens is not None:
        yield (
            f"the data section still names the study's data: name data of {amount(after.epoch_tokens)} tokens there, "
            "and train with --data-changed"
        )
    elif epochs > REPEATS:
        passes = f"{epochs:.4g} passes over the study's data ({amount(after.epoch_tokens)} tokens)"
        yield (
            f"{passes}: after {REPEATS} repeats are worth less than new data, after {WORTHLESS} next to nothing (arXiv "
            f"2305.16264); for more data, give their passes as well: {{tokens: {after.tokens:.4g}, epochs: 1}}"
        )


# ------------------------------------------------------------------------------------------------------------ config


def _applied(config: TrainConfig, changes: Collection[Change]) -> TrainConfig:
    """The config with the values of the changes, checked again."""
    values = config.model_dump()
    for change in changes:
        values[change.section][change.key] = change.after
    micro, batch = values["training"]["micro_batch_size"], values["training"]["batch_size"]
    if micro is not None:
        values["training"]["micro_batch_size"] = min(micro, batch)
    return TrainConfig.model_validate(values)


def _place(config: TrainConfig, change: Change) -> tuple[int, int]:
    """Where a value stands in a config."""
    section = type(getattr(config, change.section)).model_fields
    return list(type(config).model_fields).index(change.section), list(section).index(change.key)


def _digits(number: float) -> float:
    return float(f"{number:.3g}")
