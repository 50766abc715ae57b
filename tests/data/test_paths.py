"""Paths of a config: variables, globs, folders, hints of similar names; which files of a folder are which split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.forms import a_set, loaded, refusal, train


def write(folder: Path, *names: str, text: str = "{name}\n") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.format(name=name))


def table(folder: Path, *names: str) -> None:
    write(folder, *names, text="text,label\n{name},x\nother,y\n")


@pytest.mark.parametrize("path", ["$DATA/a.txt", "${DATA}/a.txt", "$DATA/*.txt", "$DATA", "~/a.txt"])
def test_variables_of_the_environment_and_the_home_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    write(tmp_path, "in/a.txt")
    monkeypatch.setenv("DATA", str(tmp_path / "in"))
    monkeypatch.setenv("HOME", str(tmp_path / "in"))
    assert train(tmp_path, "text", path) == [("in/a.txt\n",)]


def test_a_variable_that_is_not_set_is_named_and_a_file_with_such_a_name_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    said = refusal(tmp_path, a_set("text", "${NOWHERE}/a.txt"))
    assert said == "${NOWHERE}/a.txt: the environment variable NOWHERE is not set"
    write(tmp_path, "a$NOWHERE.txt")
    assert train(tmp_path, "text", "a$NOWHERE.txt") == [("a$NOWHERE.txt\n",)]


GLOBS: dict[str, tuple[Any, list[str]]] = {
    "a folder": ("in", ["in/10.txt", "in/2.txt", "in/b.txt"]),
    "a glob": ("in/*.txt", ["in/10.txt", "in/2.txt", "in/b.txt"]),
    "a glob over folders": ("**/*.txt", ["in/10.txt", "in/2.txt", "in/b.txt", "in/deep/c.txt"]),
    "a list": (["in/b.txt", "in/deep/*", "in/[0-9]*"], ["in/b.txt", "in/deep/c.txt", "in/10.txt", "in/2.txt"]),
}


@pytest.mark.parametrize(("named", "files"), GLOBS.values(), ids=GLOBS)
def test_folders_and_globs_give_their_files_in_the_order_of_their_names(
    tmp_path: Path, named: Any, files: list[str]
) -> None:
    write(tmp_path, "in/b.txt", "in/10.txt", "in/2.txt", "in/.hidden.txt", "in/deep/c.txt")
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    (tmp_path / "in" / "gone.txt").symlink_to("nowhere")
    (tmp_path / "in" / "empty.txt").touch()
    splits = loaded(tmp_path, a_set("text", named))
    assert [e["text"].strip() for e in splits.train] == files
    names = ", ".join(Path(name).name for name in files)
    assert splits.notes[0] == f"data.mine: train from {len(files)} files: {names}"


def test_a_glob_without_a_file_a_folder_without_data_and_one_of_several_kinds_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "in/a.xls")
    (tmp_path / "none").mkdir()
    assert "*.txt: no file has a name like this" in refusal(tmp_path, a_set("text", "in/*.txt"))
    assert "no file of data in it" in refusal(tmp_path, a_set("text", "none"))
    table(tmp_path, "in/a.csv", "in/b.csv")
    assert train(tmp_path, "classification", "in")[2] == ("in/b.csv", "x")
    write(tmp_path, "in/c.jsonl")
    assert "files of several kinds (csv, jsonl) in it" in refusal(tmp_path, a_set("classification", "in"))


def test_a_missing_file_is_answered_with_a_near_name(tmp_path: Path) -> None:
    table(tmp_path, "reviews.csv")
    said = "reveiws.csv: no such file, a data file is expected; did you mean 'reviews.csv'?"
    assert refusal(tmp_path, a_set("classification", "reveiws.csv")) == said
    assert refusal(tmp_path, a_set("classification", dataset="reveiws.csv")) == said
    assert "did you mean 'reviews.csv'?" in refusal(tmp_path, a_set("classification", "reviews.tsv"))
    assert "there is no folder " in refusal(tmp_path, a_set("classification", "gone/reviews.csv"))
    assert "did you mean 'reviews.csv'?" in refusal(tmp_path, a_set("classification", dataset="./reviews"))


# ------------------------------------------------------------------------------------------------------------ data sets


def firsts(folder: Path, data_set: Any) -> dict[str, list[str]]:
    parts = loaded(folder, data_set).parts()
    return {part: [e["text"] for e in some if e["text"] != "other"] for part, some in parts.items()}


def test_a_dataset_that_is_a_file_is_that_file(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{'xy'[i % 2]}\n" for i in range(40))
    (tmp_path / "reviews.csv").write_text("text,label\n" + rows)
    (tmp_path / "reviews").write_text("text;label\n" + rows.replace(",", ";"))
    whole = loaded(tmp_path, a_set("classification", files="reviews.csv"))
    assert loaded(tmp_path, a_set("classification", files={"train": "reviews.csv"})) == whole
    assert loaded(tmp_path, a_set("classification", dataset="reviews.csv")) == whole
    assert loaded(tmp_path, a_set("classification", dataset="reviews", delimiter=";")) == whole


def test_numbered_parts_of_splits_are_read_and_other_files_are_told(tmp_path: Path) -> None:
    table(tmp_path, "set/train-0.csv", "set/train-1.csv", "set/dev.csv", "set/test.csv", "set/predictions.csv")
    given = a_set("classification", dataset="set")
    parts = {"train": ["set/train-0.csv", "set/train-1.csv"], "valid": ["set/dev.csv"], "test": ["set/test.csv"]}
    assert firsts(tmp_path, given) == parts
    assert loaded(tmp_path, given).notes == [
        "data.mine: train from 2 files: train-0.csv, train-1.csv",
        "data.mine: valid from dev.csv",
        "data.mine: test from test.csv",
        "data.mine: not read in set: predictions.csv",
    ]


MIXED = {
    "an old copy": (["train.csv", "train_old.csv", "test.csv"], "2 files: train.csv, train_old.csv", "train"),
    "predictions": (["train.csv", "test.csv", "test_predictions.csv"], "2 files: test.csv, test_predicti", "test"),
    "two languages": (["de/train.csv", "en/train.csv"], "2 files: de/train.csv, en/train.csv", "train"),
    "two formats": (["train.csv", "train.jsonl"], "2 files: train.csv, train.jsonl", "train"),
    "no split's name": (["reviews.csv", "reviews_old.csv"], "2 files: reviews.csv, reviews_old.csv", "train"),
}


@pytest.mark.parametrize(("names", "which", "part"), MIXED.values(), ids=MIXED)
def test_files_that_are_more_than_parts_of_one_are_never_mixed(
    tmp_path: Path, names: list[str], which: str, part: str
) -> None:
    table(tmp_path, *(f"set/{name}" for name in names))
    said = refusal(tmp_path, a_set("classification", dataset="set"))
    assert which in said
    assert f"could all be the {part} split; name the ones that are meant, files: {{{part}: set/" in said


def test_a_folder_with_one_file_of_any_name_is_read(tmp_path: Path) -> None:
    write(tmp_path, "set/README.md", "set/LICENSE")
    (tmp_path / "set" / "reviews.csv").write_text("text\n" + "".join(f"text {i}\n" for i in range(9)))
    assert loaded(tmp_path, a_set("text", dataset="set")).notes == ["data.mine: train from reviews.csv"]


@pytest.mark.parametrize("named", ["in", "in/*.csv", "in/t*"])
def test_files_of_several_splits_are_never_one(tmp_path: Path, named: str) -> None:
    table(tmp_path, "in/train.csv", "in/test.csv")
    said = refusal(tmp_path, a_set("classification", named))
    assert said.endswith(
        ": files of several splits (2 files: test.csv, train.csv); name them one by one, "
        "or give the folder as dataset: in"
    )


def test_texts_of_any_names_are_the_training_split_and_folders_may_be_the_splits(tmp_path: Path) -> None:
    write(tmp_path, "all/some.txt", "all/other.txt", "all/third.txt", text="{name}\n\nmore of {name}\n")
    assert len(loaded(tmp_path, a_set("text", dataset="all")).train) >= 3
    write(tmp_path, "set/train/0.txt", "set/train/1.txt", "set/dev/0.txt", "set/test/0.txt")
    parts = loaded(tmp_path, a_set("text", dataset="set")).parts()
    assert {part: [e["text"].strip() for e in some] for part, some in parts.items()} == {
        "train": ["set/train/0.txt", "set/train/1.txt"],
        "valid": ["set/dev/0.txt"],
        "test": ["set/test/0.txt"],
    }


def test_a_configuration_and_names_of_splits_choose_among_files(tmp_path: Path) -> None:
    names = ["train.csv", "validation_matched.csv", "validation_mismatched.csv"]
    table(tmp_path, *(f"set/{config}/{name}" for config in ("de", "en") for name in names))
    splits = {"train": "train", "valid": "validation_matched"}
    given = a_set("classification", dataset="set", config="en", splits=splits, split={"test": 0})
    assert firsts(tmp_path, given) == {"train": ["set/en/train.csv"], "valid": ["set/en/validation_matched.csv"]}
    said = refusal(tmp_path, a_set("classification", dataset="set", config="en", splits={"train": "training"}))
    assert "no file of split 'training', there are: 3 files: train.csv, validation_matched.csv, " in said


def test_the_card_of_a_folder_says_which_files_are_a_configuration(tmp_path: Path) -> None:
    table(tmp_path, "set/a.csv", "set/b.csv", "set/old.csv")
    card = (
        "---\nconfigs:\n- config_name: one\n  data_files:\n  - {split: train, path: a.csv}\n"
        "  - {split: check, path: b.csv}\n- config_name: two\n  data_files: old.csv\n---\n# A set\n"
    )
    (tmp_path / "set" / "README.md").write_text(card)
    splits = {"train": "train", "valid": "check"}
    given = a_set("classification", dataset="set", config="one", splits=splits, split={"test": 0})
    assert firsts(tmp_path, given) == {"train": ["set/a.csv"], "valid": ["set/b.csv"]}
    said = refusal(tmp_path, a_set("classification", dataset="set"))
    assert "Config name is missing. Please pick one among the available configs: ['one', 'two']" in said


def test_names_of_splits_choose_among_those_of_a_saved_set(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    tables = {
        name: datasets.Dataset.from_dict({"text": [name, "other"], "label": ["x", "y"]})
        for name in ("train", "validation_matched", "validation_mismatched", "test")
    }
    datasets.DatasetDict(tables).save_to_disk(str(tmp_path / "saved"))
    splits = {"train": "train", "valid": "validation_mismatched"}
    given = a_set("classification", dataset="saved", splits=splits, split={"test": 0})
    assert firsts(tmp_path, given) == {"train": ["train"], "valid": ["validation_mismatched"]}
    assert loaded(tmp_path, given).notes == [
        "data.mine: train from split train, valid from split validation_mismatched; not read: validation_matched, test"
    ]
    said = refusal(tmp_path, a_set("classification", dataset="saved", splits={"train": "train", "valid": "dev"}))
    assert "no split 'dev', there are: train, validation_matched, validation_mismatched, test" in said


def test_the_library_s_feature_for_translations_is_taken_by_its_languages(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    pairs = [{"en": f"word {i}", "fr": f"mot {i}"} for i in range(3)]
    features = datasets.Features({"translation": datasets.Translation(languages=["en", "fr"])})
    table = datasets.Dataset.from_dict({"translation": pairs}, features=features)
    datasets.DatasetDict(train=table, validation=table).save_to_disk(str(tmp_path / "saved"))
    given = a_set("translation", dataset="saved", source="fr", target="en", split={"test": 0})
    assert loaded(tmp_path, given).train[1] == {"source": "mot 1", "target": "word 1"}


def test_keys_of_a_dataset_and_of_files_are_refused_where_they_say_nothing() -> None:
    for given, words in (
        ({"files": "a.csv", "config": "en"}, "config and splits belong to a dataset"),
        ({"dataset": "python:a:b", "encoding": "cp1252"}, "encoding is about files"),
        ({"dataset": "python:a:b", "skip_bad_rows": True}, "skip_bad_rows is about files"),
    ):
        with pytest.raises(ValueError, match=words):
            a_set("classification", **given)


# ---------------------------------------------------------------------------------------------------------------- lines


def test_a_text_without_blank_lines_is_dealt_out_by_lines_and_the_key_that_says_so_is_named(tmp_path: Path) -> None:
    names = "".join(f"name {i}\r\n" for i in range(200))
    write(tmp_path, "names.txt", text=names)
    splits = loaded(tmp_path, a_set("text", files="names.txt"))
    assert splits.warnings == [
        "data.mine: 1 text is too few to be dealt out to 3 splits, so each of the 200 lines is an example: lines: true "
        "if that is meant, else put blank lines between the examples, or give a valid file"
    ]
    said = loaded(tmp_path, a_set("text", files="names.txt", lines=True))
    assert said.warnings == []
    assert said == splits
    assert sum(map(len, splits.parts().values())) == 200
    assert {"text": "name 7"} in [e for part in splits.parts().values() for e in part]


def test_a_text_of_as_many_paragraphs_as_splits_stays_one_of_paragraphs(tmp_path: Path) -> None:
    write(tmp_path, "two.txt", text="a\nb\nc\n\nd\ne\n")
    splits = loaded(tmp_path, a_set("text", files="two.txt", split={"test": 0}))
    assert sorted(example["text"] for example in splits.train + splits.valid) == ["a\nb\nc", "d\ne"]
    assert splits.warnings == []


def test_a_single_line_is_refused_as_too_few(tmp_path: Path) -> None:
    write(tmp_path, "one.txt", text="one line\n")
    assert refusal(tmp_path, a_set("text", files="one.txt")) == (
        "data.mine: 1 different examples are too few to cut test and valid from"
    )


@pytest.mark.parametrize("files", [[], {"train": []}, {"train": "a.csv", "valid": []}])
def test_an_empty_list_of_files_is_refused(files: Any) -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        a_set("text", files=files)
