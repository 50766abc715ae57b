"""Baselines of the tasks against values worked out by hand or by another library."""

import csv
import json
import math
import random

import numpy as np
import pytest
from sacrebleu import corpus_bleu, corpus_chrf
from sklearn.metrics import f1_score

from hpsearch.contract import WorkerSettings
from hpsearch.tasks import bag_of_words, compression, trivial
from hpsearch.tasks.baseline import sampled
from hpsearch.tasks.measure import sample_rows
from hpsearch.trainers.causal_lm.baselines import baselines
from hpsearch.training.evaluation import Evaluator
from tests.training.tiny import MIXED, MOODS, PAIRS, TEXT, model, opened, rows, tiny

MAJORITY, WORDS = "the majority class", "TF-IDF with logistic regression"
FREQUENCIES, COMPRESSOR = "the frequencies of the tokens", "the better compressor of bz2 and lzma"


def found(config, folder):
    """The metrics of each baseline by its name."""
    settings = WorkerSettings("cpu", 1, folder / "cache", folder)
    return {one.name: one.measure() for one in baselines(config, settings)}


def probabilities(*arguments):
    """Those of all valid texts at once."""
    return np.concatenate(list(bag_of_words.probabilities(*arguments)))


def moods(folder, train, valid):
    (folder / "data").mkdir(exist_ok=True)
    for part, examples in {"train": train, "valid": valid}.items():
        with (folder / "data" / f"{part}.tsv").open("w", newline="") as file:
            csv.writer(file, delimiter="\t").writerows([("sentence", "mood"), *examples])
    files = {part: f"data/{part}.tsv" for part in ("train", "valid")}
    return {"moods": {**MOODS, "files": files, "split": {"test": 0}}}


def test_the_majority_class_by_hand(tmp_path):
    train = [(f"red {i}", "warm") for i in range(3)] + [("blue", "cold")]
    config = tiny(moods(tmp_path, train, [("a", "warm"), ("b", "warm"), ("c", "cold"), ("d", "warm")]))
    metrics = found(config, tmp_path)[MAJORITY]
    assert metrics["val/accuracy"] == 3 / 4
    assert metrics["val/f1_macro"] == pytest.approx((6 / 7 + 0) / 2)  # warm: precision 3/4, recall 1
    assert metrics["val/mcc"] == 0
    assert metrics["val/loss"] == pytest.approx(-(3 * math.log(3 / 4) + math.log(1 / 4)) / 4)
    assert metrics["val/bits_per_byte"] == pytest.approx(4 * metrics["val/loss"] / math.log(2) / 16)  # 4 bytes a label


def test_words_tell_the_labels_apart_which_the_majority_cannot(tmp_path):
    examples = [(f"it is {'red' if i % 3 else 'blue'} today {i}", "warm" if i % 3 else "cold") for i in range(60)]
    metrics = found(tiny(moods(tmp_path, examples[:40], examples[40:])), tmp_path)
    assert metrics[WORDS]["val/f1_macro"] == metrics[WORDS]["val/accuracy"] == 1
    assert metrics[WORDS]["val/loss"] < 0.2 < metrics[MAJORITY]["val/loss"]
    assert metrics[MAJORITY]["val/f1_macro"] < 0.5


def test_words_are_scored_as_the_models_are(tmp_path):
    draw = random.Random(1)
    examples = [(" ".join(draw.choices("abcdef", k=4)), draw.choice(["warm", "cold"])) for _ in range(90)]
    train, valid = examples[:60], examples[60:]
    metrics = found(tiny(moods(tmp_path, train, valid)), tmp_path)[WORDS]
    places = [["cold", "warm"].index(label) for _, label in examples]
    guessed = probabilities([t for t, _ in train], places[:60], [t for t, _ in valid], 2).argmax(1)
    assert metrics["val/f1_macro"] == pytest.approx(f1_score(places[60:], guessed, average="macro"))


@pytest.mark.parametrize(
    ("texts", "valid"),
    [(["今天很热今天", "今天很冷今天"] * 8, ["昨天很热", "昨天很冷"]), (["a", "b"] * 8, ["a", "b"])],
    ids=["without spaces", "single letters"],
)
def test_texts_of_any_script_have_features(texts, valid):
    assert probabilities(texts, [0, 1] * 8, valid, 2).argmax(1).tolist() == [0, 1]


def test_a_label_that_the_sample_lacks_has_no_probability():
    [found] = probabilities(["a b", "c d"] * 4, [0, 2] * 4, ["a b"], 3)
    assert found[1] == 0
    assert found.sum() == pytest.approx(1)


def test_large_splits_are_read_in_parts(tmp_path, corpus_files, monkeypatch):
    config = tiny({"text": TEXT, "moods": MOODS})
    whole = found(config, tmp_path)
    monkeypatch.setattr(bag_of_words, "AT_ONCE", 3)
    monkeypatch.setattr(trivial, "AT_ONCE", 7)
    parts = found(config, tmp_path)
    assert {name: pytest.approx(metrics) for name, metrics in whole.items()} == parts


def test_the_frequencies_of_the_tokens_by_hand(tmp_path):
    (tmp_path / "data").mkdir()
    for part, text in {"train": "aaab", "valid": "abc"}.items():
        (tmp_path / "data" / f"{part}.txt").write_text(text)
    config = tiny({"text": {**TEXT, "files": {"train": "data/train.txt", "valid": "data/valid.txt"}}})
    vocabulary = opened(config, tmp_path).tokenizer.vocab_size
    total = 5 + vocabulary  # four bytes and an end token; each token of the vocabulary counts once more
    nll = -sum(math.log(count / total) for count in (3 + 1, 1 + 1, 0 + 1))
    metrics = found(config, tmp_path)[FREQUENCIES]
    assert metrics["val/loss"] == pytest.approx(nll / 3)
    assert metrics["val/bits_per_byte"] == pytest.approx(nll / math.log(2) / 3)
    assert metrics["val/perplexity"] == pytest.approx(math.exp(nll / 3))


def test_a_compressor_that_has_seen_the_text_needs_nearly_nothing():
    text = random.Random(0).randbytes(20_000)
    assert compression.bits_per_byte(text, text) < 0.1
    assert compression.bits_per_byte(text, random.Random(1).randbytes(20_000)) == pytest.approx(8, abs=0.2)


def test_lzma_remembers_further_than_bz2_and_bz2_predicts_better():
    text, far = random.Random(0).randbytes(20_000), random.Random(1).randbytes(2_000_000)
    assert compression._by_lzma(text + far, text) < 500
    assert compression._by_bz2(text + far, text) > 19_000
    few = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "small", "dog"]
    words = " ".join(random.Random(2).choices(few, k=9000)).encode()
    assert compression._by_bz2(words[:30_000], words[30_000:]) < compression._by_lzma(words[:30_000], words[30_000:])


def test_all_bytes_of_a_split_are_compressed_or_an_even_sample(tmp_path, corpus_files):
    config = tiny({"text": TEXT})
    corpus = opened(config, tmp_path)
    train, text = corpus.sets["text"].splits["train"], (corpus_files / "train.txt").read_bytes()
    assert compression.text_of(train, corpus.tokenizer, 10**6) == text
    assert len(compression.text_of(train, corpus.tokenizer, 100)) == pytest.approx(100, abs=2)


def test_a_large_text_is_sampled_from_its_beginning_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "TOKENS", 10)
    (tmp_path / "data").mkdir()
    text = "".join(f"{i:09d}." for i in range(50))
    for part in ("train", "valid"):
        (tmp_path / "data" / f"{part}.txt").write_text(text)
    config = tiny({"text": {**TEXT, "files": {"train": "data/train.txt", "valid": "data/valid.txt"}}})
    corpus = opened(config, tmp_path)
    found = compression.text_of(corpus.sets["text"].splits["train"], corpus.tokenizer, 50).decode()
    starts = [0, 100, 200, 300, 400]  # of tokens, the first of which is the end token before the text
    assert found == "".join(text[max(0, start - 1) : start + 9] for start in starts)


def test_the_compressor_has_the_losses_of_a_model(tmp_path, corpus_files):
    config = tiny({"text": TEXT})
    seen, text = ((corpus_files / f"{part}.txt").read_bytes() for part in ("train", "valid"))
    metrics, bits = found(config, tmp_path)[COMPRESSOR], compression.bits_per_byte(seen, text)
    assert metrics["val/bits_per_byte"] == pytest.approx(bits)
    assert metrics["val/loss"] == pytest.approx(bits * math.log(2))  # bytes: a token each, but the first is an end


def test_a_copy_is_scored_on_the_examples_that_are_decoded(tmp_path, corpus_files):
    config = tiny({"pairs": PAIRS}, evaluation={"decode_sample": 5, "bleu_tokenize": "13a"})
    pairs = opened(config, tmp_path).sets["pairs"].splits["valid"]
    chosen = sample_rows(len(pairs), 5)
    sources, references = ([one[i] for i in chosen] for one in (pairs.sources, pairs.references))
    metrics = found(config, tmp_path)["a copy of the source"]
    assert metrics["val/bleu"] == pytest.approx(corpus_bleu(sources, [references]).score, abs=1e-9)
    assert metrics["val/chrf"] == pytest.approx(corpus_chrf(sources, [references]).score)
    assert metrics["val/exact_match"] == 0
    assert "val/loss" not in metrics


def test_their_metrics_are_those_of_an_evaluation(tmp_path, corpus_files):
    config = tiny(MIXED)
    measured = Evaluator(opened(config, tmp_path), rows(config, tmp_path, "valid"), config, sample=2)
    names = measured.measure(model(config, opened(config, tmp_path))).validated()
    metrics = found(config, tmp_path)
    assert len(metrics) == 5
    assert {name for one in metrics.values() for name in one} <= set(names)
    assert set(metrics[WORDS]) == {name for name in names if name.startswith("val/moods/") and "stderr" not in name}
    assert json.loads(json.dumps(metrics)) == metrics


def test_a_sample_is_noted():
    assert sampled(10, 20, "examples") == ""
    assert sampled(100_000, 20_000, "examples") == "learnt from 20,000 of 100,000 examples"
