"""A set's examples as flat arrays of token ids, written once and memory-mapped by every training process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.tokenizer import SEP, Tokenizer

N_BYTES = "n_bytes"  # the key of a count that only splits of running text have


class Strings(Sequence[str]):
    """A list of texts in two memory-mapped arrays; each text is decoded when it is read."""

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
    n_bytes: int  # UTF-8 bytes of the documents


@dataclass
class PairTokens:
    """Examples of a prompt and a target, concatenated.

    Example i is tokens[starts[i]:starts[i + 1]]: a prompt of prompt_lengths[i] tokens (task token, source, SEP) and a
    target (the reference's tokens and EOS, or the token of its label).
    """

    tokens: NDArray[np.int32]  # (M,)
    starts: NDArray[np.int64]  # (n + 1,)
    prompt_lengths: NDArray[np.int32]  # (n,)
    target_bytes: NDArray[np.int32]  # (n,): UTF-8 bytes of the raw target (or of the label's name)
    labels: NDArray[np.int32] | None = None  # (n,): indices into label_names; None: the targets are texts
    references: Sequence[str] = ()  # raw targets, label names
    sources: Sequence[str] = ()  # raw sources, texts

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass
class CorpusSet:
    """One tokenised data set of the config; `splits` has train, valid and possibly test."""

    name: str
    task: str
    splits: dict[str, TextTokens | PairTokens]
    label_names: list[str] = field(default_factory=list)
    label_ids: list[int] = field(default_factory=list)  # token ids


def task_token(name: str) -> str:
    """The token with which every example of a set begins."""
    return f"<|set:{name}|>"


def label_token(name: str, label: str) -> str:
    """The target token that stands for a label of a set."""
    return f"<|{name}={label}|>"


def joined(first: TextTokens | PairTokens, second: TextTokens | PairTokens) -> TextTokens | PairTokens:
    """The examples of two splits of a set, in memory; raises TypeError for a text and pairs."""
    if isinstance(first, TextTokens) and isinstance(second, TextTokens):
        return TextTokens(np.concatenate([first.tokens, second.tokens]), first.n_bytes + second.n_bytes)
    if isinstance(first, PairTokens) and isinstance(second, PairTokens):
        return _joined_pairs(first, second)
    raise TypeError("running text and pairs cannot be joined")


def _joined_pairs(first: PairTokens, second: PairTokens) -> PairTokens:
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    return PairTokens(
        tokens=np.concatenate([first.tokens, second.tokens]),
        starts=np.concatenate([first.starts, first.starts[-1] + second.starts[1:]]),
        prompt_lengths=np.concatenate([first.prompt_lengths, second.prompt_lengths]),
        target_bytes=np.concatenate([first.target_bytes, second.target_bytes]),
        labels=labels,
        references=[*first.references, *second.references],
        sources=[*first.sources, *second.sources],
    )


# ------------------------------------------------------------------------------------------------------------- writing

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Encoder:
    """Encodes the splits of one set."""

    name: str
    tokenizer: Tokenizer
    label_names: list[str]

    @property
    def label_ids(self) -> list[int]:
        """The token of each label."""
        return [self.tokenizer.id(label_token(self.name, label)) for label in self.label_names]

    def running_text(self, texts: list[str]) -> Arrays:
        """The arrays of `TextTokens`: the texts concatenated, an EOS before each."""
        return text_arrays(texts, self.tokenizer.encode_each(texts), eos_id=self.tokenizer.eos_id)

    def pairs(self, sources: list[str], references: list[str], targets: Iterable[list[int]] | None = None) -> Arrays:
        """The arrays of `PairTokens`; `targets`: the target's tokens (None: the reference's tokens and an EOS)."""
        if targets is None:
            targets = ([*ids, self.tokenizer.eos_id] for ids in self.tokenizer.encode_each(references))
        task, sep = self.tokenizer.id(task_token(self.name)), self.tokenizer.id(SEP)
        prompts = [[task, *ids, sep] for ids in self.tokenizer.encode_each(sources)]
        return pair_arrays(zip(prompts, targets, strict=True), sources, references)

    def labelled(self, texts: list[str], labels: list[str]) -> Arrays:
        """The arrays of `PairTokens` for labelled texts: each target is the token of its label."""
        ids = {label: [self.tokenizer.id(label_token(self.name, label))] for label in self.label_names}
        arrays = self.pairs(texts, labels, [ids[label] for label in labels])
        return arrays | label_arrays(labels, self.label_names)


def text_arrays(texts: list[str], encoded: Iterable[Sequence[int]], *, eos_id: int) -> Arrays:
    """The arrays of `TextTokens` of encoded texts."""
    eos = np.array([eos_id], np.int32)
    runs = [run for ids in encoded for run in (eos, np.array(ids, np.int32))]
    n_bytes = sum(len(text.encode()) for text in texts)
    return {"tokens": np.concatenate(runs), N_BYTES: np.array(n_bytes)}


def pair_arrays(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]], sources: list[str], references: list[str]
) -> Arrays:
    """The arrays of `PairTokens` of (prompt, target) pairs of tokens."""
    flat = [ids for pair in pairs for ids in pair]
    lengths = np.array([len(ids) for ids in flat], np.int64)
    arrays: Arrays = {
        "tokens": np.fromiter((i for ids in flat for i in ids), np.int32, count=int(lengths.sum())),
        "starts": np.concatenate([[0], lengths.reshape(-1, 2).sum(axis=1).cumsum()]),
        "prompt_lengths": lengths[::2].astype(np.int32),
        "target_bytes": np.array([len(text.encode()) for text in references], np.int32),
    }
    return {**arrays, **_strings("references", references), **_strings("sources", sources)}


def label_arrays(labels: list[str], names: list[str]) -> Arrays:
    """The index of each label in `names`, which `PairTokens` of labelled texts have, too."""
    places = {label: i for i, label in enumerate(names)}
    return {"labels": np.array([places[label] for label in labels], np.int32)}


def write(folder: Path, part: str, arrays: Arrays) -> dict[str, int]:
    """Saves a split's arrays as folder/part-NAME.npy; returns the counts that `map_set` needs."""
    folder.mkdir(exist_ok=True)
    for key in arrays.keys() - {N_BYTES}:
        np.save(folder / f"{part}-{key}.npy", arrays[key])
    return {N_BYTES: int(arrays[N_BYTES])} if N_BYTES in arrays else {}


def _strings(name: str, texts: list[str]) -> dict[str, NDArray[Any]]:
    encoded = [text.encode() for text in texts]
    starts = np.array([0, *accumulate(map(len, encoded))], np.int64)
    return {name: np.frombuffer(b"".join(encoded), np.uint8), f"{name}-starts": starts}


# ------------------------------------------------------------------------------------------------------------- mapping


def map_set(folder: Path, name: str, about: dict[str, Any]) -> CorpusSet:
    """The set that `write` saved in the folder; about: its task, its labels and the counts of its splits."""
    splits: dict[str, TextTokens | PairTokens] = {}
    for part, counts in about["splits"].items():
        splits[part] = _map_text(folder, part, counts) if N_BYTES in counts else _map_pairs(folder, part)
    return CorpusSet(name, about["task"], splits, about["label_names"], about["label_ids"])


def _map_text(folder: Path, part: str, counts: dict[str, int]) -> TextTokens:
    return TextTokens(_map(folder, part, "tokens"), counts[N_BYTES])


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
    """Maps copy-on-write: torch warns about read-only arrays. Nothing writes to it."""
    return np.load(folder / f"{part}-{key}.npy", mmap_mode="c")  # type: ignore[no-any-return]
