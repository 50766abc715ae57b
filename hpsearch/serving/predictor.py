"""A model of hpsearch's own trainer in memory: answers texts as its evaluation did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpsearch.data.tokenizer import SEP, Tokenizer
from hpsearch.serving.uses import Use, Uses, read
from hpsearch.training.export import load_pretrained
from hpsearch.training.generate import Limits, generate, prefill
from hpsearch.training.model import Llama

BATCH = 64  # texts


@dataclass(frozen=True)
class Predictor:
    """A model, its tokenizer and its uses."""

    model: Llama
    tokenizer: Tokenizer
    uses: Uses

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Loads a model directory; raises UserError if hpsearch's own trainer has not written it."""
        uses = read(folder)
        return cls(load_pretrained(folder), Tokenizer.load(folder), uses)

    def answers(self, use: Use, texts: Sequence[str], *, max_new_tokens: int, beam_size: int) -> list[dict[str, Any]]:
        """The answer to each text: `label` and `probabilities`, or `text`: the translation or the continuation."""
        prompts = [self._prompt(use, ids) for ids in self.tokenizer.encode(list(texts))]
        if use.labels:
            return self._labelled(use, prompts)
        limits = {"max_new_tokens": max_new_tokens, "beam_size": beam_size}
        found = generate(self.model, prompts, eos_id=self.tokenizer.eos_id, **limits)
        return [{"text": self.tokenizer.decode(ids)} for ids in found]

    def _prompt(self, use: Use, ids: list[int]) -> list[int]:
        """The tokens that the model reads: those of a training example up to its target."""
        if not use.marker:
            return [self.tokenizer.eos_id, *ids]
        prompt = [self.tokenizer.id(use.marker), *ids, self.tokenizer.id(SEP)]
        kept, _ = use.cut.kept(np.array([len(prompt)]), np.array([1]))
        head = int(use.cut.heads(kept)[0])
        return prompt[:head] + prompt[len(prompt) - (int(kept[0]) - head) :]

    def _labelled(self, use: Use, prompts: list[list[int]]) -> list[dict[str, Any]]:
        rows = (row for batch in self._probabilities(use, prompts) for row in batch)
        return [
            {"label": use.labels[int(np.argmax(row))], "probabilities": dict(zip(use.labels, row, strict=True))}
            for row in rows
        ]

    @torch.inference_mode()
    def _probabilities(self, use: Use, prompts: list[list[int]]) -> Iterator[list[list[float]]]:
        """The probability of each label among the labels, a batch of texts at a time."""
        ids = [self.tokenizer.id(token) for token in use.label_tokens]
        for start in range(0, len(prompts), BATCH):
            logits, _, _ = prefill(self.model, prompts[start : start + BATCH], Limits(-1, 1))
            yield logits[:, ids].float().softmax(-1).tolist()
