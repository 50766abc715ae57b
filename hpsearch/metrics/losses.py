"""Metrics of a language model's losses: of each target token, without any decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Sums:
    """Sums over target tokens, so that a mean over sets is a mean over tokens, each counted with its set's weight."""

    nll: float = 0.0  # nats
    squares: float = 0.0
    tokens: float = 0
    n_bytes: float = 0
    squared: float = 0.0  # of several sets: their tokens times the square of their weight

    def add(self, other: Sums, weight: float = 1.0) -> None:
        """Adds another's sums, `weight` times."""
        self.nll, self.squares = self.nll + weight * other.nll, self.squares + weight * other.squares
        self.tokens, self.n_bytes = self.tokens + weight * other.tokens, self.n_bytes + weight * other.n_bytes
        self.squared += weight * weight * other.tokens

    def metrics(self) -> dict[str, float]:
        """Loss (nats a token) with its standard error, perplexity, bits a byte of the text."""
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
    """exp of a mean loss in nats per token; inf where that overflows."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_byte(nll_sum: float, n_bytes: float) -> float:
    """The bits it takes to code each byte of a text whose negative log likelihood is `nll_sum` nats in all."""
    if n_bytes <= 0:
        raise ValueError(f"bits per byte need a text of at least one byte, not {n_bytes}")
    return nll_sum / math.log(2) / n_bytes
