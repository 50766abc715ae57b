"""What a checkpoint is, and how many tokens it makes of examples: what a draft of a space file depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpsearch.data.splits import LABEL, Example
from hpsearch.tasks import TaskSet
from hpsearch.trainers.huggingface import checkpoint, loading, token_checks
from hpsearch.trainers.huggingface.config import FineTuneConfig, PretrainedConfig
from hpsearch.trainers.huggingface.kinds import Kind, check_tasks
from hpsearch.trainers.huggingface.vocabulary import PretrainedVocabulary

NO_LIMIT = 1 << 20  # tokens; transformers writes 1e30 where a tokenizer has no limit


@dataclass(frozen=True)
class Inspected:
    """A checkpoint whose weights were not read."""

    kind: Kind
    model_type: str
    parameters: int
    in_layers: int  # of them those that every token passes: an encoder's table of tokens is only looked up
    longest: int | None  # tokens that it reads at most; None: any number
    vocabulary: PretrainedVocabulary
    doubts: tuple[str, ...] = ()  # warnings about its tokenizer

    def unknown(self, examples: Sequence[Example], about: str) -> list[str]:
        """A warning if many tokens of some examples are unknown ones, in a list; raises UserError if nearly all are."""
        tokenizer = self.vocabulary.tokenizer
        plain = tokenizer.plain(text for one in examples for key, text in one.items() if key != LABEL)
        tokens = np.fromiter((i for ids in plain for i in ids), np.int32)
        return token_checks.unknown(tokenizer, tokens, about, str(self.vocabulary.model.pretrained))

    def lengths(self, section: TaskSet, examples: Sequence[Example]) -> tuple[list[int], list[int]]:
        """The tokens of the prompts and of the targets of some examples of a set, as they are trained.

        Running text has its tokens as prompts, each with an end token, and no targets.
        """
        encoder = self.vocabulary.encoder("set", sorted({one[LABEL] for one in examples if LABEL in one}))
        columns = [list(column) for column in zip(*(one.values() for one in examples), strict=True)]
        if not section.has_prompts:
            return [len(ids) + 1 for ids in self.vocabulary.tokenizer.plain(columns[0])], []
        arrays = encoder.labelled(*columns) if section.target_key == LABEL else encoder.pairs(*columns)
        prompts = arrays["prompt_lengths"]
        targets = np.diff(arrays["starts"]) - prompts
        return prompts.tolist(), targets.tolist()


def inspect(name: str, data: Mapping[str, TaskSet], base: Path) -> Inspected:
    """Looks at a checkpoint; raises UserError if it cannot be read, or cannot learn the data sets."""
    model = PretrainedConfig(pretrained=name)
    tuning = FineTuneConfig(data=dict(data), model=model)
    config: Any = checkpoint.config_of(tuning, base)
    kind = checkpoint.kind_of(config)
    check_tasks(kind, data, name)
    vocabulary = PretrainedVocabulary.of(model, kind, base)
    loading.check(tuning, config, kind, base)
    token_checks.check_tokenizer(vocabulary.tokenizer, config, name)
    auto: Any = loading.AUTO[kind]
    with checkpoint.reading(name), torch.device("meta"):
        made = auto.from_config(config)
        table = made.get_input_embeddings().weight.numel()
    parameters = sum(weight.numel() for weight in made.parameters())
    limits = (checkpoint.longest_of(config), vocabulary.tokenizer.inner.model_max_length)
    longest = min((n for n in limits if n is not None and n < NO_LIMIT), default=None)
    in_layers = parameters - table if kind == "encoder" else parameters
    doubts = tuple(token_checks.size_doubts(vocabulary.tokenizer, config, name))
    return Inspected(kind, config.model_type, parameters, in_layers, longest, vocabulary, doubts)
