"""The tokenizer of a checkpoint, and how it encodes data sets for each kind of model.

encoder          [CLS] text [SEP], and the index of the label as the target
decoder          source, line end, target, end token (or the chat template's form of the prompt); text after end tokens
encoder-decoder  source and target as the tokenizer itself writes them
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from hpsearch.data.token_arrays import Arrays, Encoder, label_arrays, pair_arrays, text_arrays
from hpsearch.errors import UserError
from hpsearch.trainers.huggingface.checkpoint import place, reading
from hpsearch.trainers.huggingface.config import PretrainedConfig
from hpsearch.trainers.huggingface.kinds import Kind

SEPARATOR = "\n"  # between a prompt and its target
BATCH = 1024  # texts that are encoded at once


def tokenizer_of(model: PretrainedConfig) -> str:
    """The folder or the name of a model's tokenizer."""
    return str(model.tokenizer or model.pretrained)


class PretrainedTokenizer:
    """The tokenizer of a checkpoint (implements AnyTokenizer of data/tokenizer.py)."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.vocab_size: int = len(inner)
        self.eos_id: int = -1 if inner.eos_token_id is None else inner.eos_token_id  # -1: no token ends
        self.pad_id: int = next((i for i in (inner.pad_token_id, inner.eos_token_id) if i is not None), 0)

    @classmethod
    def of(cls, model: PretrainedConfig, base: Path) -> PretrainedTokenizer:
        """The tokenizer that the config names; raises UserError."""
        name = tokenizer_of(model)
        with reading(name):
            source = place(name, base)
            return cls(transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=model.trust_remote_code))

    @classmethod
    def load(cls, folder: Path) -> PretrainedTokenizer:
        """Loads what `save` wrote; raises UserError."""
        with reading(str(folder)):
            return cls(transformers.AutoTokenizer.from_pretrained(folder))

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's files into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.inner.save_pretrained(folder)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without special tokens."""
        return str(self.inner.decode(list(ids), skip_special_tokens=True)).strip()

    def n_bytes(self, text: str, ids: Sequence[int]) -> int:
        """The number of UTF-8 bytes of the text that its first tokens, `ids`, cover."""
        return min(len(text.encode()), len(self.decode(ids).encode()))

    def plain(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text, without special tokens."""
        return self._encoded(list(texts), add_special_tokens=False)

    def whole(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text with the tokenizer's own first and last tokens."""
        return self._encoded(list(texts))

    def targets(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each target of an encoder-decoder, with its last token."""
        found: list[list[int]] = []
        several = list(texts)
        for i in range(0, len(several), BATCH):
            found += self.inner(text_target=several[i : i + BATCH], verbose=False)["input_ids"]
        return found

    def beginning(self) -> list[int]:
        """The token with which the tokenizer begins a text, if any."""
        first = self.whole([""])[0][:1]
        return first if first and first[0] == self.inner.bos_token_id else []

    def chats(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of a chat with each text as the user's words, up to where the answer begins."""
        return [self._chat(text) for text in texts]

    def _chat(self, text: str) -> list[int]:
        messages = [{"role": "user", "content": text}]
        written = self.inner.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return self.plain([written])[0]

    def _encoded(self, texts: list[str], **options: Any) -> list[list[int]]:
        found: list[list[int]] = []
        for i in range(0, len(texts), BATCH):
            found += self.inner(texts[i : i + BATCH], verbose=False, **options)["input_ids"]
        return found


@dataclass(frozen=True)
class PretrainedVocabulary:
    """A checkpoint's tokenizer with the encoders of data sets (implements Vocabulary of data/corpus.py)."""

    tokenizer: PretrainedTokenizer
    kind: Kind
    model: PretrainedConfig

    @classmethod
    def of(cls, model: PretrainedConfig, kind: Kind, base: Path) -> PretrainedVocabulary:
        """Loads the tokenizer; raises UserError if it lacks what the kind of model needs."""
        tokenizer, name = PretrainedTokenizer.of(model, base), tokenizer_of(model)
        if kind == "decoder" and tokenizer.eos_id < 0:
            raise UserError(f"{name}: the tokenizer has no end token, which ends an answer of a decoder")
        if model.chat_template and (kind != "decoder" or not tokenizer.inner.chat_template):
            why = "the tokenizer has none" if kind == "decoder" else f"the model is an {kind}"
            raise UserError(f"model.chat_template: {name}: {why}; allowed: false")
        return cls(tokenizer, kind, model)

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's files into the folder."""
        self.tokenizer.save(folder)

    def encoder(self, name: str, labels: list[str]) -> PretrainedEncoder:
        """Encodes the splits of a set."""
        return PretrainedEncoder(name, self.tokenizer, labels, self.kind, self.model.prefix, self.model.chat_template)


@dataclass(frozen=True)
class PretrainedEncoder(Encoder):
    """Encodes the splits of one set for a kind of model."""

    tokenizer: PretrainedTokenizer  # type: ignore[assignment]  # in place of hpsearch's own
    kind: Kind = "encoder"
    prefix: str = ""
    chat: bool = False

    @property
    def label_ids(self) -> list[int]:
        """The place of each label: a head has an output for each."""
        return list(range(len(self.label_names)))

    def running_text(self, texts: list[str]) -> Arrays:
        """The texts concatenated, an end token before each."""
        return text_arrays(texts, self.tokenizer.plain(texts), eos_id=self.tokenizer.eos_id)

    def pairs(self, sources: list[str], references: list[str], targets: Iterable[list[int]] | None = None) -> Arrays:
        """Prompts and targets as the kind of model reads them."""
        found = self.answers(references) if targets is None else list(targets)
        return pair_arrays(zip(self._prompts(sources), found, strict=True), sources, references)

    def labelled(self, texts: list[str], labels: list[str]) -> Arrays:
        """Labelled texts: the label's index for a head, its name as the target else."""
        places = {label: [i] for i, label in enumerate(self.label_names)}
        if self.kind != "encoder":
            places = dict(zip(self.label_names, self.answers(self.label_names), strict=True))
        return self.pairs(texts, labels, [places[label] for label in labels]) | label_arrays(labels, self.label_names)

    def answers(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each target, with the token that ends it."""
        if self.kind == "encoder-decoder":
            return self.tokenizer.targets(texts)
        return [[*ids, self.tokenizer.eos_id] for ids in self.tokenizer.plain(texts)]

    def _prompts(self, sources: list[str]) -> list[list[int]]:
        texts = [self.prefix + source for source in sources]
        if self.kind != "decoder":
            return self.tokenizer.whole(texts)
        if self.chat:
            return self.tokenizer.chats(texts)
        begin, end = self.tokenizer.beginning(), self.tokenizer.plain([SEPARATOR])[0]
        return [[*begin, *ids, *end] for ids in self.tokenizer.plain(texts)]
