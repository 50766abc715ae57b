"""Ranges to search for language models, by the size of the data and by what a training may cost; each has a source.

`hpsearch new` writes them, and `hpsearch explain` names them. The recommended values inside them are in rules.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hpsearch.trainers.causal_lm.rules import STEP_LAW, batch_tokens, parameters
from hpsearch.training.config import ModelConfig

MEASURED = "measured on small data, benchmarks/spaces"
MULTIPLE_EPOCHS = "up to 4 passes are worth as much as new data, arXiv 2305.16264"
MEGABYTE_VOCABULARY = 2000  # tokens for a megabyte of text; different words grow with the square root (Heaps' law)
LABELLED_VOCABULARY = 8000  # tokens at most where only labels are learnt
VOCABULARIES = (500, 1000, 2000, 4000, 8000, 16000, 32000)
FLOPS = 6  # a weight and a token: forward and backward pass
LEAST_STEPS = 8  # of an epoch with the largest batch


class Size(NamedTuple):
    """The shape of the models for data of a size."""

    tokens: float  # below which it is meant
    n_layers: tuple[int, int]
    width: tuple[int, ...]
    n_heads: int
    context: int  # of running text
    epochs: tuple[float, float]


SIZES = (
    Size(2e5, (1, 3), (64, 128), 4, 64, (4, 16)),
    Size(3e6, (2, 4), (128, 192), 4, 128, (2, 8)),
    Size(3e7, (3, 6), (192, 256, 384), 8, 256, (1, 4)),
    Size(3e8, (4, 8), (384, 512), 8, 512, (1, 4)),
    Size(math.inf, (6, 12), (512, 768), 8, 1024, (0.25, 2)),
)


@dataclass(frozen=True)
class Facts:
    """What is known of the data, and what one training may cost."""

    tokens: int  # of an epoch
    targets: int  # of them that are predicted: all of running text, those of targets and labels else
    rows: int  # of an epoch: sequences of text, or examples
    labels: bool = False  # all sets are labelled texts
    pairs: bool = False  # some set has pairs
    vocab_size: int = 2000
    flops: float = math.inf  # of the middle of the ranges

    @property
    def size(self) -> Size:
        """The shape of the models: by the data, and smaller if that costs too much even with half of the epochs."""
        place = next(i for i, size in enumerate(SIZES) if self.tokens < size.tokens)
        place = max(0, place - 1) if self.labels else place  # a label says less than the tokens of a text
        while place > 0 and self._cost(SIZES[place], math.sqrt(math.prod(SIZES[place].epochs)) / 2) > self.flops:
            place -= 1
        return SIZES[place]

    @property
    def epochs(self) -> tuple[float, float]:
        """The lowest and the highest number of epochs: by the data, and fewer if they cost too much."""
        low, high = (10, 40) if self.pairs and self.tokens < 1e5 else self._of_size.epochs
        most = self.flops / max(1.0, self._cost(self.size, 1.0))
        shrink = min(1.0, most / math.sqrt(low * high))
        return (low, high) if shrink == 1 else (_short(low * shrink), _short(high * shrink))

    @property
    def _of_size(self) -> Size:
        """The shape that the data alone ask for."""
        return next(size for size in SIZES if self.tokens < size.tokens)

    def _cost(self, size: Size, epochs: float) -> float:
        """The FLOPs of a training in the middle of the ranges."""
        layers, width = round(sum(size.n_layers) / 2), size.width[(len(size.width) - 1) // 2]
        model = ModelConfig(n_layers=layers, width=width, n_heads=size.n_heads)
        return FLOPS * (parameters(model) * self.tokens + width * self.vocab_size * self.targets) * epochs


class Recommended(NamedTuple):
    """A range (or value) as a space file writes it, and its source."""

    written: Any
    source: str


class Rule(NamedTuple):
    """What is recommended for a key: in words, by facts, and from where."""

    about: str
    source: str
    of: Callable[[Facts], Any]


def vocabulary(n_bytes: int, *, labels: bool = False) -> int:
    """The vocabulary for a training text of `n_bytes`; twice as large where only labels are learnt (whole words)."""
    wanted = MEGABYTE_VOCABULARY * math.sqrt(max(1, n_bytes) / 1e6) * (2 if labels else 1)
    wanted = min(wanted, LABELLED_VOCABULARY) if labels else wanted
    return min(VOCABULARIES, key=lambda size: abs(math.log(size / wanted)))


def recommended(facts: Facts) -> dict[tuple[str, str], Recommended]:
    """The recommended range (or value) of each key that has a rule."""
    return {key: Recommended(rule.of(facts), rule.source) for key, rule in RULES.items()}


def _layers(facts: Facts) -> Any:
    low, high = facts.size.n_layers
    return {"low": low, "high": high}


def _batches(facts: Facts) -> Any:
    """Three powers of two, of which the largest leaves some steps to an epoch: around Step Law's batch, or up to it."""
    seen = facts.tokens * math.sqrt(math.prod(facts.epochs))
    wanted = batch_tokens(max(1.0, seen)) * facts.rows / max(1, facts.tokens)
    most = max(4, min(512, 2 ** int(math.log2(max(1.0, facts.rows / LEAST_STEPS)))))
    top = 2 ** round(math.log2(max(16.0, min(wanted if facts.pairs or facts.labels else 2 * wanted, most))))
    return {"choices": sorted({min(max(4, size), most) for size in (top // 4, top // 2, top)})}


def _rates(facts: Facts) -> Any:
    low, high = (5e-4, 1e-2) if facts.size.tokens <= 3e7 else (1e-4, 6e-3)
    return {"low": low, "high": high, "log": True}


def _epochs(facts: Facts) -> Any:
    low, high = facts.epochs
    return {"low": low, "high": high, "log": True}


def _short(number: float) -> float:
    return float(f"{number:.2g}")


RULES: Mapping[tuple[str, str], Rule] = {
    ("model", "n_layers"): Rule(
        "1 to 3 below 200,000 training tokens, 2 to 4 below 3 million, 3 to 6 below 30 million, 4 to 8 below 300 "
        "million, else 6 to 12",
        MEASURED,
        _layers,
    ),
    ("model", "width"): Rule(
        "64 or 128 below 200,000 training tokens, up to 192 below 3 million, 384 below 30 million, 512 below 300 "
        "million, else 768",
        MEASURED,
        lambda facts: {"choices": list(facts.size.width)},
    ),
    ("model", "n_heads"): Rule(
        "heads of 16 to 96 dimensions; searched rarely", MEASURED, lambda facts: facts.size.n_heads
    ),
    ("model", "context"): Rule(
        "pairs and labelled text: as long as 99% of the examples; running text: 64 to 1024, by the size of the data",
        MEASURED,
        lambda facts: facts.size.context,
    ),
    ("model", "dropout"): Rule(
        "0 to 0.2 for running text, to 0.4 for pairs and labelled text",
        "dropout helps where data repeat, arXiv 2305.13230",
        lambda facts: {"low": 0.0, "high": 0.4 if facts.pairs or facts.labels else 0.2},
    ),
    ("training", "learning_rate"): Rule(
        "half a decade and more around 3e-3 for small models, lower from 30 million tokens on",
        f"3e-3 for small models, {STEP_LAW} for larger ones",
        _rates,
    ),
    ("training", "batch_size"): Rule(
        "powers of two around Step Law's batch for the tokens of the training (pairs and labelled text: up to it), at "
        "least 8 steps an epoch",
        f"{STEP_LAW}; smaller ones: {MEASURED}",
        _batches,
    ),
    ("training", "epochs"): Rule(
        "4 to 16 below 200,000 training tokens, 2 to 8 below 3 million, then 1 to 4; 10 to 40 for a few pairs; fewer "
        "if the budget does not allow them",
        MULTIPLE_EPOCHS,
        _epochs,
    ),
    ("training", "weight_decay"): Rule(
        "0.01 to 1, to 3 for labelled text",
        "0.1 is usual, arXiv 2005.14165; more helps where data repeat",
        lambda facts: {"low": 0.01, "high": 3.0 if facts.labels else 1.0, "log": True},
    ),
    ("training", "cooldown"): Rule(
        "0.2, or 0.2 to 0.8; a longer one hides overfitting",
        f"0.2: arXiv 2405.18392; 0.8: {MEASURED}",
        lambda facts: {"low": 0.2, "high": 0.8},
    ),
    ("tokenizer", "vocab_size"): Rule(
        "2000 for a megabyte of training text, growing with its square root, 500 to 32,000; in labelled text twice as "
        "many, at most 8000",
        f"different words grow with the square root of a text (Heaps' law); {MEASURED}",
        lambda facts: facts.vocab_size,
    ),
}
