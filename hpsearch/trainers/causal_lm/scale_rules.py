"""Laws by which the best rate, batch and weight decay move with the size of a model and of its training, as ratios.

Our model is in the standard parametrisation: matrices begin at normal(0, 0.02) (those that write into the residual
stream at 1 / sqrt(2 layers) of it), and AdamW has one rate for all. So muP (arXiv 2203.03466) and CompleteP (arXiv
2505.01618), by which the best rate stays the same, do not apply as they stand: their multipliers and their rates of
single layers are missing. What is left of them are their exponents for the hidden matrices, which are most of the
weights: under Adam a rate of 1 / width (also derived for the standard parametrisation: arXiv 2407.05872), and of
1 / sqrt(layers) where the residual branches are scaled by it (Depth-muP, arXiv 2310.02244).

The two together are N^-0.5 for models that grow in width and depth alike, which is what independent trainings of such
models came to: N^-0.48 D^0.26 for the rate, D^0.57 for the batch (standard errors 0.02, 0.04, 0.08), fitted by us to
the 18 best rates and batches of a published grid of 46M to 2.9B parameters (LINGLE). Step Law's N^-0.713 is steeper.
The exponent of D is for models of 20M parameters and more: the best rate of our own small trainings, below 2M, does not
rise with the tokens (benchmarks/scale_up.py, horizon_grid.py), as in horizon.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hpsearch.trainers.causal_lm.rules import share_of_law
from hpsearch.trainers.scaling import Answer

LINGLE = "L. Lingle, Scaling Laws for Optimal LR and Batch Size III, 2025"
STEP_LAW = "arXiv 2503.04715"
POWER_LINES = "arXiv 2505.13738"
MUP = "arXiv 2203.03466, 2407.05872; depth: 2310.02244"
FAR = 10.0  # times the parameters, beyond which a rate is a guess
HEAD = 64  # the width of a head, below which large models have none


@dataclass(frozen=True)
class Growth:
    """A larger training by a smaller one."""

    width: float  # ratio
    layers: float  # ratio
    parameters: tuple[int, int]  # before and after, of the layers' matrices
    tokens: tuple[float, float]  # before and after

    @property
    def size(self) -> float:
        """The ratio of the parameters."""
        return self.parameters[1] / self.parameters[0]

    @property
    def length(self) -> float:
        """The ratio of the tokens."""
        return self.tokens[1] / self.tokens[0]

    @property
    def tokens_per_parameter(self) -> float:
        """The ratio of the tokens for each parameter."""
        return self.length / self.size


@dataclass(frozen=True)
class Law:
    """A published rule for one value."""

    name: str
    formula: str
    source: str
    ratio: Callable[[Growth], float]  # of the best values, after / before
    parameters: tuple[float, float] = (0.0, math.inf)  # between which it was fitted
    tokens: tuple[float, float] = (0.0, math.inf)
    conditions: str = ""  # what else it was fitted on

    @property
    def holds(self) -> str:
        """The range of validity in words."""
        spans = [
            _span(self.parameters, "parameters"),
            _span(self.tokens, "tokens"),
            self.conditions,
        ]
        return ", ".join(span for span in spans if span)

    def answer(self, value: float) -> Answer:
        """What the law makes of a value."""
        return Answer(value, self.name, self.formula, self.source, self.holds)

    def outside(self, growth: Growth) -> str:
        """Says what of a growth lies outside of the range of validity; empty: nothing."""
        pairs = [
            (growth.parameters, self.parameters, "parameters"),
            (growth.tokens, self.tokens, "tokens"),
        ]
        found = [
            f"{what} go from {amount(before)} to {amount(after)}"
            for (before, after), (low, high), what in pairs
            if min(before, after) < low or max(before, after) > high
        ]
        return " and ".join(found)


def _width_depth(growth: Growth) -> float:
    exponent = RATE_TOKENS * share_of_law(growth.parameters[1])
    return 1.0 / growth.width / math.sqrt(growth.layers) * float(growth.length**exponent)


RATE_TOKENS, BATCH_TOKENS = 0.26, 0.571

WIDTH_DEPTH = Law(
    "width and depth",
    "rate ~ D^(0.26 s) / (width sqrt(layers)), s = 0 up to 2M parameters, 1 from 20M on",
    f"{MUP}; D: {LINGLE}",
    _width_depth,
    parameters=(46e6, 2.9e9),
    tokens=(1.28e8, 1.02e9),
    conditions="one pass over the data",
)
REPLICATION = Law(
    "independent grid",
    "rate ~ N^-0.48 D^0.26",
    LINGLE,
    lambda growth: float(growth.size**-0.477 * growth.length**0.262),
    parameters=(46e6, 2.9e9),
    tokens=(1.28e8, 1.02e9),
    conditions="width as 128 times the layers",
)
STEP_LAW_RATE = Law(
    "Step Law",
    "rate = 1.79 N^-0.713 D^0.307",
    STEP_LAW,
    lambda growth: float(growth.size**-0.713 * growth.length**0.307),
    parameters=(6e7, 1.1e9),
    tokens=(2e9, 1e11),
    conditions="weight decay 0.1",
)
STEP_LAW_BATCH = Law(
    "Step Law",
    "batch = 0.58 D^0.571 tokens",
    STEP_LAW,
    lambda growth: float(growth.length**BATCH_TOKENS),
    parameters=(6e7, 1.1e9),
    tokens=(2e9, 1e11),
)
POWER_LINES_BATCH = Law(
    "Power Lines",
    "batch ~ D^0.383",
    POWER_LINES,
    lambda growth: float(growth.length**0.383),
    parameters=(1.1e8, 3.3e9),
    conditions="muP, context 2048",
)


def decay(before: float, *, batch: float, rate: float, growth: Growth) -> Iterator[Answer]:
    """The weight decays by AdamW's time scale tau = batch / (rate decay tokens); batch, rate: ratios after / before.

    First that of Power Lines, whose tau falls with the tokens per parameter, then that of a constant tau.
    """
    constant = before * batch / rate / growth.length
    tau = growth.tokens_per_parameter**-0.527
    formula = "batch / (rate decay D) ~ (D / N)^-0.527"
    holds = "110M to 3.3B parameters, one pass over the data, muP, context 2048"
    yield Answer(constant / tau, "Power Lines", formula, POWER_LINES, holds)
    holds = "single and few passes over the data"
    yield Answer(constant, "constant time scale", "batch / (rate decay D) stays", "arXiv 2405.13698", holds)


def amount(number: float) -> str:
    """A number of parameters or tokens in a few characters: 0.4M, 2.9B, 414k."""
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def _span(span: tuple[float, float], what: str) -> str:
    low, high = span
    return "" if (low, high) == (0.0, math.inf) else f"{amount(low)} to {amount(high)} {what}"
