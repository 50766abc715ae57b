"""Evaluates a model on a split: the losses over all targets, and the metrics of each set's task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from hpsearch.data.corpus import Corpus
from hpsearch.tasks.measure import Scores, Tokens, sample_rows
from hpsearch.tasks.scores import replicates
from hpsearch.tasks.scores.losses import Sums
from hpsearch.tasks.scores.replicates import Replicates
from hpsearch.training import over_sets
from hpsearch.training.backoff import BatchBackoff
from hpsearch.training.batches import Batch, PairRows, Rows, TextRows
from hpsearch.training.config import FitConfig
from hpsearch.training.device import autocast, precision_of
from hpsearch.training.generate import generate
from hpsearch.training.model import Llama

T = TypeVar("T")
DECODED = 128  # rows (prompts times beams) decoded at once


@dataclass
class Measured:
    """The metrics of one pass (without the prefix of the split), samples, and how metrics were computed."""

    metrics: dict[str, float]
    samples: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    replicates: Replicates = field(default_factory=dict)  # of the metrics that models are compared by

    def validated(self) -> dict[str, float]:
        """The metrics with the prefix of the validation split."""
        return {f"val/{name}": value for name, value in self.metrics.items()}

    def validated_replicates(self) -> Replicates:
        """The replicates with that prefix."""
        return {f"val/{name}": values for name, values in self.replicates.items()}


class Evaluator:
    """Measures a model on one split of a corpus, always on the same examples."""

    def __init__(
        self,
        corpus: Corpus,
        rows: dict[str, Rows],
        config: FitConfig,
        *,
        sample: int | None,
        precision: str | None = None,
    ) -> None:
        """`sample`: how many pairs are decoded (None: all); `precision`: bf16 or fp32 (None: by config and device)."""
        self.corpus, self.rows, self.config, self.sample = corpus, rows, config, sample
        self.device = next(iter(rows.values())).device
        self.precision = precision or precision_of(config.training, self.device)
        metric = config.objective.metric
        self.measures = {
            name: config.data[name].measure(one, config.evaluation, metric=metric) for name, one in corpus.sets.items()
        }
        self.weights = {name: config.data[name].weight for name in rows}
        self.compared = {metric.rpartition("/")[2], "bleu"}  # BLEU: baselines of translations have no other metric
        self.n_bytes: dict[str, int] = {}  # set -> bytes, counted once
        self.groups = {name: replicates.dealt(one.n_rows) for name, one in rows.items() if isinstance(one, PairRows)}
        context, beam_size = max(one.context for one in rows.values()), config.evaluation.beam_size
        self.max_tokens = BatchBackoff(
            max(context, self.tokens_at_once()),
            least=context,
            saying="out of memory with {before} tokens evaluated at once; continues with {after}",
        )
        self.decoded = BatchBackoff(
            max(DECODED, beam_size),
            least=beam_size,
            saying="out of memory with {before} rows decoded at once; continues with {after}",
        )

    def tokens_at_once(self) -> int:
        """Tokens that are evaluated at once, where there is memory for them."""
        budget = 1 << (28 if self.device.type == "cuda" else 23)  # logits held at once
        return budget // self.corpus.tokenizer.vocab_size

    def on(self, model: Any, name: str) -> OnSet:
        """The model on one set."""
        return OnSet(self, model, name)

    def part(self, rows: dict[str, Rows], config: Any, *, sample: int) -> Evaluator:
        """The evaluator of some of the sets, by another config."""
        return Evaluator(self.corpus, rows, config, sample=sample)

    @property
    def backoffs(self) -> dict[str, BatchBackoff]:
        """The backoffs by name, as checkpoints keep them."""
        return {"evaluate": self.max_tokens, "decode": self.decoded}

    @torch.inference_mode()
    def measure(self, model: Any, *, decode: bool = True) -> Measured:
        """One pass over the split, in the training's precision; with `decode` also the metrics of decoded outputs."""
        with self._at_rest(model):
            return self._measure(model, decode)

    @torch.inference_mode()
    def decode(self, model: Any) -> Measured:
        """The part of `measure` for decoded outputs, without the pass over the split."""
        with self._at_rest(model):
            scores = self._decoded(model)
        each = {name: found.metrics for name, found in scores.items()}
        overall = over_sets.means(each, self.weights) | self._by_set(each)
        left = {name: found.replicates for name, found in scores.items()}
        return Measured(overall, _samples(scores), self._signatures(scores), self._replicates({}, left))

    def decoded_sets(self) -> set[str]:
        """The names of the sets that are decoded."""
        return {name for name in self.rows if self.measures[name].decodes}

    @contextlib.contextmanager
    def _at_rest(self, model: nn.Module) -> Iterator[None]:
        was_training = model.training
        model.eval()
        with autocast(self.precision, self.device):
            yield
        model.train(was_training)

    def _measure(self, model: Any, decode: bool) -> Measured:
        decoded = self._decoded(model) if decode else {}
        total, each, samples = Sums(), {}, _samples(decoded)
        left: dict[str, Replicates] = {}
        for name in self.rows:
            sums, found = self.measures[name].score(self.on(model, name))
            samples |= _samples({name: found})
            each[name] = sums.metrics() | found.metrics | (decoded[name].metrics if name in decoded else {})
            left[name] = sums.replicates() | found.replicates | (decoded[name].replicates if name in decoded else {})
            total.add(sums, self.config.data[name].weight)
        compared = self._replicates(total.replicates(), left)
        overall = over_sets.means(each, self.weights) | total.metrics() | self._by_set(each)
        return Measured(overall, samples, self._signatures(decoded), compared)

    def _by_set(self, each: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
        """`SET/METRIC` of each set, if there are several."""
        return over_sets.by_set(each) if len(self.rows) > 1 else {}

    def _replicates(self, total: Replicates, each: Mapping[str, Replicates]) -> Replicates:
        """The replicates of what models are compared by: over all sets, and of each set if there are several."""
        found = {
            name: {metric: values for metric, values in left.items() if metric in self.compared}
            for name, left in each.items()
        }
        pooled = {metric: values for metric, values in total.items() if values and metric in self.compared}
        return replicates.known(over_sets.mean_replicates(found, self.weights) | pooled | self._by_set(found))

    def _decoded(self, model: Any) -> dict[str, Scores]:
        """The scores of each set that is decoded."""
        return {name: self.measures[name].decode(self.on(model, name)) for name in sorted(self.decoded_sets())}

    def _signatures(self, scores: Mapping[str, Scores]) -> dict[str, str]:
        """How each metric was computed; by set if several sets are decoded."""
        several = sum(measure.decodes for measure in self.measures.values()) > 1
        return {
            f"{name}/{metric}" if several else metric: signature
            for name, found in scores.items()
            for metric, signature in found.signatures.items()
        }


@dataclass(frozen=True)
class OnSet:
    """The model on one set of the split, for the task's measure (implements Model of tasks/measure.py)."""

    evaluator: Evaluator
    model: Any
    name: str

    @property
    def rows(self) -> Rows:
        """The set's rows."""
        return self.evaluator.rows[self.name]

    @property
    def pairs(self) -> PairRows:
        """The set's rows where they are pairs; raises TypeError if they are running text."""
        if not isinstance(self.rows, PairRows):
            raise TypeError(f"data.{self.name}: is running text, which has no targets to choose or to decode")
        return self.rows

    @property
    def tokens(self) -> Tokens:
        """The split's tokens."""
        return self.rows.text if isinstance(self.rows, TextRows) else self.rows.pairs

    def score(self, batch: Any) -> Tensor:
        """The logits (K, V) of every scored position."""
        return score(self.model, batch)

    def losses(self) -> Sums:
        """The losses of every target of the split, each once."""
        return self.evaluator.max_tokens.run(self._losses)

    def choices(self, tokens: Sequence[int]) -> tuple[Sums, NDArray[np.int64]]:
        """`losses`, and for each example the index in `tokens` of the likeliest one at its target."""
        return self.evaluator.max_tokens.run(lambda max_tokens: self._choices(tokens, max_tokens))

    def decode(self) -> tuple[Sequence[int], list[str]]:
        """The examples chosen for decoding (the same each time), and the text that the model generates for each."""
        chosen = sample_rows(self.pairs.n_rows, self.evaluator.sample)
        return chosen, self.evaluator.decoded.run(lambda at_once: self._decode(chosen, at_once))

    def _losses(self, max_tokens: int) -> Sums:
        sums = self._empty()
        for numbers, batch in self._batches(max_tokens):
            count(sums, nll(self.score(batch), batch.targets), self.groups(numbers, batch, int(sums.tokens)))
        return sums

    def _choices(self, tokens: Sequence[int], max_tokens: int) -> tuple[Sums, NDArray[np.int64]]:
        sums, places = self._empty(), np.zeros(self.pairs.n_rows, dtype=np.int64)
        for numbers, batch in self.pairs.in_turn(max_tokens):
            logits = self.score(batch)
            count(sums, nll(logits, batch.targets), self.groups(numbers, batch, int(sums.tokens)))
            places[numbers] = logits[:, list(tokens)].argmax(-1).cpu().numpy()
        return sums, places

    def groups(self, numbers: Any, batch: Any, before: int) -> Tensor | None:
        """The group of each target of a batch (replicates.py); None if a batch does not score all of them.

        numbers: of its examples; None: it is running text, of which `before` targets come before.
        """
        n = int(batch.targets.numel())
        if isinstance(self.rows, TextRows):
            found = replicates.stretch(before, n, self.rows.n_tokens - 1)
        else:
            found = np.repeat(self.evaluator.groups[self.name][numbers], self.pairs.targets[numbers])
        return torch.from_numpy(found).to(batch.targets.device) if len(found) == n else None

    def _batches(self, max_tokens: int) -> Iterator[tuple[Any, Batch]]:
        if isinstance(self.rows, TextRows):
            return ((None, batch) for batch in self.rows.in_turn(max_tokens))
        return self.rows.in_turn(max_tokens)

    def _decode(self, chosen: Sequence[int], at_once: int) -> list[str]:
        evaluation, tokenizer = self.evaluator.config.evaluation, self.evaluator.corpus.tokenizer
        decoded = generate(
            self.model,
            [self.pairs.prompt(i) for i in chosen],
            eos_id=tokenizer.eos_id,
            max_new_tokens=evaluation.max_new_tokens,
            beam_size=evaluation.beam_size,
            batch_size=at_once,
        )
        return [tokenizer.decode(tokens) for tokens in decoded]

    def _empty(self) -> Sums:
        """No losses yet, over the bytes of all that is scored."""
        known = self.evaluator.n_bytes
        if self.name not in known:
            known[self.name] = self.rows.n_bytes if isinstance(self.rows, TextRows) else self._target_bytes(self.rows)
        return Sums(n_bytes=known[self.name])

    def _target_bytes(self, rows: PairRows) -> int:
        """The bytes of all targets; truncated ones count the bytes of their kept tokens."""
        cut = np.flatnonzero(rows.targets < rows.whole_targets)
        whole = np.delete(np.asarray(rows.pairs.target_bytes), cut)
        n_bytes = self.evaluator.corpus.tokenizer.n_bytes
        kept = (n_bytes(rows.pairs.references[i], rows.target(i)) for i in cut.tolist())
        return int(whole.sum()) + sum(kept)


def score(model: Llama, batch: Batch) -> Tensor:
    """The logits (K, V) of every scored position."""
    hidden = model.hidden(batch.tokens).flatten(0, 1)  # (B * T, C)
    if batch.positions is not None:
        hidden = hidden[batch.positions]
    return model.logits(hidden)


def nll(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss (nats) of each target."""
    return F.cross_entropy(logits.float(), targets, reduction="none")


def count(sums: Sums, losses: Tensor, groups: Tensor | None = None) -> None:
    """Adds the losses of some targets to the sums; groups: that of each of them."""
    losses = losses.double()
    if groups is None:
        sums.groups = []
    elif sums.groups or not sums.tokens:
        both = torch.zeros(2, replicates.GROUPS, dtype=losses.dtype, device=losses.device)
        both.index_add_(1, groups, torch.stack([losses, torch.ones_like(losses)]))
        known = sums.groups or [(0.0, 0.0)] * replicates.GROUPS
        added = zip(known, *both.tolist(), strict=True)
        sums.groups = [(nll + more, tokens + n) for (nll, tokens), more, n in added]
    sums.nll += float(losses.sum())
    sums.squares += float((losses * losses).sum())
    sums.tokens += losses.numel()


def shares(rows: Mapping[str, Rows], config: FitConfig) -> dict[str, float]:
    """The weight of each set in the split's loss: its `weight` times its target tokens."""
    targets = {
        name: kind.n_tokens - 1 if isinstance(kind, TextRows) else kind.n_targets(np.arange(kind.n_rows))
        for name, kind in rows.items()
    }
    return {name: config.data[name].weight * max(1, count) for name, count in targets.items()}


def _samples(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """The samples of the sets that have some."""
    return {name: found.samples for name, found in scores.items() if found.samples}
