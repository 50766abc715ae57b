"""Evaluates a model of transformers on a split, by the same metrics as our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpsearch.data.corpus import Corpus
from hpsearch.tasks.metric import of_head
from hpsearch.tasks.scores.losses import Sums
from hpsearch.trainers.huggingface.batches import HalvesRows
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.kinds import Kind
from hpsearch.trainers.huggingface.network import Network
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer, PretrainedVocabulary
from hpsearch.training.batches import Rows
from hpsearch.training.evaluation import Evaluator, Measured, OnSet, count, nll

AT_ONCE = {"cpu": 1 << 13, "cuda": 1 << 16}  # tokens that a head reads at once


class PretrainedEvaluator(Evaluator):
    """Measures a model of transformers on one split of a corpus."""

    def __init__(
        self,
        corpus: Corpus,
        rows: dict[str, Rows],
        config: FineTuneConfig,
        kind: Kind,
        *,
        sample: int | None,
        precision: str | None = None,
    ) -> None:
        """See Evaluator."""
        self.kind, self.model_config = kind, config.model
        super().__init__(corpus, rows, config, sample=sample, precision=precision)

    def tokens_at_once(self) -> int:
        """A head has few logits: what counts is the tokens that are read."""
        if self.kind == "encoder":
            return AT_ONCE.get(self.device.type, AT_ONCE["cpu"])
        return super().tokens_at_once()

    def measure(self, model: Any, *, decode: bool = True) -> Measured:
        """See Evaluator; of a head without perplexity and bits per byte, unless the objective is a loss."""
        found = super().measure(model, decode=decode)
        if self.kind == "encoder":
            found.metrics = of_head(found.metrics, objective=self.config.objective.metric)
        return found

    def on(self, model: Any, name: str) -> OnSet:
        """The model on one set."""
        return OnPretrained(self, model, name)

    def part(self, rows: dict[str, Rows], config: Any, *, sample: int) -> PretrainedEvaluator:
        """The evaluator of some of the sets, by another config."""
        return PretrainedEvaluator(self.corpus, rows, config, self.kind, sample=sample)

    def answers(self, name: str) -> list[list[int]]:
        """The tokens of each label of a set."""
        tokenizer = self.corpus.tokenizer
        assert isinstance(tokenizer, PretrainedTokenizer)
        labels = self.corpus.sets[name].label_names
        return PretrainedVocabulary(tokenizer, self.kind, self.model_config).encoder(name, labels).answers(labels)


@dataclass(frozen=True)
class OnPretrained(OnSet):
    """A model of transformers on one set of the split (implements Model of tasks/measure.py)."""

    evaluator: PretrainedEvaluator
    model: Network

    def score(self, batch: Any) -> Tensor:
        """The logits (K, V) of every scored position."""
        logits: Tensor = self.model(batch)
        return logits

    def choices(self, tokens: Sequence[int]) -> tuple[Sums, NDArray[np.int64]]:
        """The losses, and the index of the likeliest label of each example.

        Of a head the largest output. Else the label whose tokens greedy decoding finds when it may choose among labels
        alone; no decoding is needed where their first tokens differ.
        """
        if self.evaluator.kind == "encoder":
            return super().choices(tokens)
        answers = self.evaluator.answers(self.name)
        if len({answer[0] for answer in answers}) == len(answers):
            first = [answer[0] for answer in answers]
            return self.evaluator.max_tokens.run(lambda size: self._by_first(first, size))
        places = {tuple(answer): i for i, answer in enumerate(answers)}
        order = list(range(self.pairs.n_rows))
        chosen = self.evaluator.decoded.run(lambda size: self._generated(order, size, tree=tree_of(answers)))
        found = [places[tuple(tokens)] for tokens in chosen]
        return self.losses(), np.array(found, dtype=np.int64)

    def _by_first(self, tokens: list[int], size: int) -> tuple[Sums, NDArray[np.int64]]:
        sums, places = self._empty(), np.zeros(self.pairs.n_rows, dtype=np.int64)
        for numbers, batch in self.pairs.in_turn(size):
            logits = self.score(batch)
            count(sums, nll(logits, batch.targets), self.groups(numbers, batch, int(sums.tokens)))
            counts = self.pairs.targets[numbers]
            first = torch.from_numpy(np.cumsum(counts) - counts).to(logits.device)
            places[numbers] = logits[first][:, tokens].argmax(-1).cpu().numpy()
        return sums, places

    def _decode(self, chosen: Sequence[int], at_once: int) -> list[str]:
        decode = self.evaluator.corpus.tokenizer.decode
        return [decode(tokens) for tokens in self._generated(chosen, at_once)]

    def _generated(self, chosen: Sequence[int], at_once: int, tree: Any = None) -> list[list[int]]:
        """The new tokens of each example, as `generate` of transformers finds them; in `tree`: one of its paths."""
        beams = 1 if tree is not None else self.evaluator.config.evaluation.beam_size
        size = max(1, at_once // beams)
        order = sorted(chosen, key=lambda row: int(self.pairs.prompts[row]))
        found: dict[int, list[int]] = {}
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            found |= dict(zip(rows, self._generate(rows, beams, tree), strict=True))
        return [found[row] for row in chosen]

    def _generate(self, rows: list[int], beams: int, tree: Any) -> Iterator[list[int]]:
        """The new tokens of some rows, the end token included if they lead along a tree."""
        ids, mask = self._prompts(rows)
        tokenizer = self.evaluator.corpus.tokenizer
        begun = 1 if isinstance(self.pairs, HalvesRows) else ids.shape[1]
        limit = self.evaluator.config.evaluation.max_new_tokens if tree is None else depth(tree)
        if begun > 1:
            limit = max(1, min(limit, self.pairs.context - ids.shape[1] + 1))
        options: dict[str, Any] = {"num_beams": beams, "do_sample": False, "max_new_tokens": limit}
        if tree is not None:
            options["prefix_allowed_tokens_fn"] = lambda _, so_far: allowed(tree, so_far[begun:].tolist())
        found = self.model.hf.generate(
            input_ids=ids,
            attention_mask=mask,
            pad_token_id=self.model.pad_id,
            eos_token_id=tokenizer.eos_id,
            **options,
        )
        for tokens in found[:, begun:].tolist():
            end = tokens.index(tokenizer.eos_id) if tokenizer.eos_id in tokens else len(tokens)
            yield tokens[: end + 1] if tree is not None else tokens[:end]

    def _prompts(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """The prompts and their attention mask; those of a decoder padded on the left."""
        prompts = [self.pairs.prompt(row) for row in rows]
        width = max(map(len, prompts))
        ids = torch.full((len(rows), width), self.model.pad_id)
        mask = torch.zeros_like(ids)
        for i, prompt in enumerate(prompts):
            where = slice(0, len(prompt)) if isinstance(self.pairs, HalvesRows) else slice(width - len(prompt), width)
            ids[i, where], mask[i, where] = torch.tensor(prompt), 1
        return ids.to(self.evaluator.device), mask.to(self.evaluator.device)


Tree = dict[int, Any]  # token -> what may follow it


def tree_of(answers: Sequence[Sequence[int]]) -> Tree:
    """The answers as paths in a tree."""
    tree: Tree = {}
    for answer in answers:
        place = tree
        for token in answer:
            place = place.setdefault(token, {})
    return tree


def depth(tree: Tree) -> int:
    """The tokens of the longest path."""
    return 1 + max(map(depth, tree.values())) if tree else 0


def allowed(tree: Tree, path: Sequence[int]) -> list[int]:
    """The tokens that may follow a path; behind its end its last token again, which is cut off."""
    place = tree
    for token in path:
        if not place:
            break
        place = place[token]
    return list(place) or [path[-1]]
