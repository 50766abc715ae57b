"""Metrics from the losses of a language model's target tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hpsearch.tasks.scores.replicates import Replicates


@dataclass
class Sums:
    """Sums over target tokens; summed over sets by weight, they make means over all tokens."""

    nll: float = 0.0  # nats
    squares: float = 0.0
    tokens: float = 0
    n_bytes: float = 0
    squared: float = 0.0  # over sets: tokens times the square of the weight
    groups: list[tuple[float, float]] = field(default_factory=list)  # nll and tokens of each (see replicates.py)

    def add(self, other: Sums, weight: float = 1.0) -> None:
        """Adds the other sums, multiplied by `weight`."""
        self.groups = self._with_groups(other, weight)
        self.nll, self.squares = self.nll + weight * other.nll, self.squares + weight * other.squares
        self.tokens, self.n_bytes = self.tokens + weight * other.tokens, self.n_bytes + weight * other.n_bytes
        self.squared += weight * weight * other.tokens

    def replicates(self) -> Replicates:
        """Loss, perplexity and bits per byte without each group; empty if these are not known.

        A group has as many of the bytes as of the tokens, about.
        """
        left = [(self.nll - nll, self.tokens - tokens) for nll, tokens in self.groups if tokens]
        if not left or any(tokens <= 0 for _, tokens in left):
            return {}
        losses = [nll / tokens for nll, tokens in left]
        bits = self.tokens / max(1, self.n_bytes) / math.log(2)
        return {
            "loss": losses,
            "perplexity": [perplexity(loss) for loss in losses],
            "bits_per_byte": [bits * loss for loss in losses],
        }

    def _with_groups(self, other: Sums, weight: float) -> list[tuple[float, float]]:
        mine = self.groups if self.tokens else [(0.0, 0.0)] * len(other.groups)
        if len(mine) != len(other.groups):
            return []
        both = zip(mine, other.groups, strict=True)
        return [(nll + weight * more, tokens + weight * count) for (nll, tokens), (more, count) in both]

    def metrics(self) -> dict[str, float]:
        """Loss (nats per token) with its standard error, perplexity, bits per byte of the text."""
        loss = self.nll / max(1, self.tokens)
        variance = max(0.0, self.squares / max(1, self.tokens) - loss * loss)
        effective = self.tokens * self.tokens / self.squared if self.squared else self.tokens  # Kish's sample size
        return {
            "loss": loss,
            "loss_stderr": math.sqrt(variance / max(1, effective)),
            "perplexity": perplexity(loss),
            "bits_per_byte": bits_per_byte(self.nll, self.n_bytes),
        }


def perplexity(loss: float) -> float:
    """exp of a mean loss in nats per token; inf if it overflows."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_byte(nll_sum: float, n_bytes: float) -> float:
    """Bits per byte of a text with a negative log-likelihood of `nll_sum` nats; raises ValueError without bytes."""
    if n_bytes <= 0:
        raise ValueError(f"bits per byte need a text of at least one byte, not {n_bytes}")
    return nll_sum / math.log(2) / n_bytes
