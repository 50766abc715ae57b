"""A set's examples as flat arrays of token ids: written once, mapped by every process that trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.splits import Example
from hpsearch.data.tokenizer import SEP, Tokenizer


class Strings(Sequence[str]):
    """A list of texts that lies in two mapped arrays and is decoded text by text."""

    def __init__(self, content: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.content, self.starts = content, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        return self.content[self.starts[i] : self.starts[i + 1]].tobytes().decode()


@dataclass
class TextTokens:
    """Documents of a text split, each after an EOS: every token but the first is a target."""

    tokens: NDArray[np.int32]  # (N,)
    n_bytes: int  # of the documents in UTF-8


@dataclass
class PairTokens:
    """Examples of a translation or classification split, one after another.

    Example i is tokens[starts[i]:starts[i + 1]]: a prompt of prompt_lengths[i] tokens (task token, source or text, SEP)
    and a target (translation: its tokens and EOS; classification: the label's token).
    """

    tokens: NDArray[np.int32]  # (M,)
    starts: NDArray[np.int64]  # (n + 1,)
    prompt_lengths: NDArray[np.int32]  # (n,)
    target_bytes: NDArray[np.int32]  # (n,): UTF-8 bytes of the raw target (or of the label's name)
    labels: NDArray[np.int32] | None = None  # (n,): places in label_names; None for translation
    references: Sequence[str] = ()  # raw targets, label names
    sources: Sequence[str] = ()  # raw sources, texts

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass
class CorpusSet:
    """One named set of the config, tokenised; `splits` has train, valid and perhaps test."""

    name: str
    task: str
    splits: dict[str, TextTokens | PairTokens]
    label_names: list[str] = field(default_factory=list)
    label_ids: list[int] = field(default_factory=list)  # token ids


def task_token(name: str) -> str:
    """The token that opens every example of a set."""
    return f"<|set:{name}|>"


def label_token(name: str, label: str) -> str:
    """The token that is the answer `label` of a set."""
    return f"<|{name}={label}|>"


# ------------------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True)
class Encoder:
    """Writes the splits of one set as arrays."""

    name: str
    tokenizer: Tokenizer
    label_names: list[str]

    def write(self, folder: Path, part: str, examples: list[Example]) -> dict[str, int]:
        """Saves the split's arrays as folder/part-NAME.npy and gives its counts."""
        folder.mkdir(exist_ok=True)
        is_text = examples[0].keys() == {"text"}
        arrays, about = self._text(examples) if is_text else self._pairs(examples)
        for key, array in arrays.items():
            np.save(folder / f"{part}-{key}.npy", array)
        return {**about, "examples": len(examples), "tokens": len(arrays["tokens"])}

    def _text(self, examples: list[Example]) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
        texts = [example["text"] for example in examples]
        eos = np.array([self.tokenizer.eos_id], np.int32)
        runs = [run for ids in self.tokenizer.encode_each(texts) for run in (eos, np.array(ids, np.int32))]
        return {"tokens": np.concatenate(runs)}, {"n_bytes": sum(len(text.encode()) for text in texts)}

    def _pairs(self, examples: list[Example]) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
        first, second = ("text", "label") if self.label_names else ("source", "target")
        sources, references = [e[first] for e in examples], [e[second] for e in examples]
        task, sep = self.tokenizer.id(task_token(self.name)), self.tokenizer.id(SEP)
        prompts = [[task, *ids, sep] for ids in self.tokenizer.encode_each(sources)]
        flat = [ids for pair in zip(prompts, self._targets(references), strict=True) for ids in pair]
        lengths = np.array([len(ids) for ids in flat], np.int64)
        arrays: dict[str, NDArray[Any]] = {
            "tokens": np.fromiter((i for ids in flat for i in ids), np.int32, count=int(lengths.sum())),
            "starts": np.concatenate([[0], lengths.reshape(-1, 2).sum(axis=1).cumsum()]),
            "prompt_lengths": lengths[::2].astype(np.int32),
            "target_bytes": np.array([len(text.encode()) for text in references], np.int32),
        }
        if self.label_names:
            places = {label: i for i, label in enumerate(self.label_names)}
            arrays["labels"] = np.array([places[label] for label in references], np.int32)
        return {**arrays, **_strings("references", references), **_strings("sources", sources)}, {}

    def _targets(self, references: list[str]) -> Iterable[list[int]]:
        if not self.label_names:
            return ([*ids, self.tokenizer.eos_id] for ids in self.tokenizer.encode_each(references))
        ids = {label: [self.tokenizer.id(label_token(self.name, label))] for label in self.label_names}
        return [ids[label] for label in references]


def _strings(name: str, texts: list[str]) -> dict[str, NDArray[Any]]:
    encoded = [text.encode() for text in texts]
    starts = np.array([0, *accumulate(map(len, encoded))], np.int64)
    return {name: np.frombuffer(b"".join(encoded), np.uint8), f"{name}-starts": starts}


# ------------------------------------------------------------------------------------------------------------- mapping


def map_set(folder: Path, name: str, about: dict[str, Any]) -> CorpusSet:
    """The set whose splits `Encoder.write` left in the folder; about: its task, labels and the counts of its splits."""
    splits: dict[str, TextTokens | PairTokens] = {}
    for part, counts in about["splits"].items():
        is_text = about["task"] == "text"
        splits[part] = _map_text(folder, part, counts) if is_text else _map_pairs(folder, part)
    return CorpusSet(name, about["task"], splits, about["label_names"], about["label_ids"])


def _map_text(folder: Path, part: str, counts: dict[str, int]) -> TextTokens:
    return TextTokens(_map(folder, part, "tokens"), counts["n_bytes"])


def _map_pairs(folder: Path, part: str) -> PairTokens:
    return PairTokens(
        tokens=_map(folder, part, "tokens"),
        starts=_map(folder, part, "starts"),
        prompt_lengths=_map(folder, part, "prompt_lengths"),
        target_bytes=_map(folder, part, "target_bytes"),
        labels=_map(folder, part, "labels") if (folder / f"{part}-labels.npy").exists() else None,
        references=Strings(_map(folder, part, "references"), _map(folder, part, "references-starts")),
        sources=Strings(_map(folder, part, "sources"), _map(folder, part, "sources-starts")),
    )


def _map(folder: Path, part: str, key: str) -> NDArray[Any]:
    """Copy on write: torch takes no read-only memory, and would copy it; nobody writes."""
    return np.load(folder / f"{part}-{key}.npy", mmap_mode="c")  # type: ignore[no-any-return]
