"""Which examples each step sees, and how they become tensors on the device.

The order is a pure function of (seed, epoch), so a resumed training needs no state of it. Text is cut into sequences of
`context` tokens at a new offset each epoch; pairs are padded to the longest of a batch of similar lengths. An epoch has
every row once, whatever the batch size: what does not fill a batch is a smaller one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.corpus import Corpus, PairTokens, TextTokens
from hpsearch.data.truncation import Cut, text_rows
from hpsearch.training.config import TrainConfig

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
    """Running text as rows of `context` tokens; an epoch begins anywhere and has every token as a target once.

    The text is read as a ring: behind its last token stands the EOS that it begins with. What does not fill a row
    (`rest` tokens) is scored at the end of a whole row whose other targets belong to the row before. A row is named by
    its first token, that one by its first token less the length of the text: a negative number.
    """

    def __init__(self, text: TextTokens, *, context: int, device: torch.device) -> None:
        self.text, self.context = text, min(context, len(text.tokens) - 1)
        self.n_tokens = len(text.tokens)
        self.device = device
        self.tokens = on_device(text.tokens, device)
        self.n_rows = text_rows(self.n_tokens, context)
        self.rest = self.context if self.n_rows == 1 else self.n_tokens - (self.n_rows - 1) * self.context
        self.n_bytes = text.n_bytes

    def order(self, rng: np.random.Generator, batch_size: int) -> list[np.ndarray]:
        """The first token of every row, a batch each, in the order of one epoch."""
        if self.n_rows == 1:  # as validation reads it
            return [np.zeros(1, dtype=np.int64)]
        starts = rng.integers(self.n_tokens) + np.arange(self.n_rows) * self.context
        starts %= self.n_tokens
        if self.rest < self.context:
            starts[-1] = (starts[-1] + self.rest - self.context) % self.n_tokens - self.n_tokens
        starts = starts[rng.permutation(self.n_rows)]
        return [starts[i : i + batch_size] for i in range(0, self.n_rows, batch_size)]

    def n_batches(self, batch_size: int) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-self.n_rows // batch_size)

    def n_targets(self, starts: np.ndarray) -> int:
        """Tokens that rows beginning there predict."""
        return len(starts) * self.context - int((starts < 0).sum()) * (self.context - self.rest)

    def batch(self, starts: np.ndarray) -> Batch:
        """Rows that begin at these tokens."""
        index = torch.from_numpy(starts).to(self.tokens.device)[:, None] + torch.arange(
            self.context + 1, device=self.tokens.device
        )
        first, last = starts.min(), starts.max() + self.context
        if first < 0 or last >= self.n_tokens:  # rows that go round the ring
            index %= self.n_tokens
        rows = self.tokens[index].to(self.device, torch.int64, non_blocking=True)  # (B, T + 1)
        targets = rows[:, 1:].reshape(-1)
        if first >= 0:
            return Batch(rows[:, :-1], None, targets, targets.numel())
        scored = (starts >= 0)[:, None] | (np.arange(self.context) >= self.context - self.rest)  # (B, T)
        positions = send(np.flatnonzero(scored), self.device)
        return Batch(rows[:, :-1], positions, targets[positions], len(positions))

    def is_plain(self, starts: np.ndarray) -> bool:
        """Whether every token of these rows is scored: they make batches of few shapes."""
        return bool(starts.min() >= 0)

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
    """Pairs as padded rows, cut to the context; only their targets are scored. The tokens stay where they are mapped.

    A row is its example less a gap: `gaps` tokens of the prompt behind its first `heads` ones.
    """

    def __init__(self, pairs: PairTokens, *, context: int, device: torch.device, cut: Cut | None = None) -> None:
        """`cut`: the set's rule at this context; None: prompts leave half of the context to their targets."""
        self.device, self.context, self.pairs = device, context, pairs
        self.tokens, self.starts = np.asarray(pairs.tokens), np.asarray(pairs.starts)
        whole, cut = np.asarray(pairs.prompt_lengths), cut or Cut.of(context)
        self.whole_targets = np.diff(self.starts) - whole
        self.prompts, self.targets = cut.kept(whole, self.whole_targets)
        self.heads, self.gaps = cut.heads(self.prompts), whole - self.prompts
        self.is_cut = bool(self.gaps.any())
        self.lengths = self.prompts + self.targets - 1  # as input: the last token is only a target
        self.n_rows = len(self.lengths)

    def order(self, rng: np.random.Generator, batch_size: int) -> list[np.ndarray]:
        """The examples of every batch in the order of one epoch; a batch holds examples of similar length."""
        n_full, pool = self.n_rows // batch_size * batch_size, POOL * batch_size
        shuffled = rng.permutation(self.n_rows)
        ranked = [
            part[np.argsort(self.lengths[part], kind="stable")]
            for part in (shuffled[i : min(i + pool, n_full)] for i in range(0, n_full, pool))
        ]
        rows = np.concatenate([*ranked, shuffled[n_full:]])  # what fills no batch may be of any length
        return [rows[i * batch_size : (i + 1) * batch_size] for i in rng.permutation(self.n_batches(batch_size))]

    def n_batches(self, batch_size: int) -> int:
        """Batches in an epoch; one of them may be smaller."""
        return -(-self.n_rows // batch_size)

    def n_targets(self, rows: np.ndarray) -> int:
        """Tokens that these examples predict."""
        return int(self.targets[rows].sum())

    def batch(self, rows: np.ndarray) -> Batch:
        """These examples, padded on the right (causal attention never looks there)."""
        lengths, prompts = self.lengths[rows], self.prompts[rows]
        width = min(-(-int(lengths.max()) // PAD_TO) * PAD_TO, self.context)  # the model knows no position beyond
        columns = np.arange(width)
        inside = columns < lengths[:, None]  # (B, T)
        index = np.minimum(self._places(rows, columns), len(self.tokens) - 1)
        tokens = np.where(inside, self.tokens[index], 0)
        positions = np.flatnonzero(inside & (columns >= prompts[:, None] - 1))
        behind = self.starts[rows] + self.gaps[rows] + 1 - np.arange(len(rows)) * width  # all gaps are in prompts
        targets = self.tokens[np.repeat(behind, self.targets[rows]) + positions]
        tensors = [send(array, self.device) for array in (tokens, positions, targets)]
        return Batch(tensors[0], tensors[1], tensors[2], int(lengths.sum()))

    def is_plain(self, rows: np.ndarray) -> bool:
        """False: prompts are not scored."""
        return False

    def in_turn(self, max_tokens: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """All the examples once, those of similar length together; yields (their numbers, the batch)."""
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
        return self.row(row)[: self.prompts[row]]

    def target(self, row: int) -> list[int]:
        """The tokens of an example that are scored."""
        return self.row(row)[self.prompts[row] :]

    def row(self, row: int) -> list[int]:
        """The tokens of an example, as it is read and predicted."""
        places = self._places(np.array([row]), np.arange(self.lengths[row] + 1))
        return [int(token) for token in self.tokens[places[0]]]

    def _places(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Where the tokens of these columns of the rows are mapped (B, T)."""
        places: np.ndarray = self.starts[rows][:, None] + columns
        if self.is_cut:
            places += (columns >= self.heads[rows][:, None]) * self.gaps[rows][:, None]
        return places


Rows = TextRows | PairRows


def rows_of(corpus: Corpus, split: str, config: TrainConfig, device: torch.device) -> dict[str, Rows]:
    """The rows of every set that has this split."""
    made: dict[str, Rows] = {}
    for name, corpus_set in corpus.sets.items():
        tokens = corpus_set.splits.get(split)
        if tokens is None:
            continue
        context = config.model.context
        if isinstance(tokens, TextTokens):
            made[name] = TextRows(tokens, context=context, device=device)
            continue
        cut = config.data[name].cut(context=context, max_new_tokens=config.evaluation.max_new_tokens)
        made[name] = PairRows(tokens, context=context, device=device, cut=cut)
    return made


class BatchOrder:
    """The batches of every epoch: all sets' batches, mixed; of a set with a weight that many passes over it."""

    def __init__(
        self,
        sets: dict[str, Rows],
        *,
        batch_size: int,
        seed: int,
        epochs: float = 1.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        """`weights`: batches of a set in an epoch, as a multiple of one pass over it (1 where it is not named)."""
        self.sets, self.batch_size, self.seed = sets, batch_size, seed
        self.weights = {name: (weights or {}).get(name, 1.0) for name in sets}
        self.steps_per_epoch = sum(self._n_batches(name) for name in sets)
        self._epoch = -1
        self._batches: list[tuple[str, np.ndarray]] = []
        whole, part = divmod(epochs, 1.0)
        self._n_whole = int(whole)
        self._last = self._begun(part)  # the batches of an epoch that is not whole
        self.total_steps = self._n_whole * self.steps_per_epoch + len(self._last)

    def at(self, step: int) -> tuple[Rows, np.ndarray]:
        """The set and the rows of a step."""
        name, rows = self.named(step)
        return self.sets[name], rows

    def named(self, step: int) -> tuple[str, np.ndarray]:
        """The name of the set and the rows of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        is_last = epoch == self._n_whole and place < len(self._last)
        name, rows = (self._last if is_last else self._batches)[place]
        return name, rows

    def epochs_of(self, steps: int) -> float:
        """The number of epochs, with the fewest decimals, whose training takes this number of steps."""
        whole, rest = divmod(steps, self.steps_per_epoch)
        if not rest:
            return float(whole)
        ends = np.cumsum([len(rows) for _, rows in self._shuffled(whole)])
        before, until = int(ends[rest - 2]) if rest > 1 else 0, int(ends[rest - 1])
        middle = whole + (before + until + 1) / 2 / int(ends[-1])

        def fits(epochs: float) -> bool:
            n_whole, part = divmod(epochs, 1.0)
            return n_whole == whole and before < round(part * int(ends[-1])) <= until

        return next((epochs for n in range(17) if fits(epochs := round(middle, n))), middle)

    def _n_batches(self, name: str) -> int:
        return max(1, round(self.weights[name] * self.sets[name].n_batches(self.batch_size)))

    def _begun(self, share: float) -> list[tuple[str, np.ndarray]]:
        """The batches of the last epoch up to a share of its rows: the same number with any batch size."""
        if share == 0.0:
            return []
        batches = self._shuffled(self._n_whole)
        left = max(round(share * sum(len(rows) for _, rows in batches)), 1 if self._n_whole == 0 else 0)
        found = []
        for name, rows in batches:
            if left > 0:
                found.append((name, rows[:left]))
            left -= len(rows)
        return found

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


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """A batch's numbers on the device."""
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
