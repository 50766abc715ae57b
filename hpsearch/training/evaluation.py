"""What a model reaches on a split: loss of every target once, decoded translations, scored labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hpsearch.config import AnySet, TrainConfig
from hpsearch.data.corpus import Corpus, CorpusSet
from hpsearch.data.positive import place
from hpsearch.metrics import classification
from hpsearch.metrics.losses import Sums
from hpsearch.metrics.translation import Scoring
from hpsearch.training.backoff import BatchBackoff
from hpsearch.training.batches import Batch, PairRows, Rows, TextRows
from hpsearch.training.device import autocast, precision_of
from hpsearch.training.generate import generate
from hpsearch.training.model import Llama

SHOWN = 20  # sample translations kept
DECODED = 128  # rows (prompts times beams) decoded at once


@dataclass
class Measured:
    """The metrics of one pass (without their split's prefix), what to show of it, and BLEU's signatures."""

    metrics: dict[str, float]
    samples: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)

    def validated(self) -> dict[str, float]:
        """The metrics of the validation split under their names."""
        return {f"val/{name}": value for name, value in self.metrics.items()}


class Evaluator:
    """Measures a model on one split of a corpus, always on the same examples."""

    def __init__(
        self,
        corpus: Corpus,
        rows: dict[str, Rows],
        config: TrainConfig,
        *,
        sample: int | None,
        precision: str | None = None,
    ) -> None:
        """`sample`: how many pairs are decoded (None: all); `precision`: bf16 or fp32 (None: by config and device)."""
        self.corpus, self.rows, self.config, self.sample = corpus, rows, config, sample
        self.device = next(iter(rows.values())).device
        self.precision = precision or precision_of(config.training, self.device)
        self.scorings = {
            name: Scoring.of(_references(one), config.evaluation, needs_ter=config.objective.metric.endswith("/ter"))
            for name, one in corpus.sets.items()
            if one.task == "translation"
        }
        self._n_bytes: dict[str, int] = {}  # by set, once they are counted
        budget = 1 << (28 if self.device.type == "cuda" else 23)  # logits held at once
        context, beam_size = config.model.context, config.evaluation.beam_size
        self.max_tokens = BatchBackoff(
            max(context, budget // corpus.tokenizer.vocab_size),
            least=context,
            saying="out of memory with {before} tokens evaluated at once; goes on with {after}",
        )
        self.decoded = BatchBackoff(
            max(DECODED, beam_size),
            least=beam_size,
            saying="out of memory with {before} rows decoded at once; goes on with {after}",
        )

    @property
    def ladders(self) -> dict[str, BatchBackoff]:
        """How much is on the device at once, by what is done with it."""
        return {"evaluate": self.max_tokens, "decode": self.decoded}

    @torch.inference_mode()
    def measure(self, model: Llama, *, decode: bool = True) -> Measured:
        """One pass over the split, in the training's precision; with `decode` also BLEU and its kind."""
        with self._at_rest(model):
            return self._measure(model, decode)

    @torch.inference_mode()
    def decode(self, model: Llama) -> Measured:
        """What `measure` gives of decoded translations, without the pass over the split."""
        with self._at_rest(model):
            each, samples, signatures = self._decoded(model)
        return Measured(_means(each, self.config) | _by_set(each, len(self.rows)), samples, signatures)

    def translations(self) -> set[str]:
        """The sets whose targets are decoded."""
        found = (name for name, rows in self.rows.items() if isinstance(rows, PairRows))
        return {name for name in found if self.corpus.sets[name].task == "translation"}

    @contextlib.contextmanager
    def _at_rest(self, model: Llama) -> Iterator[None]:
        was_training = model.training
        model.eval()
        with autocast(self.precision, self.device):
            yield
        model.train(was_training)

    def _measure(self, model: Llama, decode: bool) -> Measured:
        total, each = Sums(), {}
        decoded, samples, signatures = self._decoded(model) if decode else ({}, {}, {})
        for name, rows in self.rows.items():
            sums, found = self.max_tokens.run(partial(self._score, model, name, rows))
            if "samples" in found:
                samples[name] = found.pop("samples")
            each[name] = sums.metrics() | found | decoded.get(name, {})
            total.add(sums, self.config.data[name].weight)
        return Measured(_merged(total, each, self.config), samples, signatures)

    def _decoded(self, model: Llama) -> tuple[dict[str, dict[str, float]], dict[str, Any], dict[str, str]]:
        """Of each set whose targets are decoded the scores and samples; the signatures of the scores."""
        each, samples, signatures = {}, {}, dict[str, str]()
        for name in sorted(self.translations()):
            found = self.decoded.run(partial(self._translate, model, name, cast(PairRows, self.rows[name])))
            samples[name] = found.pop("samples")
            signatures |= found.pop("signatures")
            each[name] = found
        return each, samples, signatures

    def _score(self, model: Llama, name: str, rows: Rows, max_tokens: int) -> tuple[Sums, dict[str, Any]]:
        if isinstance(rows, TextRows):
            return self._text(model, rows, max_tokens)
        return self._pairs(model, name, rows, max_tokens)

    def _text(self, model: Llama, rows: TextRows, max_tokens: int) -> tuple[Sums, dict[str, Any]]:
        sums = Sums(n_bytes=rows.n_bytes)
        for batch in rows.in_turn(max_tokens):
            _count(sums, _nll(score(model, batch), batch.targets))
        return sums, {}

    def _pairs(self, model: Llama, name: str, rows: PairRows, max_tokens: int) -> tuple[Sums, dict[str, Any]]:
        corpus_set = self.corpus.sets[name]
        sums = Sums(n_bytes=self._target_bytes(name, rows))
        guesses = np.zeros(rows.n_rows, dtype=np.int64)
        for numbers, batch in rows.in_turn(max_tokens):
            logits = score(model, batch)
            _count(sums, _nll(logits, batch.targets))
            if corpus_set.task == "classification":
                guesses[numbers] = logits[:, corpus_set.label_ids].argmax(-1).cpu().numpy()
        if corpus_set.task != "classification":
            return sums, {}
        return sums, _judge_labels(corpus_set, rows, guesses, self.config.data[name])

    def _target_bytes(self, name: str, rows: PairRows) -> int:
        """The bytes of all that is scored; a target that is cut has those of the tokens it keeps."""
        if name not in self._n_bytes:
            cut = np.flatnonzero(rows.targets < rows.whole_targets)
            whole = np.delete(np.asarray(rows.pairs.target_bytes), cut)
            kept = (self.corpus.tokenizer.n_bytes(rows.pairs.references[i], rows.target(i)) for i in cut.tolist())
            self._n_bytes[name] = int(whole.sum()) + sum(kept)
        return self._n_bytes[name]

    def _translate(self, model: Llama, name: str, rows: PairRows, at_once: int) -> dict[str, Any]:
        evaluation, tokenizer = self.config.evaluation, self.corpus.tokenizer
        chosen = sample_rows(rows.n_rows, self.sample)
        decoded = generate(
            model,
            [rows.prompt(i) for i in chosen],
            eos_id=tokenizer.eos_id,
            max_new_tokens=evaluation.max_new_tokens,
            beam_size=evaluation.beam_size,
            batch_size=at_once,
        )
        hypotheses = [tokenizer.decode(tokens) for tokens in decoded]
        references = [rows.pairs.references[i] for i in chosen]
        found, signatures = self.scorings[name].score(hypotheses, references)
        shown = [
            {"source": rows.pairs.sources[i], "reference": reference, "hypothesis": hypothesis}
            for i, reference, hypothesis in list(zip(chosen, references, hypotheses, strict=True))[:SHOWN]
        ]
        return {
            **found,
            "signatures": {self._signed(name, metric): signature for metric, signature in signatures.items()},
            "samples": {"task": "translation", "examples": shown},
        }

    def _signed(self, name: str, metric: str) -> str:
        """What the signature of a set's metric goes by: with several such sets, each may be scored in its own way."""
        return metric if len(self.scorings) == 1 else f"{name}/{metric}"


def score(model: Llama, batch: Batch) -> Tensor:
    """The logits (K, V) of every scored position."""
    hidden = model.hidden(batch.tokens).flatten(0, 1)  # (B * T, C)
    if batch.positions is not None:
        hidden = hidden[batch.positions]
    return model.logits(hidden)


def sample_rows(n_rows: int, sample: int | None) -> list[int]:
    """The same examples each time: all, or evenly spaced ones."""
    if sample is None or sample >= n_rows:
        return list(range(n_rows))
    return [i * n_rows // sample for i in range(sample)]


def _nll(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), targets, reduction="none")


def _count(sums: Sums, nll: Tensor) -> None:
    nll = nll.double()
    sums.nll += float(nll.sum())
    sums.squares += float((nll * nll).sum())
    sums.tokens += nll.numel()


def _references(corpus_set: CorpusSet) -> Sequence[str]:
    """The targets of the train split, by which a translation set's scores are chosen."""
    return corpus_set.splits["train"].references  # type: ignore[union-attr]


def _judge_labels(corpus_set: CorpusSet, rows: PairRows, guesses: np.ndarray, data_set: AnySet) -> dict[str, Any]:
    labels = corpus_set.label_names
    positive = place(corpus_set.name, data_set, labels)
    truth = [int(label) for label in np.asarray(rows.pairs.labels)]
    guessed = [int(label) for label in guesses]
    found: dict[str, Any] = {**classification.scores(truth, guessed, list(range(len(labels))), positive=positive)}
    confusion = classification.confusion(truth, guessed, list(range(len(labels))))
    return found | {"samples": {"task": "classification", "labels": labels, "confusion": confusion}}


def shares(rows: Mapping[str, Rows], config: TrainConfig) -> dict[str, float]:
    """How much each set counts in the split's loss: its weight times its target tokens."""
    targets = {
        name: kind.n_tokens - 1 if isinstance(kind, TextRows) else kind.n_targets(np.arange(kind.n_rows))
        for name, kind in rows.items()
    }
    return {name: config.data[name].weight * max(1, count) for name, count in targets.items()}


def _merged(total: Sums, each: dict[str, dict[str, float]], config: TrainConfig) -> dict[str, float]:
    """Overall metrics: sums over sums for the losses, the mean over its sets for any other; per set beside them."""
    overall = total.metrics()
    return {**_means(each, config), **overall} | _by_set(each, len(each))


def _means(each: Mapping[str, Mapping[str, float]], config: TrainConfig) -> dict[str, float]:
    """The mean of each metric over the sets that have it, by their weights."""
    means = {}
    for metric in sorted({key for found in each.values() for key in found}):
        values = [(found[metric], config.data[name].weight) for name, found in each.items() if metric in found]
        means[metric] = sum(value * weight for value, weight in values) / sum(weight for _, weight in values)
    return means


def _by_set(each: Mapping[str, Mapping[str, float]], n_sets: int) -> dict[str, float]:
    """`SET/METRIC` of each set, where there are several."""
    if n_sets < 2:
        return {}
    return {f"{name}/{key}": value for name, found in each.items() for key, value in found.items()}
