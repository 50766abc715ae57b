"""Scores of translations; imports sacrebleu when first needed.

BLEU counts words, so it depends on the tokenizer. sacrebleu's default (13a) treats a Chinese line as one word, and
lines of three words have no 4-grams: either makes BLEU 0 for a perfect output. `Scoring` is chosen once from the
references of the train split and is the same for every trial, every evaluation and the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from hpsearch.tasks.scores import script
from hpsearch.tasks.scores.replicates import Replicates, scored

ORDER = 4  # BLEU's longest n-grams
FEW = 0.1  # n-grams per reference; orders with fewer are left out, as a few lines would decide the score
TER_WORDS = 15.0  # per reference on average; sacrebleu's TER takes 0.2 s for 200 such pairs, 20 s for pairs of 25 words
SPLIT_BY_TER = ("13a", "intl", "none", "zh")  # tokenizers that TER supports; for others texts are split before

BleuTokenizer = Literal[
    "auto", "13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab", "flores101", "flores200", "spBLEU-1K"
]


@dataclass(frozen=True)
class Scoring:
    """How the translations of one set are scored."""

    tokenize: str = "13a"  # sacrebleu's name
    order: int = ORDER  # the longest n-grams that BLEU counts
    ter: bool = False

    @classmethod
    def of(
        cls, references: Sequence[str], *, tokenize: BleuTokenizer = "auto", ter: bool | Literal["auto"] = "auto"
    ) -> Scoring:
        """Chooses the scoring of a set by its references in the train split, where the config says `auto`."""
        sample = script.spread(references)
        chosen: str = tokenize
        if tokenize == "auto":
            names = script.tokenizers(sample)
            chosen = next((name for name in names if unavailable(name) is None), names[-1])
        lengths = _lengths(sample, chosen)
        are_short = sum(lengths) <= TER_WORDS * len(lengths)
        return cls(chosen, _order(lengths, at_least=FEW), are_short if ter == "auto" else ter)

    def score(self, hypotheses: Sequence[str], references: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
        """The metrics of a corpus, and sacrebleu's signatures."""
        scored = {
            "bleu": bleu(hypotheses, references, tokenize=self.tokenize, order=self.order),
            "chrf": chrf(hypotheses, references),
        }
        if self.ter:
            scored["ter"] = ter(hypotheses, references, tokenize=self.tokenize)
        metrics = {name: value for name, (value, _) in scored.items()}
        signatures = {name: signature for name, (_, signature) in scored.items()}
        return metrics | {"exact_match": exact_match(hypotheses, references)}, signatures

    def replicates(self, hypotheses: Sequence[str], references: Sequence[str], *, metric: str) -> Replicates:
        """BLEU, and the metric of this name, without each group of the examples (replicates.py)."""
        if len(references) < 2:
            return {}
        found = {"bleu": _left(_bleu(self.tokenize, self._order(references)), hypotheses, references)}
        if metric == "chrf":
            from sacrebleu.metrics.chrf import CHRF

            found["chrf"] = _left(CHRF(), hypotheses, references)
        if metric == "ter" and self.ter:
            found["ter"] = _left(_ter(self.tokenize == "zh"), *_split(hypotheses, references, self.tokenize))
        if metric == "exact_match":
            right = [ours.strip() == theirs.strip() for ours, theirs in zip(hypotheses, references, strict=True)]
            found["exact_match"] = scored(lambda rows: sum(right[i] for i in rows) / len(rows), len(right))
        return found

    def _order(self, references: Sequence[str]) -> int:
        """The longest n-grams that `bleu` counts of these references."""
        return min(self.order, _order(_lengths(references, self.tokenize)))


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], *, tokenize: str = "13a", order: int = ORDER
) -> tuple[float, str]:
    """Corpus BLEU (0 to 100) with one reference per hypothesis, and sacrebleu's signature.

    Leaves out orders of n-grams that the references do not have; the signature says so (`|order:3`). Unlike sacrebleu's
    effective_order, this does not depend on the hypotheses, so that all trials are compared by the same orders.
    """
    _check(hypotheses, references)
    order = min(order, _order(_lengths(references, tokenize)))
    value, signature = _score(_bleu(tokenize, order), hypotheses, references)
    return value, signature if order == ORDER else f"{signature}|order:{order}"


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Corpus chrF2 (0 to 100) with one reference per hypothesis, and sacrebleu's signature."""
    from sacrebleu.metrics.chrf import CHRF

    _check(hypotheses, references)
    return _score(CHRF(), hypotheses, references)


def ter(hypotheses: Sequence[str], references: Sequence[str], *, tokenize: str = "13a") -> tuple[float, str]:
    """Translation edit rate: 100 times edits per word of the references (lower is better), and sacrebleu's signature.

    Words are separated by spaces; Chinese is split into characters, other scripts by BLEU's tokenizer.
    """
    _check(hypotheses, references)
    value, signature = _score(_ter(tokenize == "zh"), *_split(hypotheses, references, tokenize))
    return value, signature if tokenize in SPLIT_BY_TER else f"{signature}|words:{tokenize}"


def _split(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> tuple[Sequence[str], Sequence[str]]:
    """Texts whose words TER can tell: those of tokenizers that it does not know are split before."""
    if tokenize in SPLIT_BY_TER:
        return hypotheses, references
    ours, theirs = ([_bleu(tokenize).tokenizer(text) for text in texts] for texts in (hypotheses, references))
    return ours, theirs


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The share (0 to 1) of hypotheses that equal their reference, ignoring spaces at the ends."""
    _check(hypotheses, references)
    pairs = zip(hypotheses, references, strict=True)
    return sum(ours.strip() == theirs.strip() for ours, theirs in pairs) / len(references)


def unavailable(tokenize: str) -> str | None:
    """Why sacrebleu cannot use this tokenizer here (a package or a model is missing); None if it can."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    if tokenize in SPM_MODELS:
        model = Path(SACREBLEU_DIR) / "models" / Path(SPM_MODELS[tokenize]["url"]).name
        if not model.exists():
            return f"its model is missing: download {SPM_MODELS[tokenize]['url']} to {model}"
    try:
        _bleu(tokenize)
    except (ImportError, RuntimeError, AssertionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        extra = {"ja-mecab": "pip install 'sacrebleu[ja]'", "ko-mecab": "pip install 'sacrebleu[ko]'"}
        return extra.get(tokenize) or " ".join(lines)
    return None


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if not references or len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses against {len(references)} references: give as many, and some")


def _lengths(references: Sequence[str], tokenize: str) -> list[int]:
    """The number of words of each reference."""
    tokenizer = _bleu(tokenize).tokenizer
    return [len(tokenizer(text.rstrip()).split()) for text in references]


def _order(lengths: Sequence[int], *, at_least: float = 0.0) -> int:
    """The longest n-grams, up to ORDER, of texts of these lengths: at least one in all, and `at_least` per text."""
    orders = range(ORDER, 1, -1)
    needed = max(1.0, at_least * len(lengths))
    return next((n for n in orders if sum(max(0, length - n + 1) for length in lengths) >= needed), 1)


@cache  # each instance of sacrebleu's tokenizers caches lines for the life of the process
def _bleu(tokenize: str, order: int = ORDER) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenize, max_ngram_order=order, force=True)  # force: no warning about tokenized text


@cache
def _ter(asian: bool) -> Any:
    from sacrebleu.metrics.ter import TER

    return TER(normalized=asian, asian_support=asian)


def _score(metric: Any, hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """The score of a sacrebleu metric, and its signature, which exists only after scoring."""
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return float(score), str(metric.get_signature())


def _left(metric: Any, hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """The score of a sacrebleu metric without each group, from the counts of each example, as its bootstrap does it."""
    counts = metric._extract_corpus_statistics(list(hypotheses), [list(references)])
    return scored(lambda rows: float(metric._aggregate_and_compute([counts[i] for i in rows]).score), len(counts))
