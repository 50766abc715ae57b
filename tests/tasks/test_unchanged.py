"""Fingerprints and digests that must not change: studies and caches of earlier versions depend on them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hpsearch.training.evaluation import Evaluator
from tests.training.tiny import MIXED, model, opened, rows, tiny

FINGERPRINT = "b2ff285f17805dcf29886bbb887671ad2940b2ee26be54940cfb720b94724e12"
CORPUS_DIGEST = "71fbf3b8a9581c6d5f1c116c444f771bfc075dcc630b412cf1e9abd0b8c7612e"
DIGEST = "5fefc2a4c183a7f68f92a3a11c1e54015091eb9f65765e3c3ce21b76c38d37a1"
FILES = "2b884ee12adbb82230563cc0f4975cdb5424525774e4fbe96895cce68340482f"
METRICS = {
    "accuracy": 0.25,
    "bits_per_byte": 10.095516563047726,
    "bleu": 0.0,
    "chrf": 0.0,
    "exact_match": 0.0,
    "f1": 0.4,
    "f1_macro": 0.2,
    "f1_micro": 0.25,
    "f1_weighted": 0.2,
    "loss": 7.376785596391148,
    "loss_stderr": 0.09686934586918185,
    "mcc": -0.5773502691896258,
    "perplexity": 1598.4434586841646,
    "precision": 0.3333333333333333,
    "recall": 0.5,
    "ter": 100.0,
    "moods/loss": 7.867738366127014,
    "moods/loss_stderr": 0.32469487249706785,
    "moods/perplexity": 2611.6523025525667,
    "moods/bits_per_byte": 2.8376867809558197,
    "moods/f1_macro": 0.2,
    "moods/f1_micro": 0.25,
    "moods/f1_weighted": 0.2,
    "moods/accuracy": 0.25,
    "moods/mcc": -0.5773502691896258,
    "moods/precision": 0.3333333333333333,
    "moods/recall": 0.5,
    "moods/f1": 0.4,
    "pairs/loss": 7.1539482603202,
    "pairs/loss_stderr": 0.1534196917947455,
    "pairs/perplexity": 1279.1464011084793,
    "pairs/bits_per_byte": 10.320965677940178,
    "pairs/bleu": 0.0,
    "pairs/chrf": 0.0,
    "pairs/ter": 100.0,
    "pairs/exact_match": 0.0,
    "text/loss": 7.478013134999558,
    "text/loss_stderr": 0.1259668680494288,
    "text/perplexity": 1768.7230685242032,
    "text/bits_per_byte": 10.788492465566392,
}
MOODS = {"task": "classification", "labels": ["cold", "warm"], "confusion": [[0, 4], [2, 2]]}
DATA = {**MIXED, "moods": {**MIXED["moods"], "positive": "warm", "truncate": "middle"}}


def test_the_fingerprint_of_a_corpus_is_that_of_earlier_versions(tmp_path: Path, corpus_files: Path) -> None:
    corpus = opened(tiny(DATA), tmp_path)
    assert corpus.fingerprint == FINGERPRINT
    assert tiny(DATA).corpus_digest() == CORPUS_DIGEST
    assert tiny(DATA).digest() == DIGEST


def test_the_files_of_a_corpus_are_those_of_earlier_versions(tmp_path: Path, corpus_files: Path) -> None:
    folder = opened(tiny(DATA), tmp_path).folder
    files = [folder / "corpus.json", *sorted(folder.rglob("*.npy"))]
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes())
    assert digest.hexdigest() == FILES


def test_the_metrics_of_an_untrained_model_are_those_of_earlier_versions(tmp_path: Path, corpus_files: Path) -> None:
    config = tiny(DATA)
    corpus = opened(config, tmp_path)
    measured = Evaluator(corpus, rows(config, tmp_path, "valid"), config, sample=2).measure(model(config, corpus))
    assert list(measured.metrics) == list(METRICS)
    assert measured.metrics == pytest.approx(METRICS, rel=1e-6)
    assert {name: found["task"] for name, found in measured.samples.items()} == {
        "pairs": "translation",
        "moods": "classification",
    }
    assert measured.samples["moods"] == MOODS
