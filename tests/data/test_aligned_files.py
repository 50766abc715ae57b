"""Two files of aligned lines: pairs by line number; whatever would shift the pairs is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.data import sources
from hpsearch.tasks import TranslationSet
from tests.data.forms import a_set, loaded, refusal, train

PAIR = {"source": "train.de", "target": "train.en"}


def write(folder: Path, source: str, target: str) -> None:
    (folder / "train.de").write_bytes(source.encode())
    (folder / "train.en").write_bytes(target.encode())


def test_lines_go_together_by_their_number(tmp_path: Path) -> None:
    write(tmp_path, 'eins\t"\r\n\n zwei\u2028drei\x85\nvier', "one\n\n two\x0cthree\nfour\n\n")
    assert train(tmp_path, "translation", PAIR) == [
        ('eins\t"', "one"),
        (" zwei\u2028drei\x85", " two\x0cthree"),  # Python's splitlines would have shifted them
        ("vier", "four"),
    ]


def test_unequal_numbers_of_lines_are_refused_with_both(tmp_path: Path) -> None:
    write(tmp_path, "a\n" * 200, "b\n" * 199)
    assert refusal(tmp_path, a_set("translation", PAIR)) == (
        "train.de has 200 lines, train.en has 199: line i of one translates line i of the other"
    )
    assert "has 200 lines" in refusal(tmp_path, a_set("translation", PAIR, skip_bad_rows=True))


def test_a_line_that_is_blank_on_one_side_is_refused_or_skipped(tmp_path: Path) -> None:
    write(tmp_path, "a\n \nc\nd\n", "A\nB\nC\nD\n")
    said = "train.de:2: the line is blank, its partner train.en:2 is not"
    assert refusal(tmp_path, a_set("translation", PAIR)) == said
    splits = loaded(tmp_path, a_set("translation", PAIR, skip_bad_rows=True))
    assert [tuple(example.values()) for example in splits.train] == [("a", "A"), ("c", "C"), ("d", "D")]
    (warning,) = splits.warnings
    assert warning.startswith("data.mine: 2 of 8 rows skipped: ")  # train and valid are the same here


def test_several_files_a_side_go_together_one_by_one(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.de").write_text(f"{i} eins\n{i} zwei\n")
        (tmp_path / f"{i}.en").write_text(f"{i} one\n{i} two\n")
    pair = {"source": "*.de", "target": "*.en"}
    assert train(tmp_path, "translation", pair)[3] == ("1 zwei", "1 two")
    assert loaded(tmp_path, a_set("translation", pair)).notes[0] == (
        "data.mine: train from 3 files: 0.de with 0.en, 1.de with 1.en, 2.de with 2.en"
    )
    assert "3 source files, 1 target files" in refusal(tmp_path, a_set("translation", {**pair, "target": "0.en"}))


WRONG = {
    "a list": {"files": {"train": ["train.de", "train.en"]}},
    "braces": {"files": {"train": "train.{de,en}"}},
    "a prefix": {"files": {"train": "train"}, "source": "de", "target": "en"},
    "one side": {"files": {"train": "train.de"}},
    "a folder": {"dataset": ".", "source": "de", "target": "en"},
    "no split": {"files": {"source": "train.de", "target": "train.en"}},
    "sides with splits": {"files": {"source_train": "train.de", "target_train": "train.en"}},
    "no files": {"source": "train.de", "target": "train.en"},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_other_spellings_are_answered_with_the_right_one(tmp_path: Path, given: dict[str, object]) -> None:
    write(tmp_path, "a\nb\n", "A\nB\n")
    with pytest.raises((ValueError, sources.DataError)) as caught:
        loaded(tmp_path, TranslationSet.model_validate({"task": "translation", **given}))
    assert "files: {train: {source: train.de, target: train.en}}" in str(caught.value)


def test_the_fingerprint_follows_both_files(tmp_path: Path) -> None:
    write(tmp_path, "a\nb\n", "A\nB\n")
    one = sources.fingerprint("x", a_set("translation", PAIR), base=tmp_path)
    write(tmp_path, "A\nB\n", "a\nb\n")
    other = sources.fingerprint("x", a_set("translation", PAIR), base=tmp_path)
    write(tmp_path, "a\nb\n", "A\nC\n")
    assert len({one, other, sources.fingerprint("x", a_set("translation", PAIR), base=tmp_path)}) == 3
