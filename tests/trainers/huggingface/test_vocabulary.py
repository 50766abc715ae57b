"""How data sets become tokens for each kind of model, and what decoding may choose from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from hpsearch.data.corpus import PairTokens
from hpsearch.data.truncation import Cut
from hpsearch.errors import UserError
from hpsearch.trainers.huggingface.batches import IGNORED, HalvesRows
from hpsearch.trainers.huggingface.config import PretrainedConfig
from hpsearch.trainers.huggingface.evaluator import allowed, depth, tree_of
from hpsearch.trainers.huggingface.vocabulary import PretrainedEncoder, PretrainedVocabulary
from tests.trainers.huggingface import tiny

CHAT = "{% for m in messages %}now {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}here{% endif %}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    for kind in ("encoder", "decoder", "encoder-decoder"):
        tiny.tokenizer(kind).save_pretrained(folder / kind)
    with_chat = tiny.tokenizer("decoder")
    with_chat.chat_template = CHAT
    with_chat.save_pretrained(folder / "chat")
    without_end = tiny.tokenizer("decoder")
    without_end.eos_token = None
    without_end.save_pretrained(folder / "endless")
    return folder


def encoder(base: Path, name: str, kind: str, **values: object) -> PretrainedEncoder:
    model = PretrainedConfig.model_validate({"pretrained": name, **values})
    return PretrainedVocabulary.of(model, kind, base).encoder("set", ["bad", "so so"])  # type: ignore[arg-type]


def read(of: PretrainedEncoder, tokens: np.ndarray) -> list[str]:
    return list(of.tokenizer.inner.convert_ids_to_tokens(tokens.tolist()))


def test_an_encoder_reads_its_own_form_and_answers_the_place_of_a_label(base) -> None:
    of = encoder(base, "encoder", "encoder")
    arrays = of.labelled(["the cat"], ["so so"])
    assert read(of, arrays["tokens"][:-1]) == ["[CLS]", "the", "cat", "[SEP]"]
    assert arrays["tokens"][-1] == arrays["labels"][0] == 1
    assert of.label_ids == [0, 1]


def test_a_decoder_reads_source_line_end_target_and_an_end(base) -> None:
    of = encoder(base, "decoder", "decoder", prefix="now ")
    arrays = of.labelled(["the cat"], ["so so"])
    assert read(of, arrays["tokens"]) == ["now", "the", "cat", "\n", "so", "so", "[SEP]"]
    assert arrays["prompt_lengths"].tolist() == [4]
    assert read(of, of.running_text(["the cat", "a dog"])["tokens"]) == ["[SEP]", "the", "cat", "[SEP]", "a", "dog"]


def test_an_encoder_decoder_reads_both_halves_as_its_tokenizer_writes_them(base) -> None:
    of = encoder(base, "encoder-decoder", "encoder-decoder")
    arrays = of.pairs(["the cat"], ["katze"])
    assert read(of, arrays["tokens"]) == ["the", "cat", "[SEP]", "katze", "[SEP]"]
    assert arrays["prompt_lengths"].tolist() == [3]


def test_a_chat_template_gives_the_prompt_its_form(base) -> None:
    of = encoder(base, "chat", "decoder", chat_template=True)
    assert read(of, of.pairs(["the cat"], ["katze"])["tokens"]) == ["now", "the", "cat", "here", "katze", "[SEP]"]
    with pytest.raises(UserError, match=r"model\.chat_template: decoder: the tokenizer has none; allowed: false"):
        encoder(base, "decoder", "decoder", chat_template=True)


def test_a_decoder_without_an_end_token_is_refused(base) -> None:
    with pytest.raises(UserError, match="endless: the tokenizer has no end token"):
        encoder(base, "endless", "decoder")


def test_halves_are_padded_apart_and_cut_to_the_context_each(base) -> None:
    of = encoder(base, "encoder-decoder", "encoder-decoder")
    arrays = of.pairs(["the cat", "a " * 12 + "dog"], ["katze", "hund " * 12])
    pairs = PairTokens(arrays["tokens"], arrays["starts"], arrays["prompt_lengths"], arrays["target_bytes"])
    rows = HalvesRows(pairs, context=8, device=torch.device("cpu"), cut=Cut(16, 8, "right"))
    batch = rows.batch(np.array([0, 1]))
    assert read(of, batch.tokens[0, :3]) == ["the", "cat", "[SEP]"]
    assert batch.lengths.tolist() == [3, 8]
    assert read(of, batch.tokens[1]) == ["a"] * 7 + ["[SEP]"]
    assert read(of, batch.answers[1]) == ["hund"] * 8
    assert batch.answers[0, 2:].tolist() == [IGNORED] * 6
    assert rows.n_targets(np.array([0, 1])) == len(batch.targets) == 10
    assert read(of, batch.targets[:2]) == ["katze", "[SEP]"]


def test_decoding_among_labels_follows_their_paths() -> None:
    tree = tree_of([[5, 1], [5, 6, 1], [7, 1]])
    assert allowed(tree, []) == [5, 7]
    assert allowed(tree, [5]) == [1, 6]
    assert allowed(tree, [5, 1]) == allowed(tree, [5, 1, 1]) == [1]
    assert depth(tree) == 3


def test_a_tokenizer_is_saved_and_loaded_as_it_is(base, tmp_path) -> None:
    of = encoder(base, "encoder", "encoder")
    of.tokenizer.save(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert again("the cat runs")["input_ids"] == of.tokenizer.whole(["the cat runs"])[0]
