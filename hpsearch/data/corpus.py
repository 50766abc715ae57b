"""The data as token ids: prepared once per content, and memory-mapped by every training process."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from hpsearch.config import DataSet, TokenizerConfig, digest
from hpsearch.data import file_formats, paths, sources
from hpsearch.data.encodable_set import EncodableSet
from hpsearch.data.sources import Splits
from hpsearch.data.splits import LABEL
from hpsearch.data.summary import summary, untested
from hpsearch.data.token_arrays import (
    CorpusSet,
    Encoder,
    PairTokens,
    Strings,
    TextTokens,
    label_token,
    map_set,
    task_token,
    write,
)
from hpsearch.data.tokenizer import BASE_SPECIALS, AnyTokenizer, Tokenizer
from hpsearch.system import sealed
from hpsearch.system.file_lock import locked

__all__ = ["Corpus", "CorpusSet", "PairTokens", "Strings", "TextTokens", "label_token", "specials", "task_token"]

FORMAT = 2  # increased when the files, the meaning of the tokens or the order of an epoch change
Progress = Callable[[str, float], None]  # (what is being done, share done)


@dataclass(frozen=True)
class Contents:
    """The fingerprints of data sets, known before anything is tokenised."""

    fingerprint: str  # of the data and the tokenizer's config
    sets: dict[str, str]  # {set: fingerprint of its data}
    loaded: dict[str, Splits]  # the sets that had to be read for it
    models: dict[str, str] = field(default_factory=dict)  # key of `model` that names files -> their fingerprint

    @classmethod
    def of(cls, sets: Mapping[str, DataSet], tokenizer: TokenizerConfig, *, base: Path) -> Contents:
        """The fingerprints of these data sets; raises DataError for files and functions that cannot be read."""
        prints, loaded = identified(sets, base=base)
        file = None if tokenizer.file is None else file_formats.digest(paths.place(base, tokenizer.file))
        return cls(fingerprint(prints, tokenizer.kind, vocab_size=tokenizer.vocab_size, file=file), prints, loaded)

    @property
    def facts(self) -> dict[str, Any]:
        """The fingerprints, as the study's journal records them."""
        return {"fingerprint": self.fingerprint, "contents": self.sets}


def identified(sets: Mapping[str, DataSet], *, base: Path) -> tuple[dict[str, str], dict[str, Splits]]:
    """The fingerprint of each set, and the examples of those that had to be read for it; raises DataError."""
    prints, loaded = {}, {}
    for name, data_set in sets.items():
        prints[name], splits = sources.identify(name, data_set, base=base, cache=None)
        if splits is not None:
            loaded[name] = splits
    return prints, loaded


def fingerprint(sets: dict[str, str], kind: str, *, vocab_size: int | None = None, file: str | None = None) -> str:
    """The fingerprint of data sets, given theirs, and a tokenizer; file: the digest of the tokenizer's file, if any."""
    tokenizer: dict[str, Any] = {"kind": kind}
    if file is not None:
        tokenizer["file"] = file
    elif kind == "bpe":
        tokenizer["vocab_size"] = vocab_size
    return digest({"format": FORMAT, "sets": sets, "tokenizer": tokenizer})


class Vocabulary(Protocol):
    """A tokenizer, and how it encodes the sets of a corpus."""

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's files into the folder."""

    def encoder(self, name: str, labels: list[str]) -> Encoder:
        """Encodes the splits of the set `name`."""


Labels: TypeAlias = dict[str, list[str]]  # set -> its labels, sorted
Learn: TypeAlias = Callable[[Labels, dict[str, Splits]], Vocabulary]  # of all sets, which are read; says what it does


@dataclass(frozen=True)
class Learnt:
    """A tokenizer of hpsearch's own."""

    tokenizer: Tokenizer

    def save(self, folder: Path) -> None:
        """Writes what `Tokenizer.load` reads."""
        self.tokenizer.save(folder)

    def encoder(self, name: str, labels: list[str]) -> Encoder:
        """Prompts between a task token and SEP, a token for each label."""
        return Encoder(name, self.tokenizer, labels)


@dataclass
class Corpus:
    """All data sets of a config with their tokenizer, memory-mapped from `folder`."""

    sets: dict[str, CorpusSet]
    tokenizer: AnyTokenizer
    folder: Path
    fingerprint: str  # of the data and the tokenizer's config
    counts: dict[str, dict[str, dict[str, int]]]  # {set: {split: {"examples", "tokens"}}}
    warnings: list[str] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)  # what was read, a line for each set
    untested: list[str] = field(default_factory=list)  # why test splits cannot be used, a line for each set

    @classmethod
    def open(
        cls,
        sets: Mapping[str, EncodableSet],
        tokenizer: TokenizerConfig,
        *,
        cache: Path,
        base: Path,
        progress: Progress | None = None,
        contents: Contents | None = None,
    ) -> Corpus:
        """Opens the corpus of these data sets and this tokenizer; prepares it if the cache lacks it.

        cache: the folder of all prepared corpora, private to the user; base: the folder for relative paths; contents:
        the result of `Contents.of`, if it is known. Of two processes that open the same corpus, one prepares it and the
        other waits. Raises DataError for data that do not match the config.
        """
        progress = progress or (lambda what, share: None)
        progress("reading the data", 0.0)
        contents = contents or Contents.of(sets, tokenizer, base=base)

        def learn(labels: Labels, loaded: dict[str, Splits]) -> Vocabulary:
            progress(f"{'learning' if tokenizer.kind == 'bpe' else 'loading'} the tokenizer", 0.0)
            return Learnt(_tokenizer(tokenizer, specials(sets, labels), loaded, base))

        return cls.map(prepared(sets, learn, contents, cache=cache, base=base, progress=progress))

    @classmethod
    def map(cls, folder: Path, load: Callable[[Path], AnyTokenizer] = Tokenizer.load) -> Corpus:
        """Maps the corpus that `open` prepared in a folder; reads and hashes no data, so that a worker starts fast.

        load: reads the tokenizer from its folder.
        """
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        sets = {name: map_set(folder / str(i), name, one) for i, (name, one) in enumerate(about["sets"].items())}
        tokenizer = load(folder / "tokenizer")
        said = {key: about.get(key, []) for key in ("warnings", "summary", "untested")}
        return cls(sets, tokenizer, folder, about["fingerprint"], about["counts"], **said)


def specials(sets: Mapping[str, DataSet], labels: dict[str, list[str]]) -> list[str]:
    """The special tokens: EOS, SEP, a task token for each set with prompts, and the labels ({set: sorted names})."""
    tasks = [task_token(name) for name in sorted(sets) if sets[name].has_prompts]
    return BASE_SPECIALS + tasks + [label_token(name, label) for name in sorted(labels) for label in labels[name]]


# ---------------------------------------------------------------------------------------------------------- preparation


def prepared(
    sets: Mapping[str, EncodableSet],
    learn: Learn,
    contents: Contents,
    *,
    cache: Path,
    base: Path,
    progress: Progress,
) -> Path:
    """The folder of a corpus in the cache; the corpus is prepared if the cache lacks it."""
    folder = cache / contents.fingerprint[:24]
    if not sealed.is_whole_folder(folder):
        with locked(folder.parent / f".{folder.name}.lock"):
            if not sealed.is_whole_folder(folder):  # another process may have prepared it meanwhile
                _prepare(_Work(sets, learn, folder, contents, base, progress))
    return folder


@dataclass(frozen=True)
class _Work:
    """The arguments of a preparation."""

    sets: Mapping[str, EncodableSet]
    learn: Learn
    folder: Path
    contents: Contents
    base: Path
    progress: Progress


def _prepare(work: _Work) -> None:
    """Writes the corpus to a temporary folder, and renames that folder when it is complete."""
    loaded = dict(work.contents.loaded)
    prefix = f".new-{work.folder.name}-"
    for left in work.folder.parent.glob(f"{prefix}*"):  # of a killed process: this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=work.folder.parent))  # mode 0700
    try:
        for name, data_set in work.sets.items():
            if name not in loaded:
                loaded[name] = sources.load(name, data_set, cache=staging / "library", base=work.base)
        shutil.rmtree(staging / "library", ignore_errors=True)
        _write(staging, work, loaded)
        shutil.rmtree(work.folder, ignore_errors=True)
        staging.rename(work.folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(folder: Path, work: _Work, loaded: dict[str, Splits]) -> None:
    labels = {
        name: sorted({example[LABEL] for example in splits.train})
        for name, splits in loaded.items()
        if LABEL in splits.train[0]
    }
    vocabulary = work.learn(labels, loaded)
    vocabulary.save(folder / "tokenizer")
    about: dict[str, Any] = {"fingerprint": work.contents.fingerprint, "sets": {}, "counts": {}}
    # Sorted by name: a config with its sets in another order has the same corpus.
    for i, name in enumerate(sorted(loaded)):
        work.progress(f"encoding {name}", i / len(loaded))
        names = labels.get(name, [])
        encoder = vocabulary.encoder(name, names)
        data_set, splits = work.sets[name], {}
        for part, examples in loaded[name].parts().items():
            arrays = data_set.encode(examples, encoder)
            counts = {"examples": len(examples), "tokens": len(arrays["tokens"])}
            splits[part] = write(folder / str(i), part, arrays) | counts
        ids = encoder.label_ids
        about["sets"][name] = {"task": data_set.task_name, "label_names": names, "label_ids": ids, "splits": splits}
        about["counts"][name] = {part: {k: one[k] for k in ("examples", "tokens")} for part, one in splits.items()}
    about["warnings"] = [line for name, splits in loaded.items() for line in sources.warnings(name, splits)]
    about["summary"] = [
        line
        for name, data_set in work.sets.items()
        for line in (*loaded[name].notes, summary(name, loaded[name], data_set.split))
    ]
    about["untested"] = [line for name, some in loaded.items() if (line := untested(name, some))]
    (folder / "corpus.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    sealed.seal(folder)
    work.progress("data ready", 1.0)


def _tokenizer(config: TokenizerConfig, tokens: list[str], loaded: dict[str, Splits], base: Path) -> Tokenizer:
    """The tokenizer that the config describes; a BPE is learnt from the train splits only."""
    if config.file is not None:
        return Tokenizer.from_file(paths.place(base, config.file), specials=tokens)
    if config.kind == "bytes":
        return Tokenizer.bytes(specials=tokens)
    texts = (
        text
        for name in sorted(loaded)
        for example in loaded[name].train
        for key, text in example.items()
        if key != LABEL
    )
    return Tokenizer.train(texts, vocab_size=config.vocab_size, specials=tokens)
