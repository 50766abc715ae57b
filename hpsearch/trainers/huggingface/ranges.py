"""Ranges to search for fine-tuning, by the kind and size of the model and by the data; each has a source.

`hpsearch new` writes them, and `hpsearch explain` names them. The recommended values inside them are in rules.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hpsearch.trainers.huggingface.config import RATES as RULED
from hpsearch.trainers.huggingface.kinds import Kind
from hpsearch.trainers.huggingface.rules import BERT, LORA

ELECTRA = "ELECTRA tunes 14M parameters at 3e-4, 110M at 1e-4, 335M at 5e-5, arXiv 2003.10555, table 7"
GPT = "GPT is tuned at 6.25e-5 (117M parameters, finetune-transformer-lm), Llama 2 at 2e-5, arXiv 2307.09288, 3.1"
T5 = "the documentation of T5 in transformers: 1e-4 and 3e-4 with AdamW"
MBART = "mBART is tuned at 3e-5, examples/mbart of fairseq"
LORA_PAPER = "LoRA's authors tune 125M parameters at 5e-4, 355M at 4e-4, 1.5 billion at 1e-4, github.com/microsoft/LoRA"
FEW = "BERT 2 to 4, arXiv 1810.04805, A.3; ELECTRA 10 for small sets"
RANKS = "1 to 64 in LoRA, arXiv 2106.09685; small data need no high rank"
T5_TYPES = ("t5", "mt5", "umt5", "longt5")
LORA_MOST, LORA_GOOD = 2e-3, 5e-4  # rates of LoRA: the highest in a range, and the highest that is tried first
LARGE = 1e9  # parameters from which LoRA is drafted: AdamW has 16 bytes for each weight that it trains
LEAST_STEPS = 8  # of an epoch with the largest batch
FLOPS = {"full": 6, "lora": 4}  # for a weight and a token: forward, backward, and the gradients of the weights


class Rates(NamedTuple):
    """The range of the learning rate of full fine-tuning for models below a size, and a good rate within."""

    below: float  # parameters
    low: float
    high: float
    good: float
    source: str


RATES: Mapping[str, tuple[Rates, ...]] = {
    "encoder": (
        Rates(4e7, 2e-5, 5e-4, 2e-4, f"BERT 2e-5 to 5e-5; {ELECTRA}"),
        Rates(2e8, 1e-5, 2e-4, 5e-5, f"BERT 2e-5 to 5e-5; {ELECTRA}"),
        Rates(math.inf, 5e-6, 1e-4, 2e-5, f"BERT 2e-5 to 5e-5; {ELECTRA}"),
    ),
    "decoder": (
        Rates(3e8, 1e-5, 3e-4, 6e-5, GPT),
        Rates(2e9, 5e-6, 1e-4, 2e-5, GPT),
        Rates(math.inf, 2e-6, 5e-5, 2e-5, GPT),
    ),
    "t5": (Rates(math.inf, 2e-5, 1e-3, 3e-4, T5),),
    "encoder-decoder": (Rates(math.inf, 1e-5, 3e-4, 3e-5, MBART),),
}


@dataclass(frozen=True)
class Facts:
    """What is known of the model and the data, and what one training may cost."""

    kind: Kind = "encoder"
    model_type: str = "bert"
    parameters: float = 1.1e8
    in_layers: float = 8.6e7  # of them those that every token passes
    tokens: float = 1e6  # of an epoch
    rows: int = 20_000  # of an epoch: examples, or sequences of running text
    texts: bool = False  # some set is running text
    flops: float = math.inf  # of the middle of the ranges

    @property
    def tuning(self) -> str:
        """What is trained: all weights, or LoRA's updates where these take too much memory."""
        return "lora" if self.parameters >= LARGE else "full"

    @property
    def rates(self) -> Rates:
        """The learning rates of this tuning."""
        family = "t5" if self.model_type in T5_TYPES else self.kind
        found = next(one for one in RATES[family] if self.parameters < one.below)
        if self.tuning == "full":
            return found
        return found._replace(
            low=10 * found.low,
            high=min(10 * found.high, LORA_MOST),
            good=min(10 * found.good, LORA_GOOD),
            source=f"{LORA}; {LORA_PAPER}",
        )

    @property
    def first(self) -> float | None:
        """A good rate that trial 0, which has the rule's, would miss by far; None if it does not."""
        good, ruled = self.rates.good, RULED[self.tuning]
        return good if max(good / ruled, ruled / good) > 4 else None

    @property
    def epochs(self) -> tuple[float, float]:
        """The lowest and the highest number of epochs: by the data, and fewer if they cost too much."""
        low, high = self.wanted_epochs
        most = self.flops / max(1.0, FLOPS[self.tuning] * self.in_layers * self.tokens)
        shrink = min(1.0, most / math.sqrt(low * high))
        return (low, high) if shrink == 1 else (_short(low * shrink), _short(high * shrink))

    @property
    def wanted_epochs(self) -> tuple[float, float]:
        """Those that the data alone ask for."""
        return (3, 10) if self.rows < 10_000 else (2, 4) if self.rows < 200_000 else (1, 3)


class Recommended(NamedTuple):
    """A range (or value) as a space file writes it, the rule in words, and its source."""

    written: Any
    about: str
    source: str


def recommended(facts: Facts) -> dict[tuple[str, str], Recommended]:
    """The recommended range (or value) of each key that has a rule."""
    return {key: Recommended(of(facts), about, _source(facts, key)) for key, (about, of) in RULES.items()}


def _source(facts: Facts, key: tuple[str, str]) -> str:
    return facts.rates.source if key == ("training", "learning_rate") else SOURCES[key]


def _rates(facts: Facts) -> Any:
    return {"low": facts.rates.low, "high": facts.rates.high, "log": True}


def _batches(facts: Facts) -> Any:
    """Two or three powers of two around BERT's 16 and 32, of which the largest leaves some steps to an epoch."""
    sizes = (4, 8, 16) if facts.texts else (16, 32) if facts.rows < 50_000 else (16, 32, 64)
    most = max(4, 2 ** int(math.log2(max(1.0, facts.rows / LEAST_STEPS))))
    return {"choices": sorted({min(size, most) for size in sizes})}


def _epochs(facts: Facts) -> Any:
    low, high = facts.epochs
    return {"low": low, "high": high, "log": True}


def _short(number: float) -> float:
    return float(f"{number:.2g}")


RULES: Mapping[tuple[str, str], tuple[str, Callable[[Facts], Any]]] = {
    ("model", "tuning"): (
        "full below a billion parameters, else lora; both at once need one range of rates that serves both",
        lambda facts: facts.tuning,
    ),
    ("model", "lora_rank"): ("8 to 64", lambda facts: {"low": 8, "high": 64, "log": True}),
    ("training", "learning_rate"): (
        "encoders 2e-5 to 5e-4 below 40 million parameters, 1e-5 to 2e-4 below 200 million, else 5e-6 to 1e-4; "
        "decoders 1e-5 to 3e-4 below 300 million, 5e-6 to 1e-4 below 2 billion, else 2e-6 to 5e-5; T5 2e-5 to 1e-3, "
        "other encoder-decoders 1e-5 to 3e-4; LoRA ten times these, at most 2e-3",
        _rates,
    ),
    ("training", "batch_size"): (
        "16 or 32, from 50,000 examples on also 64; 4 to 16 sequences of running text; at least 8 steps an epoch",
        _batches,
    ),
    ("training", "epochs"): (
        "3 to 10 below 10,000 examples, 2 to 4 below 200,000, then 1 to 3; fewer if the budget does not allow them",
        _epochs,
    ),
}
SOURCES = {
    ("model", "tuning"): "AdamW has 16 bytes for each weight that it trains",
    ("model", "lora_rank"): RANKS,
    ("training", "batch_size"): BERT,
    ("training", "epochs"): FEW,
}
