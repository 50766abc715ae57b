"""How much of what it may decode a model decodes, by the steps that it was trained for.

After a few steps a model knows which token is the most frequent target: of short answers the end token, so that it ends
each answer at once. Then it repeats words, and does or does not end; after some more steps its answers are about as
long as the references. Seen in three trainings on 2,262 pairs (batches of 16 to 64, 1 to 4 layers, rate 3e-3): no token
at 14 steps and before; between 15 and 100 steps 3 to 83 of 91 tokens, 37 on average; then 3 to 10, as the references.
"""

from __future__ import annotations

import math

from hpsearch.tasks.evaluation import EvaluationConfig

ENDS_AT_ONCE = 15  # steps before which nothing is decoded
WANDERS = 100  # steps from which on answers are as long as the references
WANDERING = 0.4  # of the limit, between the two, on average


def decoding_steps(config: EvaluationConfig, steps: float) -> list[float]:
    """The steps of a whole training after which it decodes; the best evaluation once more at the end."""
    times, every = config.times, config.decode_every
    places = [*range(every, times + 1, every), *([times] if times % every else [])]
    found = sorted({float(min(steps, math.ceil(steps * place / times))) for place in places})
    return [*found, *([float(steps)] if every > 1 else [])]


def is_long(steps: float) -> bool:
    """Whether a model after so many steps may decode up to the limit."""
    return ENDS_AT_ONCE <= steps < WANDERS


def expected(steps: float, *, none: float, references: float, limit: float) -> float:
    """The seconds to decode after so many steps, from those for one token, for the references' length, for the limit.

    limit: 0 if it was not measured.
    """
    if steps < ENDS_AT_ONCE:
        return min(none, references)
    return none + WANDERING * (limit - none) if is_long(steps) and limit else references
