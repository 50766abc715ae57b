"""Values of files, functions and libraries: missing ones are refused with their row."""

from __future__ import annotations

import decimal
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest

from hpsearch.data import dataframes as tables_module
from hpsearch.data import sources
from hpsearch.data.record_values import Unfit, described, label_of, plain, text_of
from hpsearch.data.splits import Splits
from hpsearch.data.summary import untested
from hpsearch.errors import DataError
from hpsearch.tasks import ClassificationSet, TextSet, TranslationSet

MODULE = "python:examples_of_values:"
MISSING = [None, float("nan"), np.nan, np.float32("nan"), pd.NaT, pd.NA, np.datetime64("NaT")]


def labelled(**given: Any) -> ClassificationSet:
    return ClassificationSet.model_validate({"task": "classification", **given})


def load(data_set: Any, base: Path) -> Splits:
    sources.check_sources("mine", data_set, base=base)
    return sources.load("mine", data_set, cache=base / "library", base=base)


def refusal(data_set: Any, base: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(data_set, base)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{base}/", "")


@pytest.fixture
def returning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has a function in a module beside the space file return a value; gives the loaded splits."""
    import sys
    import types

    module = types.ModuleType("examples_of_values")
    monkeypatch.setitem(sys.modules, "examples_of_values", module)

    def of(value: Any, data_set: type[Any] = ClassificationSet, **given: Any) -> Splits:
        module.f = lambda: value  # type: ignore[attr-defined]
        task = {ClassificationSet: "classification", TextSet: "text", TranslationSet: "translation"}[data_set]
        made = data_set.model_validate({"task": task, "dataset": f"{MODULE}f", **given})
        return sources.load("mine", made, cache=tmp_path / "library", base=tmp_path)

    return of


def rows(n: int = 20, **more: Any) -> list[dict[str, Any]]:
    return [{"text": f"text {i}", "label": "ab"[i % 2], **more} for i in range(n)]


# -------------------------------------------------------------------------------------------------------- single values


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_every_kind_of_missing_value_is_none(value: Any) -> None:
    assert plain(value) is None


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("a ", "a"),
        (np.str_("x"), "x"),
        (7, "7"),
        (np.int64(-3), "-3"),
        (0.0, "0"),
        (-0.0, "0"),
        (np.float32(2.0), "2"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**53, "9007199254740992.0"),  # what 2**53 + 1 is read as, too
        (True, "true"),
        (np.bool_(False), "false"),
    ],
    ids=repr,
)
def test_labels_are_spelt_as_their_file_has_them_and_whole_floats_as_whole_numbers(value: Any, label: str) -> None:
    assert label_of(plain(value)) == label
    assert type(label_of(plain(value))) is str


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "is missing"),
        (7, "is a number (7)"),
        (np.float64(0.5), "is a number (0.5)"),
        (True, "is a boolean (true)"),
        (b"a", "is bytes"),
        (np.bytes_(b"a"), "is bytes"),
        (["a"], "is a list"),
        (1 << 20_000, "is a number of 20001 bits"),
        (pd.Timestamp("2020-01-01"), "is a Timestamp"),
        ({1}, "is a set"),
        (int, "is a type"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_text_is_described(value: Any, what: str) -> None:
    assert described(plain(value)) == what
    with pytest.raises(Unfit, match="text is expected"):
        text_of(plain(value))


@pytest.mark.parametrize(
    "value", [float("inf"), b"a", None, [1], 1 << 2000, decimal.Decimal(1)], ids=lambda v: type(v).__name__
)
def test_what_is_no_label_is_refused(value: Any) -> None:
    with pytest.raises(Unfit, match="text \\(or a number\\) is expected"):
        label_of(plain(value))


# ------------------------------------------------------------------------------------------------------------ functions


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("key", ["text", "label"])
def test_a_missing_value_of_a_function_is_refused_with_its_example(returning: Any, key: str, value: Any) -> None:
    examples = rows()
    examples[5][key] = value
    with pytest.raises(DataError, match=rf"^{MODULE}f: train: example 5: the {key} is missing"):
        returning(examples)
    with pytest.raises(DataError, match=rf"^{MODULE}f: train: example 5: the {key} is missing"):
        returning([(row["text"], row["label"]) for row in examples])


@pytest.mark.parametrize("key", ["text", "label"])
def test_a_hole_in_a_frame_is_refused_with_its_example(returning: Any, key: str) -> None:
    frame = pd.DataFrame(rows())
    frame.loc[5, key] = np.nan
    with pytest.raises(DataError, match=rf"^{MODULE}f: train: example 5: the {key} is missing"):
        returning({"train": frame, "valid": frame[:4]})
    numbered = pd.DataFrame(rows()).assign(label=[*([0, 1] * 9), 0, np.nan])
    with pytest.raises(DataError, match=r"example 19: the label is missing"):
        returning(numbered)


def tables() -> dict[str, Any]:
    import datasets

    names = datasets.ClassLabel(names=["a", "b"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    frame = pd.DataFrame(rows())
    numbers = {"text": frame["text"].tolist(), "label": [i % 2 for i in range(20)]}
    return {
        "pandas": frame.assign(column_names=1, features=2, to_dicts=3),  # columns that are named as methods of others
        "pandas, shuffled": pd.DataFrame(rows(), index=range(40, 20, -1)),
        "categories": frame.astype({"label": "category"}),
        "pyarrow": pyarrow.Table.from_pylist(rows()),
        "datasets": datasets.Dataset.from_list(rows()),
        "class labels": datasets.Dataset.from_dict(numbers, features=features),
        "iterable": datasets.Dataset.from_list(rows()).to_iterable_dataset(),
        "rows of pandas": [row for _, row in frame.iterrows()],
        "named tuples": list(frame.itertuples()),
        "array": frame[["text", "label"]].to_numpy(),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("pandas", "pandas, shuffled", "categories", "pyarrow", "datasets", "class labels", "iterable"),
        *("rows of pandas", "named tuples", "array"),
    ],
)
def test_tables_of_other_libraries_are_rows_of_examples(
    returning: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_module, "BATCH", 7)  # of 20 rows
    table, expected = tables()[name], rows()
    assert returning({"train": table, "dev": table, "test": table}) == Splits(expected, expected, expected)
    if name != "array":
        texts = [{"text": row["text"]} for row in expected]
        assert returning({"train": table, "validation": table, "test": []}, TextSet) == Splits(texts, texts, [])


def test_a_series_is_its_texts_and_an_array_its_labels(returning: Any) -> None:
    texts = pd.Series([f"text {i}" for i in range(20)])
    assert returning({"train": texts, "valid": texts}, TextSet, split={"test": 0}).train[3] == {"text": "text 3"}
    for labels in (np.arange(20) % 2, np.arange(20) % 2 * 1.0, np.arange(20, dtype=np.int8) % 2):
        pairs = list(zip(texts, labels, strict=True))
        assert {e["label"] for e in returning(pairs).train} == {"0", "1"}
    holed = texts.where(texts.index != 3)
    with pytest.raises(DataError, match="train: example 3: the text is missing"):
        returning(holed, TextSet)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "the text is a number (7), text is expected"),
        (True, "the text is a boolean (true), text is expected"),
        (b"bytes", "the text is bytes, text is expected"),
        ("  ", "the text is empty"),
    ],
)
def test_what_is_no_text_is_refused_with_its_example(returning: Any, value: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        returning([*rows(3), {"text": value, "label": "a"}])
    assert str(caught.value) == f"{MODULE}f: train: example 3: {message}"
    with pytest.raises(DataError) as caught:
        returning(["a", "b", value], TextSet)
    assert str(caught.value) == f"{MODULE}f: train: example 2: {message}"


def test_a_table_lacks_a_column_has_it_twice_or_a_label_without_a_name(returning: Any) -> None:
    import datasets

    frame = pd.DataFrame(rows())
    with pytest.raises(DataError, match=rf"^{MODULE}f: train: no column 'body' for text, there are: text, label$"):
        returning(frame, text="body")
    with pytest.raises(DataError, match="train: 2 columns are named 'text'"):
        returning(pd.concat([frame, frame], axis=1))
    assert returning(frame.set_axis([0, 1], axis=1), text="0", label="1").train == returning(frame).train
    names = datasets.ClassLabel(num_classes=2)
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.Value("int64")})
    beyond = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 2]}, features=features)
    beyond.info.features["label"] = names  # the table is as it was: a 2 under two names
    with pytest.raises(DataError, match="train: label 2: its ClassLabel has 2 names"):
        returning(beyond)


# ---------------------------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("labels", "second"),
    [
        ([0, "0"], 'd.jsonl:2: the label "0" is text, but 0 (d.jsonl:1) is a number'),
        ([0.0, False], "d.jsonl:2: the label false is a boolean, but 0.0 (d.jsonl:1) is a number"),
        (["x", "y", True], 'd.jsonl:3: the label true is a boolean, but "x" (d.jsonl:1) is text'),
    ],
)
def test_labels_of_two_types_are_refused_with_both_lines(tmp_path: Path, labels: list[Any], second: str) -> None:
    lines = [json.dumps({"text": f"text {i}", "label": label}) for i, label in enumerate(labels)]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    assert refusal(labelled(files={"train": "d.jsonl"}), tmp_path) == f"{second}, labels of one type are expected"


def test_labels_of_two_types_in_two_files_of_one_split_are_refused_but_csv_has_no_types(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 0}\n{"text": "b", "label": 1.0}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "c", "label": false}\n')
    (tmp_path / "c.csv").write_text("text,label\nc,0\nd,1\n")
    both = refusal(labelled(files={"train": ["a.jsonl", "b.jsonl"], "valid": "a.jsonl"}), tmp_path)
    assert both.startswith("b.jsonl:1: the label false is a boolean, but 0 (a.jsonl:1) is a number")
    splits = load(labelled(files={"train": ["a.jsonl", "c.csv"], "valid": "c.csv"}, split={"test": 0}), tmp_path)
    assert [e["label"] for e in splits.train] == ["0", "1", "0", "1"]


def test_a_column_of_floats_with_a_hole_is_refused_by_its_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": [0.0, 1.0, np.nan]})
    frame.to_parquet(tmp_path / "d.parquet")
    frame[:2].to_parquet(tmp_path / "whole.parquet")
    both = {"train": "d.parquet", "valid": "d.parquet"}
    assert refusal(labelled(files=both), tmp_path).startswith("d.parquet: row 3: the label is missing")
    splits = load(labelled(files=dict.fromkeys(both, "whole.parquet"), split={"test": 0}), tmp_path)
    assert [e["label"] for e in splits.train] == ["0", "1"]


# ------------------------------------------------------------------------------------------------- tests without labels


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Train and valid with labels, and tests of every kind without."""
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n")
    (tmp_path / "test.csv").write_text("text\nc\nd\n")
    (tmp_path / "blank.csv").write_text("text,label\nc,\nd, \n")
    (tmp_path / "null.jsonl").write_text('{"text": "c", "label": null}\n{"text": "d"}\n')
    pd.DataFrame({"text": ["c", "d"], "label": [np.nan, np.nan]}).to_parquet(tmp_path / "nan.parquet")
    (tmp_path / "some.csv").write_text("text,label\nc,x\nd,\n")
    (tmp_path / "other.csv").write_text("text,label\nc,\nd,x\n")
    return tmp_path


@pytest.mark.parametrize("test", ["test.csv", "blank.csv", "null.jsonl", "nan.parquet"])
def test_a_set_whose_test_has_no_labels_is_searched_and_not_tested(parts: Path, test: str) -> None:
    files = {"train": "train.csv", "valid": "train.csv", "test": test}
    splits = load(labelled(files=files), parts)
    assert (len(splits.train), len(splits.valid), splits.test) == (2, 2, [])
    assert untested("mine", splits) == "data.mine: the test split has no labels: the model is not tested on it"
    alone = {"train": "train.csv", "test": test}
    with pytest.raises(DataError, match="each of the 2 labels has one text only"):  # the test is not cut from train
        load(labelled(files=alone), parts)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("some.csv", "some.csv:3: the label is missing, but some.csv:2 has one"),
        ("other.csv", "other.csv:2: the label is missing, but other.csv:3 has one"),
        (["test.csv", "train.csv"], "test.csv:2: the label is missing, but train.csv:2 has one"),
    ],
)
def test_a_test_of_which_some_labels_are_missing_is_refused(parts: Path, test: Any, message: str) -> None:
    files = {"train": "train.csv", "valid": "train.csv", "test": test}
    assert refusal(labelled(files=files), parts).startswith(message)
    splits = load(labelled(files=files, split={"test": 0}), parts)  # left out, and not read
    assert (splits.test, untested("mine", splits)) == ([], None)


def test_train_and_valid_have_labels(parts: Path) -> None:
    for files in ({"train": "blank.csv"}, {"train": "train.csv", "valid": "blank.csv"}):
        assert refusal(labelled(files=files), parts) == "blank.csv:2: the label is empty"
    assert "test.csv: no column 'label' for label, there are: text" in refusal(
        labelled(files={"train": "train.csv", "valid": "test.csv"}), parts
    )


def test_a_translation_test_may_lack_its_targets(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("source,target\na,b\nc,d\n")
    (tmp_path / "test.csv").write_text("source\na\n")
    files = {"train": "train.csv", "valid": "train.csv", "test": "test.csv"}
    splits = load(TranslationSet.model_validate({"task": "translation", "files": files}), tmp_path)
    assert untested("mine", splits) == "data.mine: the test split has no targets: the model is not tested on it"


def test_class_labels_of_minus_one_are_missing_as_glue_has_them(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})

    def table(labels: list[int]) -> Any:
        return datasets.Dataset.from_dict({"text": [f"t {i}" for i in labels], "label": labels}, features=features)

    named = {"train": table([0, 1]), "validation": table([1, 0]), "test": table([-1, -1])}
    datasets.DatasetDict(named).save_to_disk(str(tmp_path / "saved"))
    for name, some in named.items():
        some.to_parquet(str(tmp_path / f"{name}.parquet"))
    files = {"train": "train.parquet", "valid": "validation.parquet", "test": "test.parquet"}
    for data_set in (labelled(dataset="saved"), labelled(files=files)):
        splits = load(data_set, tmp_path)
        assert [e["label"] for e in splits.train + splits.valid] == ["no", "yes", "yes", "no"]
        assert (splits.test, splits.untested) == ([], "label")
    message = refusal(labelled(files={"train": "test.parquet"}), tmp_path)
    assert message.startswith("test.parquet: row 1: the label is missing")
    assert load(labelled(dataset="saved", split={"test": 0}), tmp_path).untested is None
