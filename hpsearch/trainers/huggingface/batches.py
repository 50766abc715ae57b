"""Rows of the data for each kind of model: those of training/batches.py, and pairs whose halves are read apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hpsearch.config import Truncate
from hpsearch.data.corpus import Corpus, PairTokens, TextTokens
from hpsearch.data.truncation import Cut
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.kinds import Kind
from hpsearch.training.batches import PAD_TO, Batch, PairRows, Rows, TextRows, send

IGNORED = -100  # padding of targets, as transformers has it


@dataclass(frozen=True)
class HalvesBatch(Batch):
    """Sources for the encoder, and targets for the decoder; `targets` are those of `answers` without padding."""

    lengths: Tensor  # (B,) of the sources
    answers: Tensor  # (B, T), padded with IGNORED


class HalvesRows(PairRows):
    """Pairs for an encoder-decoder: source and target have the whole context each."""

    def __init__(self, pairs: PairTokens, *, context: int, device: torch.device, cut: Cut) -> None:
        super().__init__(pairs, context=context, device=device, cut=cut)
        self.targets = np.minimum(self.targets, context)
        self.lengths = self.prompts + self.targets - 1

    def batch(self, rows: np.ndarray) -> HalvesBatch:
        """These examples; sources and targets are padded on the right."""
        prompts, targets = self.prompts[rows], self.targets[rows]
        columns = np.arange(self._width(prompts))
        inside = columns < prompts[:, None]
        tokens = np.where(inside, self.tokens[np.minimum(self._places(rows, columns), len(self.tokens) - 1)], 0)
        columns = np.arange(self._width(targets))
        scored = columns < targets[:, None]
        first = self.starts[rows] + self.gaps[rows] + prompts
        found = self.tokens[np.minimum(first[:, None] + columns, len(self.tokens) - 1)]
        arrays = (tokens, found[scored], prompts, np.where(scored, found, IGNORED))
        tensors = [send(array, self.device) for array in arrays]
        n_tokens = int(prompts.sum() + targets.sum())
        return HalvesBatch(tensors[0], None, tensors[1], n_tokens, lengths=tensors[2], answers=tensors[3])

    def _width(self, lengths: np.ndarray) -> int:
        """The longest length; on a GPU rounded up: fewer shapes."""
        step = 1 if self.device.type == "cpu" else PAD_TO
        return -(-int(lengths.max()) // step) * step


def rows_of(corpus: Corpus, split: str, config: FineTuneConfig, kind: Kind, device: torch.device) -> dict[str, Rows]:
    """The rows of every set that has this split."""
    made: dict[str, Rows] = {}
    for name, corpus_set in corpus.sets.items():
        tokens = corpus_set.splits.get(split)
        if tokens is None:
            continue
        if isinstance(tokens, TextTokens):
            made[name] = TextRows(tokens, context=config.model.context, device=device)
        else:
            made[name] = _pairs(tokens, config, name, kind, device)
    return made


def _pairs(tokens: PairTokens, config: FineTuneConfig, name: str, kind: Kind, device: torch.device) -> PairRows:
    context, data_set = config.model.context, config.data[name]
    if kind == "decoder":
        cut = data_set.cut(context=context, max_new_tokens=config.evaluation.max_new_tokens)
        if tokens.labels is not None:  # the name of a label takes several tokens
            longest = int((np.diff(tokens.starts) - tokens.prompt_lengths).max())
            cut = Cut.of(context, room=longest, truncate=cut.truncate)
        return PairRows(tokens, context=context, device=device, cut=cut)
    truncate: Truncate = getattr(data_set, "truncate", "right")
    if kind == "encoder":  # the target, a label, takes no place
        return PairRows(tokens, context=context, device=device, cut=Cut(context, context, truncate))
    return HalvesRows(tokens, context=context, device=device, cut=Cut(2 * context, context, truncate))
