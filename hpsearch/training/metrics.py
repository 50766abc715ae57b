"""Metrics as numbers people can compare: the only door to sacrebleu and scikit-learn, opened when first needed."""

from __future__ import annotations

import math
from collections.abc import Sequence


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


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Corpus BLEU (0 to 100) with one reference each, and sacrebleu's signature of how it was computed."""
    from sacrebleu.metrics.bleu import BLEU

    return _corpus_score(BLEU(), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Corpus chrF2 (0 to 100) with one reference each, and sacrebleu's signature."""
    from sacrebleu.metrics.chrf import CHRF

    return _corpus_score(CHRF(), hypotheses, references)


def _corpus_score(metric: object, hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """The score of a sacrebleu metric, and its signature (which sacrebleu knows only once it has scored)."""
    if not references or len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses against {len(references)} references: give as many, and some")
    score = metric.corpus_score(list(hypotheses), [list(references)]).score  # type: ignore[attr-defined]
    return float(score), str(metric.get_signature())  # type: ignore[attr-defined]


def classification(y_true: Sequence[int], y_pred: Sequence[int], labels: Sequence[int]) -> dict[str, float]:
    """Macro F1, micro F1 and accuracy (each 0 to 1) over all `labels`; one that never occurs has F1 0."""
    from sklearn.metrics import accuracy_score, f1_score

    def f1(average: str) -> float:
        return float(f1_score(y_true, y_pred, labels=list(labels), average=average, zero_division=0.0))

    return {"f1_macro": f1("macro"), "f1_micro": f1("micro"), "accuracy": float(accuracy_score(y_true, y_pred))}


def confusion(y_true: Sequence[int], y_pred: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """How often each label (row) was taken for each label (column), in the order of `labels`."""
    from sklearn.metrics import confusion_matrix

    counts: list[list[int]] = confusion_matrix(y_true, y_pred, labels=list(labels)).tolist()
    return counts
