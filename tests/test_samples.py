"""The sample data sets are large, fast, reproducible and split without leaks."""

from __future__ import annotations

import hashlib
import importlib
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch import samples
from hpsearch.data import sources
from hpsearch.errors import DataError
from hpsearch.tasks import ClassificationSet, TextSet

NEEDS = {"interface_messages": "jupyterlab_language_pack_fr_FR", "emoji_names": "emoji"}
AT_LEAST = {"python_reference": 800, "stdlib_prose": 8000, "stdlib_chapters": 3000, "interface_messages": 1500}
AT_LEAST["emoji_names"] = 3000


@pytest.fixture(params=AT_LEAST)
def sample(request: pytest.FixtureRequest) -> tuple[str, dict[str, list[Any]]]:
    name: str = request.param
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return name, getattr(samples, name)()


def test_every_sample_is_large_clean_and_split_80_10_10(sample: tuple[str, dict[str, list[Any]]]) -> None:
    name, parts = sample
    sizes = {part: len(examples) for part, examples in parts.items()}
    assert list(sizes) == ["train", "valid", "test"]
    total = sum(sizes.values())
    assert total >= AT_LEAST[name]
    assert 0.75 < sizes["train"] / total < 0.85
    assert min(sizes["valid"], sizes["test"]) > 0.07 * total
    values = [
        value for part in parts.values() for example in part for value in ([example] if name in TEXTS else example)
    ]
    assert all(value == " ".join(value.split()) != "" for value in values)


TEXTS = ("python_reference", "stdlib_prose")


def test_no_eight_words_in_a_row_of_valid_or_test_are_in_train(sample: tuple[str, dict[str, list[Any]]]) -> None:
    name, parts = sample
    texts = {part: [e if name in TEXTS else e[0] for e in examples] for part, examples in parts.items()}
    seen = {run for text in texts["train"] for run in _runs(text)}
    for part in ("valid", "test"):
        assert not set(texts[part]) & set(texts["train"])
        if name != "emoji_names":  # long names there are lists of the same few words
            assert not seen & {run for text in texts[part] for run in _runs(text)}


def _runs(text: str, n: int = 8) -> set[tuple[str, ...]]:
    words = "".join(c if c.isalpha() else " " for c in text.casefold()).split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_tone_variants_of_an_emoji_are_in_one_split() -> None:
    pytest.importorskip("emoji")
    side: dict[str, set[str]] = {}
    for part, pairs in samples.emoji_names().items():
        for source, _ in pairs:
            if source.endswith("skin tone") and source.count("skin tone") == 1:
                bare = source.removesuffix(" skin tone").rsplit(" ", 1)[0].removesuffix(" medium")
                side.setdefault(bare.rsplit(" medium-", 1)[0], set()).add(part)
    assert len(side) > 50
    assert all(len(parts) == 1 for parts in side.values())


def test_samples_are_reproducible() -> None:
    def digest(function: Callable[[], object]) -> str:
        return hashlib.sha256(repr(function()).encode()).hexdigest()

    for function in (samples.python_reference, samples.stdlib_chapters):
        once = digest(function)
        samples._sources.cache_clear()
        assert digest(function) == once


def test_the_largest_takes_seconds() -> None:
    samples._sources.cache_clear()
    start = time.process_time()
    samples.stdlib_prose()
    assert time.process_time() - start < 6  # 1 s on a desktop; a reader that parses took 5


def test_the_chapters_are_eight_and_none_is_rare() -> None:
    counts = Counter(label for _, label in samples.stdlib_chapters()["train"])
    assert set(counts) == set(samples.CHAPTERS)
    assert min(counts.values()) > 100


def test_translations_are_not_copies_and_hold_no_code() -> None:
    pytest.importorskip("jupyterlab_language_pack_fr_FR")
    pairs = samples.interface_messages()["train"]
    assert all(source != target and not set("{}<>%`") & set(source) for source, target in pairs)
    assert ("Jupyter Notebook Shortcuts", "Raccourcis Jupyter Notebook") in [
        p for v in samples.interface_messages().values() for p in v
    ]


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"jupyterlab-language-pack-xx-XX is missing: pip install jupyterlab-language-pack-xx-XX$"
    ):
        samples.interface_messages("xx_XX")
    monkeypatch.setattr(importlib, "import_module", _not_installed)
    with pytest.raises(DataError, match=r"pip install emoji$"):
        samples.emoji_names()


def _not_installed(name: str) -> object:
    raise ImportError(name)


def test_the_samples_load_as_sets_of_a_config() -> None:
    base = Path()
    reference = TextSet(task="text", dataset="python:hpsearch.samples:python_reference")
    assert sources.load("reference", reference, cache=None, base=base).train[0].keys() == {"text"}
    chapters = ClassificationSet(task="classification", dataset="python:hpsearch.samples:stdlib_chapters")
    splits = sources.load("chapters", chapters, cache=None, base=base)
    assert [line for line in sources.warnings("chapters", splits) if "also in" in line] == []
