"""Models for baselines whose answers are known beforehand, measured like a trained model (`Model` of measure.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.token_arrays import PairTokens, TextTokens
from hpsearch.tasks.baseline import Measurement
from hpsearch.tasks.measure import Measure, Tokens
from hpsearch.tasks.metric import LOSSES
from hpsearch.tasks.scores.losses import Sums
from hpsearch.tasks.scores.replicates import dealt, stretch

AT_ONCE = 1 << 20  # tokens
LEAST = 1e-12  # probability of a label that a classifier excludes


@dataclass(frozen=True)
class Known:
    """A model with known answers on one split."""

    tokens: Tokens
    sums: Sums = field(default_factory=Sums)
    places: NDArray[np.int64] | None = None  # of the chosen label of each example
    outputs: tuple[Sequence[int], list[str]] = ((), [])  # rows and their outputs

    def losses(self) -> Sums:
        """Its losses."""
        return self.sums

    def choices(self, tokens: Sequence[int]) -> tuple[Sums, NDArray[np.int64]]:
        """Its losses and labels."""
        if self.places is None:
            raise TypeError("this baseline chooses no labels")
        return self.sums, self.places

    def decode(self) -> tuple[Sequence[int], list[str]]:
        """Its outputs."""
        return self.outputs


def labelled(pairs: PairTokens, probabilities: Iterable[NDArray[np.float64]]) -> Known:
    """A classifier with these probabilities (n, labels) of the labels of the examples, some examples at a time."""
    truth, start = np.asarray(pairs.labels), 0
    of_truth, places = np.empty(len(truth)), np.empty(len(truth), np.int64)
    for some in probabilities:
        now = slice(start, start + len(some))
        of_truth[now] = some[np.arange(len(some)), truth[now]]
        places[now], start = some.argmax(axis=1), now.stop
    return _classifier(pairs, of_truth, places)


def frequencies(train: PairTokens, valid: PairTokens, n_labels: int) -> Known:
    """A classifier that answers the most frequent label of the train split; its probabilities are the frequencies."""
    counts = np.bincount(np.asarray(train.labels), minlength=n_labels)
    of_truth = (counts / counts.sum())[np.asarray(valid.labels)]
    return _classifier(valid, of_truth, np.full(len(valid), counts.argmax()))


def _classifier(pairs: PairTokens, of_truth: NDArray[np.float64], places: NDArray[np.int64]) -> Known:
    """A classifier that gives the true labels these probabilities, and chooses these ones."""
    nll = -np.log(np.maximum(of_truth, LEAST))
    n_bytes = int(np.asarray(pairs.target_bytes).sum())
    sums = Sums(float(nll.sum()), float((nll * nll).sum()), len(nll), n_bytes, groups=_groups(dealt(len(nll)), nll))
    return Known(pairs, sums, places)


def unigrams(train: TextTokens, valid: TextTokens, vocab_size: int) -> Known:
    """A language model that knows the frequency of each token in the train split (plus one, for unseen tokens)."""
    counts = _counts(train.tokens, vocab_size) + 1
    nll = -np.log(counts / counts.sum())
    targets = _counts(valid.tokens[1:], vocab_size)  # the first token is no target
    n = int(targets.sum())
    groups = _groups(stretch(0, n, n), nll[np.asarray(valid.tokens[1:])])
    return Known(valid, Sums(float(targets @ nll), float(targets @ (nll * nll)), n, valid.n_bytes, groups=groups))


def _groups(groups: NDArray[np.int64], nll: NDArray[np.float64]) -> list[tuple[float, float]]:
    """The sum of the losses and the number of the tokens of each group."""
    sums, counts = np.bincount(groups, nll), np.bincount(groups)
    return list(zip(sums.tolist(), counts.astype(float).tolist(), strict=True))


def _counts(tokens: NDArray[np.int32], vocab_size: int) -> NDArray[np.int64]:
    """How often each token occurs; reads some tokens at a time, as all of them may not fit into the memory."""
    parts = (tokens[start : start + AT_ONCE] for start in range(0, len(tokens), AT_ONCE))
    return sum((np.bincount(part, minlength=vocab_size) for part in parts), np.zeros(vocab_size, np.int64))


def compressed(valid: TextTokens, bits_per_byte: float) -> Known:
    """A language model with this loss on every byte of the valid split."""
    nll = bits_per_byte * float(np.log(2)) * valid.n_bytes
    return Known(valid, Sums(nll, 0.0, max(1, len(valid.tokens) - 1), valid.n_bytes))


def scores(measure: Measure, model: Known) -> Measurement:
    """The metrics of a model, as an evaluation has them: losses if it has some, then those of the task."""
    if measure.decodes:
        decoded = measure.decode(model)
        return Measurement(decoded.metrics, decoded.replicates)
    sums, found = measure.score(model)
    losses = {name: value for name, value in sums.metrics().items() if name in {metric.name for metric in LOSSES}}
    return Measurement(losses | found.metrics, sums.replicates() | found.replicates)
