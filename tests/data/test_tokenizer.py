"""The tokenizer: lossless, never encodes text to special tokens, learns from train only, loads in transformers."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from pathlib import Path

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from hpsearch.data import tokenizer as module
from hpsearch.data.tokenizer import BASE_SPECIALS, EOS, SEP, Tokenizer
from hpsearch.errors import DataError

SPECIALS = [*BASE_SPECIALS, "<|set:mail|>", "<|mail=ham|>", "<|mail=not ham|>"]
TEXTS = ["the cat sat on the mat", "the dog sat on the log", "that cat, that dog", "Où est la forêt ?"] * 5


def trained(vocab_size: int = 300) -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=vocab_size, specials=SPECIALS)


KINDS = {"bpe": trained, "bytes": lambda: Tokenizer.bytes(specials=SPECIALS)}


@pytest.mark.parametrize("kind", KINDS)
def test_any_unicode_text_survives_the_round_trip(kind: str) -> None:
    tokenizer = KINDS[kind]()
    draw = random.Random(0)
    anything = ["".join(chr(draw.choice([draw.randrange(1, 0xD800), draw.randrange(32, 127)])) for _ in range(99))]
    texts = [
        *anything,
        " lead",
        "trail \n",
        "\r\n\t\x00\x7f",
        "e\u0301 \u00e9 \ufeff",
        "\U0001f469\u200d\U0001f680",
        EOS,
        "",
        " ",
    ]
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(texts)] == texts


def test_bytes_are_their_own_ids_and_specials_follow() -> None:
    tokenizer = Tokenizer.bytes(specials=SPECIALS)
    text = "".join(map(chr, range(256))) + "\u20ac"
    assert tokenizer.encode([text]) == [list(text.encode())]
    assert [tokenizer.id(special) for special in SPECIALS] == [256, 257, 258, 259, 260]
    assert (tokenizer.eos_id, tokenizer.vocab_size) == (256, 261)


def test_the_vocabulary_size_counts_bytes_merges_eos_and_sep_but_not_tasks_and_labels() -> None:
    tokenizer = trained(280)
    assert tokenizer.vocab_size == 280 + 3
    assert [tokenizer.id(special) for special in SPECIALS] == [278, 279, 280, 281, 282]
    assert len(tokenizer.encode(["the cat sat"])[0]) < len("the cat sat")


def test_text_cannot_spell_a_special_token() -> None:
    tokenizer = trained()
    specials = {tokenizer.id(special) for special in SPECIALS}
    text = f"{EOS} a{SEP}b <|mail=ham|>"
    ids = tokenizer.encode([text])[0]
    assert not specials & set(ids)
    assert tokenizer.decode([tokenizer.eos_id, *ids, tokenizer.id(SEP)]) == text


def test_bytes_that_are_no_text_decode_to_replacement_characters() -> None:
    assert Tokenizer.bytes(specials=SPECIALS).decode([0x61, 0xC3, 0x62]) == "a\ufffdb"


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_document_encodes_as_if_it_were_not_cut(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = KINDS[kind]()
    draw = random.Random(1)
    text = "".join(
        draw.choice(["the cat", "a", " ", "\n", "\n\n", "\r\n", "\t", " \n", "é", "\u2028"]) for _ in range(9999)
    )
    whole = tokenizer.encode([text])[0]
    monkeypatch.setattr(module, "PIECE", 10)
    assert len(module._pieces(text)) > 50
    assert tokenizer.encode([text])[0] == whole


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_loads_again_here_and_in_transformers_with_the_same_ids(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = KINDS[kind]()
    tokenizer.save(tmp_path)
    texts = ["the cat sat , the 'dog' s mat .", " Où\n\nest ?", EOS]
    again = Tokenizer.load(tmp_path)
    assert again.encode(texts) == tokenizer.encode(texts)
    assert (again.vocab_size, again.eos_id, again.specials) == (tokenizer.vocab_size, tokenizer.eos_id, SPECIALS)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(texts[:2]).input_ids == tokenizer.encode(texts[:2])
    assert [theirs.decode(ids) for ids in tokenizer.encode(texts[:2])] == texts[:2]
    assert (len(theirs), theirs.eos_token_id, theirs.pad_token_id) == (tokenizer.vocab_size, *2 * [tokenizer.eos_id])
    assert theirs(f"<|set:mail|>a{SEP}", split_special_tokens=False).input_ids == [
        tokenizer.id("<|set:mail|>"),
        *tokenizer.encode(["a"])[0],
        tokenizer.id(SEP),
    ]


def test_a_tokenizer_of_ones_own_keeps_its_ids_and_gets_the_specials(tmp_path: Path) -> None:
    trained().save(tmp_path)
    own = Tokenizer.from_file(tmp_path / "tokenizer.json", specials=[EOS, SEP, "<|set:new|>"])
    assert own.encode(TEXTS) == trained().encode(TEXTS)
    assert own.id("<|set:new|>") == trained().vocab_size
    assert own.eos_id == trained().eos_id


UNKIND = [
    f"a{EOS}b {EOS} {SEP}{SEP}\n<|mail=ham|>",
    "<|mail=not ham|> <|set:mail|>text<|sep|>",
    EOS,
    "[MASK] <s> one [IMG]two</s>",
    "",
]


def own_file(folder: Path) -> Path:
    """A tokenizer.json as others make them: tokens of its own, a normaliser, and a template that adds a first token."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(TEXTS, trainer)
    inner.add_special_tokens(["<s>", "[MASK]"])
    # Such as a text may spell: one of them is spelt like our separator.
    inner.add_tokens([tokenizers.AddedToken(token, special=False) for token in ("[IMG]", SEP)])
    first = ("<s>", inner.token_to_id("<s>"))
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[first])
    inner.save(str(folder / "own.json"))
    return folder / "own.json"


@pytest.mark.parametrize("kind", ["bpe", "bytes", "file"])
def test_transformers_reads_a_text_that_spells_specials_as_the_training_did(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    if kind == "file":
        tokenizer = Tokenizer.from_file(own_file(tmp_path), specials=SPECIALS)
    elif kind == "bpe":
        tokenizer = Tokenizer.train([*TEXTS, *UNKIND * 99], vocab_size=400, specials=SPECIALS)
    else:
        tokenizer = Tokenizer.bytes(specials=SPECIALS)
    tokenizer.save(tmp_path / "model")
    ours = tokenizer.encode(UNKIND)
    assert not {tokenizer.id(special) for special in SPECIALS} & {i for ids in ours for i in ids}
    assert Tokenizer.load(tmp_path / "model").encode(UNKIND) == ours
    for how in ({}, {"use_fast": False}):
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model", **how)
        assert theirs(UNKIND).input_ids == ours
        assert [theirs.encode(text) for text in UNKIND] == ours
        theirs.save_pretrained(tmp_path / "again")
        again = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
        assert again(UNKIND).input_ids == ours
        assert again.convert_tokens_to_ids(SPECIALS) == [tokenizer.id(special) for special in SPECIALS]


def test_a_tokenizer_that_has_learnt_a_special_as_a_word_is_refused(tmp_path: Path) -> None:
    inner = tokenizers.Tokenizer(models.BPE())  # nothing cuts texts into words: a merge may span "<|sep|>"
    inner.train_from_iterator([f"a{SEP}b {SEP} c"] * 50, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    assert inner.encode(SEP).tokens == [SEP]
    inner.save(str(tmp_path / "own.json"))
    with pytest.raises(DataError, match=r"own\.json: the tokenizer encodes the text '<\|sep\|>' to its token \d+"):
        Tokenizer.from_file(tmp_path / "own.json", specials=SPECIALS)


def test_training_twice_gives_the_same_tokenizer(tmp_path: Path) -> None:
    for name in ("a", "b"):
        trained().save(tmp_path / name)
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tmp_path / "b" / "tokenizer.json").read_bytes()


def test_a_file_that_is_no_tokenizer_and_specials_spelt_alike_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(DataError, match=r"tokenizer\.json: not a tokenizer\.json"):
        Tokenizer.from_file(tmp_path / "tokenizer.json", specials=SPECIALS)
    with pytest.raises(DataError, match="no such file"):
        Tokenizer.from_file(tmp_path / "gone.json", specials=SPECIALS)
    with pytest.raises(DataError, match="spelt alike"):
        Tokenizer.bytes(specials=[EOS, SEP, SEP])
    with pytest.raises(DataError, match=r"no token '<\|nobody\|>'"):
        trained().id("<|nobody|>")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_child_encodes_without_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    tokenizer = trained()
    tokenizer.encode(TEXTS)
    child = os.fork()
    if child == 0:
        os._exit(0 if tokenizer.encode(TEXTS) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert capfd.readouterr().err == ""


# ---------------------------------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_of_a_texts_first_tokens_are_those_of_their_pieces(kind: str) -> None:
    tokenizer = KINDS[kind]()
    text = "the cat, o\u00f9 est la for\u00eat \u20ac \U0001f680"
    (ids,) = tokenizer.encode([text])
    lengths = [tokenizer.n_bytes(text, ids[:n]) for n in range(len(ids) + 1)]
    assert (lengths[0], lengths[-1]) == (0, len(text.encode()))
    assert all(a < b for a, b in itertools.pairwise(lengths))
    if kind == "bytes":
        assert lengths == list(range(len(ids) + 1))


def test_the_bytes_of_tokens_of_a_normalising_tokenizer_are_those_of_the_text_as_it_was(tmp_path: Path) -> None:
    words = {word: i for i, word in enumerate(["[UNK]", "un", "deja", "##vu", "foret"])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(words, unk_token="[UNK]"))
    inner.normalizer = tokenizers.normalizers.BertNormalizer()  # lower case, without accents
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.save(str(tmp_path / "own.json"))
    tokenizer = Tokenizer.from_file(tmp_path / "own.json", specials=SPECIALS)
    text = "Un D\u00e9j\u00e0VU, for\u00eat"
    (ids,) = tokenizer.encode([text])
    assert [tokenizer.n_bytes(text, ids[:n]) for n in range(len(ids) + 1)] == [
        len(part.encode())
        for part in ("", "Un", "Un D\u00e9j\u00e0", "Un D\u00e9j\u00e0VU", "Un D\u00e9j\u00e0VU,", text)
    ]
