"""Text to token ids and back, without loss; the only file that imports the `tokenizers` library."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from hpsearch.errors import DataError
from hpsearch.output.error_lines import first_line
from hpsearch.system.atomic import write_atomically

EOS = "<|endoftext|>"  # between documents, at the end of a translation, and padding
SEP = "<|sep|>"  # between a prompt and its target
BASE_SPECIALS = [EOS, SEP]

PARALLELISM = "TOKENIZERS_PARALLELISM"
WANTED = os.environ.get(PARALLELISM)  # the user's setting, which is kept
HOME = os.getpid()  # a forked child has no threads of the library and must not use them
PIECE = 1 << 16  # characters; longer documents are encoded in pieces
# The byte-level pre-tokenizer always splits between a single newline and a word, so cutting there changes no token.
CUT = re.compile(r"(?<=\S\n)(?=\S)")


class AnyTokenizer(Protocol):
    """What tasks, evaluation and export need of a tokenizer, also of one that is not ours."""

    vocab_size: int
    eos_id: int  # ends a decoded text

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without special tokens."""

    def n_bytes(self, text: str, ids: Sequence[int]) -> int:
        """The number of UTF-8 bytes of the text that its first tokens, `ids`, cover."""

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's files into the folder."""


class Tokenizer:
    """A byte-level tokenizer plus special tokens, which no text encodes to.

    Special tokens take the ids after the tokenizer's own, in the order given; the first is EOS.
    """

    def __init__(self, inner: tokenizers.Tokenizer, specials: list[str], *, cuttable: bool = False) -> None:
        if len(set(specials)) < len(specials):
            raise DataError(f"two special tokens are spelt alike among: {', '.join(specials)}")
        known = [special for special in specials if inner.token_to_id(special) is not None]
        inner.add_special_tokens([tokenizers.AddedToken(s, special=True, normalized=False) for s in specials])
        inner.encode_special_tokens = True  # "<|sep|>" in a text is encoded as characters, not as the separator
        inner.post_processor = None  # of a tokenizer.json: transformers would add tokens that the training has not seen
        _refuse_spelt(inner, known)
        self._inner = inner
        self._cuttable = cuttable
        self.specials = list(specials)
        self.eos_id = self.id(EOS)
        self.vocab_size = max(inner.get_vocab(with_added_tokens=True).values()) + 1

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int, specials: list[str]) -> Tokenizer:
        """A byte-level BPE learnt from the texts.

        vocab_size: bytes, merges, EOS and SEP; other specials are added on top. Short texts yield a smaller vocabulary.
        """
        inner = _byte_level(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=max(256, vocab_size - len(BASE_SPECIALS)),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        with _parallel():
            inner.train_from_iterator((piece for text in texts for piece in _pieces(text)), trainer)
        return cls(inner, specials, cuttable=True)

    @classmethod
    def bytes(cls, *, specials: list[str]) -> Tokenizer:
        """A token for every byte; the id of a byte is its value."""
        vocabulary = {character: byte for byte, character in enumerate(_byte_characters())}
        return cls(_byte_level(models.BPE(vocab=vocabulary, merges=[])), specials, cuttable=True)

    @classmethod
    def from_file(cls, path: Path, *, specials: list[str]) -> Tokenizer:
        """Loads a tokenizer.json of the `tokenizers` library; raises DataError if it is invalid."""
        if not path.is_file():
            raise DataError(f"{path}: no such file, a tokenizer.json is expected")
        try:
            inner = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise DataError(f"{path}: not a tokenizer.json ({first_line(error)})") from None
        inner.no_padding()
        inner.no_truncation()
        try:
            return cls(inner, specials)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Loads what `save` wrote."""
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        tokenizer = cls.from_file(folder / "tokenizer.json", specials=config["hpsearch_specials"])
        tokenizer._cuttable = config["hpsearch_cuttable"]
        return tokenizer

    def id(self, special: str) -> int:
        """The id of a token of the vocabulary, special or not; raises DataError if it is unknown."""
        found = self._inner.token_to_id(special)
        if found is None:
            raise DataError(f"the tokenizer has no token {special!r}")
        return int(found)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, without special tokens."""
        return list(self.encode_each(texts))

    def encode_each(self, texts: Iterable[str], *, batch: int = 1024) -> Iterator[list[int]]:
        """Yields the ids of each text, encoding a batch of texts at a time."""
        waiting: list[str] = []
        for text in texts:
            waiting.append(text)
            if len(waiting) == batch or len(text) > PIECE:
                yield from self._encode_batch(waiting)
                waiting = []
        yield from self._encode_batch(waiting)

    def _encode_batch(self, texts: list[str]) -> list[list[int]]:
        pieces = [_pieces(text) if self._cuttable else [text] for text in texts]
        flat = [piece for some in pieces for piece in some]
        with _parallel():
            encoded = iter(self._inner.encode_batch_fast(flat, add_special_tokens=False))
        return [[i for _ in some for i in next(encoded).ids] for some in pieces]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without special tokens; invalid UTF-8 becomes U+FFFD."""
        return str(self._inner.decode(list(ids), skip_special_tokens=True))

    def n_bytes(self, text: str, ids: Sequence[int]) -> int:
        """The number of UTF-8 bytes of the text that its first tokens, `ids`, cover."""
        if isinstance(self._inner.decoder, decoders.ByteLevel) and self._inner.normalizer is None:
            return sum(len(self._inner.id_to_token(i) or "") for i in ids)  # byte-level: one character per byte
        places = self._inner.encode(text, add_special_tokens=False).offsets[: len(ids)]
        return len(text[: max((end for _, end in places), default=0)].encode())

    def save(
        self,
        folder: Path,
        *,
        markers: tuple[str, str] = ("", ""),
        longest: int | None = None,
        truncate: str = "right",
    ) -> None:
        """Writes what `load` and `transformers.AutoTokenizer.from_pretrained` read.

        markers: special tokens that transformers puts before and after each text (`load` ignores them); longest: tokens
        of a text at most, markers included; truncate: the side that a longer text loses where transformers truncates.
        """
        folder.mkdir(parents=True, exist_ok=True)
        inner = json.loads(self._inner.to_str()) | {"post_processor": self._template(markers)}
        write_atomically(folder / "tokenizer.json", json.dumps(inner, ensure_ascii=False, indent=2).encode())
        named = {"eos_token": EOS, "pad_token": EOS}
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,  # transformers encodes the spelling of a special token as characters, too
            "hpsearch_specials": self.specials,
            "hpsearch_cuttable": self._cuttable,
            **({} if longest is None else {"model_max_length": longest, "truncation_side": truncate}),
            **named,
        }
        for name, content in (("tokenizer_config.json", config), ("special_tokens_map.json", named)):
            (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def _template(self, markers: tuple[str, str]) -> dict[str, Any] | None:
        """The post-processor that puts the markers around a text; None without markers."""
        if not any(markers):
            return None
        before, after = ({"SpecialToken": {"id": marker, "type_id": 0}} for marker in markers)
        text, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
        return {
            "type": "TemplateProcessing",
            "single": [before, text, after],
            "pair": [before, text, after, second],
            "special_tokens": {m: {"id": m, "ids": [self.id(m)], "tokens": [m]} for m in markers},
        }


def _refuse_spelt(inner: tokenizers.Tokenizer, specials: list[str]) -> None:
    """Raises DataError if a text encodes to a special token, because the vocabulary contains its spelling."""
    for special in specials:
        spelt = [special, f" {special}", f"{special} ", f"a{special}a", special * 2, f"\n{special}\n"]
        id_ = inner.token_to_id(special)
        if any(id_ in inner.encode(text, add_special_tokens=False).ids for text in spelt):
            raise DataError(
                f"the tokenizer encodes the text {special!r} to its token {id_}, which is reserved: "
                "remove it from the vocabulary, or train a tokenizer without such texts"
            )


def _byte_level(model: models.Model) -> tokenizers.Tokenizer:
    """No normalisation and no prefix space, so that decoding returns the original text."""
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return inner


def _byte_characters() -> list[str]:
    """The character for each byte in GPT-2's byte-level BPE; printable bytes stand for themselves."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _pieces(text: str) -> list[str]:
    """Cuts the text where no token can cross, into pieces of a little over PIECE characters."""
    if len(text) <= 2 * PIECE:
        return [text]
    found, start = [], 0
    while cut := CUT.search(text, start + PIECE):
        found.append(text[start : cut.start()])
        start = cut.start()
    return [*found, text[start:]]


@contextmanager
def _parallel() -> Iterator[None]:
    """Uses all cores inside (not in a forked child, which would hang); outside, the library is silent about forks."""
    os.environ[PARALLELISM] = (WANTED or "true") if os.getpid() == HOME else "false"
    try:
        yield
    finally:
        os.environ[PARALLELISM] = WANTED or "false"
