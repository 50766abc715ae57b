"""Which examples each step sees, and how they become tensors on the device.

The order is a pure function of (seed, epoch), so a resumed training needs no state of it. Text is cut into sequences of
`context` tokens at a new offset each epoch; pairs are padded to the longest of a batch of similar lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hpsearch.config import TrainConfig
from hpsearch.data.corpus import Corpus, PairTokens, TextTokens

POOL = 50  # batches whose pairs are sorted by length together: near-full batches, still a random order
PAD_TO = 8  # lengths are rounded up to this: fewer shapes


@dataclass(frozen=True)
class Batch:
    """Sequences and what is to be predicted from them."""

    tokens: Tensor  # (B, T) int64
    positions: Tensor | None  # (K,) int64, which of the B*T hidden states are scored; None: all
    targets: Tensor  # (K,) int64
    n_tokens: int  # tokens read, padding left out


class TextRows:
    """Running text as rows of `context` tokens; row r of an epoch begins at its offset + r * context."""

    def __init__(self, text: TextTokens, *, context: int, device: torch.device) -> None:
        self.context = min(context, len(text.tokens) - 1)
        self.n_tokens = len(text.tokens)
        self.device = device
        self.tokens = on_device(text.tokens, device)
        self.n_rows = max(1, (self.n_tokens - 1) // self.context - 1)  # one spare row makes room for the offset
        self.n_bytes = text.n_bytes

    def order(self, rng: np.random.Generator, batch_size: int) -> list[np.ndarray]:
        """The first token of every row, a batch each, in the order of one epoch."""
        spare = self.n_tokens - 1 - self.n_rows * self.context
        starts = rng.integers(0, spare + 1) + rng.permutation(self.n_rows) * self.context  # the end is reached too
        n_batches = max(1, self.n_rows // batch_size)
        return [starts[i * batch_size : (i + 1) * batch_size] for i in range(n_batches)]

    def n_batches(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return max(1, self.n_rows // batch_size)

    def n_targets(self, starts: np.ndarray) -> int:
        """Tokens that rows beginning there predict."""
        return len(starts) * self.context

    def batch(self, starts: np.ndarray) -> Batch:
        """Rows that begin at these tokens."""
        index = torch.from_numpy(starts).to(self.tokens.device)[:, None] + torch.arange(
            self.context + 1, device=self.tokens.device
        )
        rows = self.tokens[index].to(self.device, torch.int64, non_blocking=True)  # (B, T + 1)
        return Batch(rows[:, :-1], None, rows[:, 1:].reshape(-1), rows[:, 1:].numel())

    def in_turn(self, max_tokens: int) -> Iterator[Batch]:
        """All the text once, front to back: every token but the first is a target once."""
        n_full = (self.n_tokens - 1) // self.context
        starts = np.arange(n_full, dtype=np.int64) * self.context
        rows = max(1, max_tokens // self.context)
        for i in range(0, n_full, rows):
            yield self.batch(starts[i : i + rows])
        rest = self.tokens[n_full * self.context :].to(self.device, torch.int64)[None]
        if rest.shape[1] > 1:
            yield Batch(rest[:, :-1], None, rest[0, 1:], rest.shape[1] - 1)


class PairRows:
    """Pairs as padded rows; only their targets are scored."""

    def __init__(self, pairs: PairTokens, *, context: int, device: torch.device) -> None:
        self.device, self.context = device, context
        self.tokens, self.starts, self.prompts = _fit(pairs, context)
        self.lengths = np.diff(self.starts) - 1  # as input: the last token is only a target
        self.n_rows = len(self.lengths)
        self.pairs = pairs

    def order(self, rng: np.random.Generator, batch_size: int) -> list[np.ndarray]:
        """The examples of every batch in the order of one epoch; a batch holds examples of similar length."""
        n_batches, pool = self.n_batches(batch_size), POOL * batch_size
        shuffled = rng.permutation(self.n_rows)[: n_batches * batch_size]  # before sorting: any length may be left out
        ranked = [
            part[np.argsort(self.lengths[part], kind="stable")]
            for part in (shuffled[i : i + pool] for i in range(0, len(shuffled), pool))
        ]
        rows = np.concatenate(ranked)
        return [rows[i * batch_size : (i + 1) * batch_size] for i in rng.permutation(n_batches)]

    def n_batches(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return max(1, self.n_rows // batch_size)

    def n_targets(self, rows: np.ndarray) -> int:
        """Tokens that these examples predict."""
        return int((self.lengths[rows] - self.prompts[rows] + 1).sum())

    def batch(self, rows: np.ndarray) -> Batch:
        """These examples, padded on the right (causal attention never looks there)."""
        lengths, prompts = self.lengths[rows], self.prompts[rows]
        width = min(-(-int(lengths.max()) // PAD_TO) * PAD_TO, self.context)  # the model knows no position beyond
        columns = np.arange(width)
        inside = columns < lengths[:, None]  # (B, T)
        index = np.minimum(self.starts[rows][:, None] + columns, len(self.tokens) - 2)
        tokens = np.where(inside, self.tokens[index], 0)
        positions = np.flatnonzero(inside & (columns >= prompts[:, None] - 1))
        targets = self.tokens[index + 1].reshape(-1)[positions]
        return Batch(self._send(tokens), self._send(positions), self._send(targets), int(lengths.sum()))

    def in_turn(self, max_tokens: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """All the examples once, those of similar length together; gives their numbers with each batch."""
        rows = np.argsort(self.lengths, kind="stable")
        first = 0
        while first < self.n_rows:
            last = first + 1
            while last < self.n_rows and (last + 1 - first) * (self.lengths[rows[last]] + PAD_TO) <= max_tokens:
                last += 1
            yield rows[first:last], self.batch(rows[first:last])
            first = last

    def prompt(self, row: int) -> list[int]:
        """The tokens of an example up to where its target begins."""
        start = self.starts[row]
        return [int(token) for token in self.tokens[start : start + self.prompts[row]]]

    def _send(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


Rows = TextRows | PairRows


def rows_of(corpus: Corpus, split: str, config: TrainConfig, device: torch.device) -> dict[str, Rows]:
    """The rows of every set that has this split."""
    made: dict[str, Rows] = {}
    for name, corpus_set in corpus.sets.items():
        tokens = corpus_set.splits.get(split)
        if tokens is None:
            continue
        kind = TextRows if isinstance(tokens, TextTokens) else PairRows
        made[name] = kind(tokens, context=config.model.context, device=device)  # type: ignore[arg-type]
    return made


class BatchOrder:
    """The batches of every epoch: all sets' batches, mixed; of a set with a weight that many passes over it."""

    def __init__(
        self, sets: dict[str, Rows], *, batch_size: int, seed: int, weights: Mapping[str, float] | None = None
    ) -> None:
        """`weights`: batches of a set in an epoch, as a multiple of one pass over it (1 where it is not named)."""
        self.sets, self.batch_size, self.seed = sets, batch_size, seed
        self.weights = {name: (weights or {}).get(name, 1.0) for name in sets}
        self.steps_per_epoch = sum(self._n_batches(name) for name in sets)
        self._epoch = -1
        self._batches: list[tuple[str, np.ndarray]] = []

    def at(self, step: int) -> tuple[Rows, np.ndarray]:
        """The set and the rows of a step."""
        name, rows = self.named(step)
        return self.sets[name], rows

    def named(self, step: int) -> tuple[str, np.ndarray]:
        """The name of the set and the rows of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        return self._batches[place]

    def _n_batches(self, name: str) -> int:
        return max(1, round(self.weights[name] * self.sets[name].n_batches(self.batch_size)))

    def _shuffled(self, epoch: int) -> list[tuple[str, np.ndarray]]:
        rng = np.random.default_rng([self.seed, epoch])
        batches = [
            (name, rows)
            for place, (name, kind) in enumerate(self.sets.items())
            for rows in (
                kind.order(rng, self.batch_size) if self.weights[name] == 1 else self._weighted(place, name, epoch)
            )
        ]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _weighted(self, place: int, name: str, epoch: int) -> list[np.ndarray]:
        """An epoch's stretch of a set's endless passes: no example comes again before all others have come."""
        first, size = epoch * self._n_batches(name), self.sets[name].n_batches(self.batch_size)
        last = first + self._n_batches(name)
        found: list[np.ndarray] = []
        for number in range(first // size, -(-last // size)):
            rng = np.random.default_rng([self.seed, number, place + 1])
            found += self.sets[name].order(rng, self.batch_size)[max(0, first - number * size) : last - number * size]
        return found


def on_device(tokens: np.ndarray, device: torch.device) -> Tensor:
    """The flat tokens on the device if they take at most a quarter of what is free there, else in memory (mapped)."""
    mapped = torch.from_numpy(np.asarray(tokens) if tokens.flags.writeable else np.array(tokens))
    if device.type == "cuda" and mapped.nbytes > torch.cuda.mem_get_info(device)[0] // 4:
        return mapped
    return mapped.to(device)


def _fit(pairs: PairTokens, context: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs cut to `context` input tokens: the prompt loses its end (but keeps its separator), then the target."""
    tokens, starts, prompts = np.asarray(pairs.tokens), np.asarray(pairs.starts), np.asarray(pairs.prompt_lengths)
    if int(np.diff(starts).max(initial=0)) <= context + 1:
        return tokens, starts, prompts
    rows, kept = [], []
    for i in range(len(prompts)):
        row = tokens[starts[i] : starts[i + 1]]
        prompt, target = row[: prompts[i]], row[prompts[i] :]
        target = target[: max(1, context + 1 - min(len(prompt), context // 2))]
        room = context + 1 - len(target)
        if len(prompt) > room:
            prompt = np.concatenate([prompt[: room - 1], prompt[-1:]])
        rows.append(np.concatenate([prompt, target]))
        kept.append(len(prompt))
    lengths = np.array([len(row) for row in rows])
    return np.concatenate(rows), np.concatenate([[0], np.cumsum(lengths)]), np.array(kept)
