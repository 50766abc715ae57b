"""Loading of data sets: formats, splits, warnings, and one line with the place for every kind of bad input."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch.config import digest
from hpsearch.data import rows, sources, text_encoding
from hpsearch.data.splits import Splits
from hpsearch.errors import DataError
from hpsearch.tasks import AnySet, ClassificationSet, TextSet, TranslationSet

LABELLED = [("a cat", "pet"), ("NA", "pet"), ('a "bare quote', "tool"), ("null", "tool"), ("None", "pet")]


def text(**source: Any) -> TextSet:
    return TextSet.model_validate({"task": "text", **source})


def labelled(**source: Any) -> ClassificationSet:
    return ClassificationSet.model_validate({"task": "classification", **source})


def pairs(**source: Any) -> TranslationSet:
    return TranslationSet.model_validate({"task": "translation", **source})


def load(data_set: AnySet, base: Path) -> Splits:
    return sources.load("mine", data_set, cache=base / "library", base=base)


def refusal(data_set: AnySet, base: Path) -> str:
    """The one line that loading is refused with, the folder left out."""
    with pytest.raises(DataError) as caught:
        load(data_set, base)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{base}/", "")


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path.name


# -------------------------------------------------------------------------------------------------------------- formats


def csv_text(rows: list[tuple[str, str]]) -> str:
    return "text,label\n" + "".join('"{}",{}\n'.format(t.replace('"', '""'), label) for t, label in rows)


def tsv_text(rows: list[tuple[str, str]]) -> str:
    return "text\tlabel\n" + "".join(f"{t}\t{label}\n" for t, label in rows)


def jsonl_text(rows: list[tuple[str, str]]) -> str:
    return "".join(json.dumps({"text": t, "label": label, "other": 1}) + "\n" for t, label in rows)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("ending", "render"), [("csv", csv_text), ("tsv", tsv_text), ("jsonl", jsonl_text)])
def test_every_table_format_gives_the_same_examples(tmp_path: Path, ending: str, render: Any, packed: bool) -> None:
    content = render(LABELLED).encode()
    name = write(tmp_path / f"d.{ending}{'.gz' * packed}", gzip.compress(content) if packed else content)
    splits = load(labelled(files={"train": name, "valid": name, "test": name}), tmp_path)
    expected = [{"text": t, "label": label} for t, label in LABELLED]
    assert splits == Splits(expected, expected, expected)


def test_parquet_and_saved_data_sets_are_read_with_the_names_of_their_labels_and_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    datasets.disable_progress_bars()
    label = datasets.ClassLabel(names=["pet", "tool"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    columns = {"text": [t for t, _ in LABELLED], "label": [label.str2int(name) for _, name in LABELLED]}
    table = datasets.Dataset.from_dict(columns, features=features)
    table.to_parquet(str(tmp_path / "d.parquet"))
    datasets.DatasetDict(train=table, validation=table, test=table).save_to_disk(str(tmp_path / "saved"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a local file needs no network"))

    named = [{"text": t, "label": name} for t, name in LABELLED]
    assert load(labelled(dataset="saved"), tmp_path) == Splits(named, named, named)
    everywhere = {"train": "d.parquet", "valid": "d.parquet", "test": "d.parquet"}
    assert [e["text"] for e in load(labelled(files=everywhere), tmp_path).valid] == columns["text"]
    with pytest.raises(DataError, match=r"d.parquet: no column 'body' for text, there are: text, label"):
        sources.check_sources("mine", labelled(files=everywhere, text="body"), base=tmp_path)


def test_a_folder_of_data_files_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("train-0.jsonl", "train-1.jsonl", "dev.jsonl", "test.jsonl"):
        write(folder / name, f'{{"source": "{name}", "target": "x"}}\n')
    write(folder / "README.md", "no data")
    splits = load(pairs(dataset="pairs"), tmp_path)
    assert [e["source"] for e in splits.train] == ["train-0.jsonl", "train-1.jsonl"]
    assert [e["source"] for e in splits.valid + splits.test] == ["dev.jsonl", "test.jsonl"]


def test_a_text_file_with_a_valid_file_is_one_document_kept_to_the_byte(tmp_path: Path) -> None:
    content = " first\r\n\r\n\nsecond \u2028 caf\u00e9\t\n\n"
    name = write(tmp_path / "d.txt", content)
    splits = load(text(files={"train": [name, name], "valid": name}), tmp_path)
    assert splits.train == [{"text": content}, {"text": content}]
    assert splits.test == []


def test_windows_files_lose_their_mark_and_line_ends_in_tables(tmp_path: Path) -> None:
    rows = "\ufefftext\tlabel\r\none\tx\r\ntwo\ty\r\n"
    for name, content in (("d.tsv", rows), ("d.csv", rows.replace("\t", ","))):
        write(tmp_path / name, content)
        assert load(labelled(files={"train": name, "valid": name}, split={"test": 0}), tmp_path).train == [
            {"text": "one", "label": "x"},
            {"text": "two", "label": "y"},
        ]


def test_columns_have_the_names_of_the_config_and_labels_may_be_numbers(tmp_path: Path) -> None:
    name = write(tmp_path / "d.json", '{"body": "a", "stars": 1, "score": 0.5}\n{"body": "7", "stars": 2.0}\n')
    splits = load(labelled(files={"train": name, "valid": name, "test": name}, text="body", label="stars"), tmp_path)
    assert splits.train == [{"text": "a", "label": "1"}, {"text": "7", "label": "2"}]


def test_a_quoted_csv_field_spans_lines_and_later_errors_name_the_right_line(tmp_path: Path) -> None:
    name = write(tmp_path / "d.csv", 'text,label\n"two\nlines",x\nplain,y\n\nonly\n')
    assert refusal(labelled(files={"train": name}), tmp_path) == ("d.csv:6: 1 fields, the header has 2 (text, label)")


# --------------------------------------------------------------------------------------------------------------- splits


def many(tmp_path: Path, n: int = 1000) -> str:
    return write(tmp_path / "many.tsv", "source\ttarget\n" + "".join(f"word {i}\tmot {i}\n" for i in range(n)))


def test_shares_are_cut_by_hash_the_same_everywhere_and_otherwise_for_another_seed(tmp_path: Path) -> None:
    name = many(tmp_path)
    splits = load(pairs(files={"train": name}, split={"valid": 0.1, "test": 0.2}), tmp_path)
    assert sum(map(len, (splits.train, splits.valid, splits.test))) == 1000
    assert 70 <= len(splits.valid) <= 130  # three standard deviations of 100
    assert 160 <= len(splits.test) <= 240
    # printf '0\nword 2' | sha256sum begins with 44, and 0x44 / 256 = 0.27 lies after the 0.2 of test, before 0.3;
    # words 0 and 1 have d7 (train) and 21 (test).
    assert splits.valid[0]["source"] == "word 2"
    other = load(pairs(files={"train": name}, split={"valid": 0.1, "test": 0.2, "seed": 1}), tmp_path)
    assert other.valid != splits.valid


def test_a_new_example_moves_no_other_to_another_split(tmp_path: Path) -> None:
    before = load(pairs(files={"train": many(tmp_path, 500)}), tmp_path)
    after = load(pairs(files={"train": many(tmp_path, 501)}), tmp_path)
    assert after.valid[: len(before.valid)] == before.valid


def test_equal_texts_stay_on_one_side(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {i} of\ntwo lines" for i in range(60)]
    name = write(tmp_path / "d.txt", "\n\n".join(paragraphs + [p.upper() for p in paragraphs]) + "\n \n\n")
    splits = load(text(files={"train": name}, split={"valid": 0.3, "test": 0.3}), tmp_path)
    sides = [{example["text"].casefold() for example in part} for part in splits.parts().values()]
    assert sum(map(len, sides)) == 60 == len(set.union(*sides))
    assert sum(map(len, splits.parts().values())) == 120


def test_test_is_absent_when_its_share_is_0_and_a_given_part_is_not_cut(tmp_path: Path) -> None:
    name = many(tmp_path, 100)
    splits = load(pairs(files={"train": name}, split={"test": 0}), tmp_path)
    assert splits.test == [] != splits.valid
    splits = load(pairs(files={"train": name, "valid": name}, split={"test": 0}), tmp_path)
    assert len(splits.train) == len(splits.valid) == 100


def test_few_examples_still_give_every_split_one_and_every_label_a_train_example(tmp_path: Path) -> None:
    for seed in range(20):
        name = write(tmp_path / "d.tsv", tsv_text([(f"text {i}", "abc"[i % 3]) for i in range(12)]))
        splits = load(labelled(files={"train": name}, split={"seed": seed}), tmp_path)
        assert {e["label"] for e in splits.train} == set("abc")
        assert splits.valid


def test_shares_that_leave_nothing_and_examples_too_few_are_refused(tmp_path: Path) -> None:
    name = many(tmp_path, 2)
    assert "leave nothing to train on" in refusal(
        pairs(files={"train": name}, split={"valid": 0.5, "test": 0.5}), tmp_path
    )
    assert refusal(pairs(files={"train": name}), tmp_path) == (
        "data.mine: 2 different examples are too few to cut test and valid from"
    )


def test_warnings_count_what_is_in_two_splits_and_labels_that_valid_lacks() -> None:
    train = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}, {"text": "c", "label": "z"}]
    valid = [{"text": "A ", "label": "x"}, {"text": "d", "label": "y"}]
    assert sources.warnings("s", Splits(train, valid, [{"text": "d", "label": "x"}, {"text": "b", "label": "y"}])) == [
        "data.s: 1 of 2 valid examples are also in train",
        "data.s: 1 of 2 test examples are also in train",
        "data.s: 1 of 2 test examples are also in valid",
        "data.s: label 'z' is not in valid (train has 1)",
    ]
    assert sources.warnings("s", Splits(train[:2], [{"text": "d", "label": "x"}, {"text": "e", "label": "y"}])) == []


# ------------------------------------------------------------------------------------------------------------ functions


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    """A module beside space.yaml."""
    source = """
def flat(): return [f"text {i}" for i in range(50)]
def split(): return {"train": [("a", "1"), {"text": "b", "label": "y"}], "valid": iter([("c", "y")]), "test": []}
def broken(): raise KeyError("no\\nsuch")
def odd(): return {"train": ["a"], "extra": ["b"]}
def both(): return {"train": ["a"], "dev": ["b"], "valid": ["b"]}
def short(): return [("a",)]
def none(): return [("a", None)]
def half(): return ["\\ud800"]
def nothing(): return None
"""
    write(tmp_path / "my_examples.py", source)
    yield "python:my_examples:"
    sys.modules.pop("my_examples", None)


def test_a_function_beside_the_config_gives_texts_tuples_or_records(tmp_path: Path, module: str) -> None:
    path_before = list(sys.path)
    splits = load(text(dataset=module + "flat"), tmp_path)
    assert sum(map(len, splits.parts().values())) == 50
    assert load(labelled(dataset=module + "split"), tmp_path) == Splits(
        [{"text": "a", "label": "1"}, {"text": "b", "label": "y"}], [{"text": "c", "label": "y"}], []
    )
    sources.check_sources("mine", text(dataset=module + "flat"), base=tmp_path)
    assert sys.path == path_before


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("broken", "raised KeyError: 'no\\nsuch'"),
        ("odd", "returned train, extra, allowed: train, valid, test"),
        ("both", "returned train, dev, valid, allowed: train, valid, test"),
        ("short", "train: example 0: 1 values, (text, label) or a dict is expected"),
        ("none", "train: example 0: the label is missing, text (or a number) is expected"),
        ("nothing", "raised TypeError: 'NoneType' object is not iterable"),
        ("absent", "module my_examples has no function 'absent'"),
    ],
)
def test_a_wrong_function_is_named(tmp_path: Path, module: str, function: str, message: str) -> None:
    assert message in refusal(labelled(dataset=module + function), tmp_path)


def test_text_that_is_not_unicode_and_modules_that_are_not_there(tmp_path: Path, module: str) -> None:
    assert "half of a surrogate pair" in refusal(text(dataset=module + "half"), tmp_path)
    for origin, message in (("python:no_such_module_at_all:f", "cannot be imported"), ("python:f", "is expected")):
        with pytest.raises(DataError, match=message):
            sources.check_sources("mine", text(dataset=origin), base=tmp_path)


# ------------------------------------------------------------------------------------------------------------ bad input

FUNCTION = 'other content can be read by a function: dataset: "python:module:function"'
BAD_TABLES = {
    "empty": (b"", "d.tsv: the file is empty"),
    "header only": (b"text\tlabel\n", "d.tsv: no examples (a header alone, or blank lines)"),
    "blank lines": (b"\n\n\r\n", "d.tsv: no examples (a header alone, or blank lines)"),
    "no column": (
        b"body\tlabel\na\tx\n",
        "d.tsv: no column 'text' for text, there are: body, label; if that is a row and no header: columns: [A, B]",
    ),
    "ragged": (b"text\tlabel\na\tx\nb\n", "d.tsv:3: 1 fields, the header has 2 (text, label)"),
    "too many": (b"text\tlabel\na\tx\tz\n", "d.tsv:2: 3 fields, the header has 2 (text, label)"),
    "column twice": (b"text\ttext\na\tx\n", "d.tsv:1: column 'text' is in the header twice"),
    "not UTF-8": (
        b"text\tlabel\ncaf\xe9\tx\n",
        "d.tsv:2: byte 4 of the line is not UTF-8; in cp1252 it reads 'café\\tx': "
        "if that is right, give encoding: cp1252",
    ),
    "NUL": (b"text\tlabel\na\tx\n\0\ty\n", "d.tsv:3: a NUL byte, UTF-8 text is expected; " + FUNCTION),
    "UTF-16": ("text\tlabel\n".encode("utf-16")[:-1], "d.tsv:1: not utf-16 from here on, or soon after"),
    "empty text": (b"text\tlabel\n \tx\nb\ty\n", "d.tsv:2: the text is empty"),
    "empty label": (b"text\tlabel\na\tx\nb\t\n", "d.tsv:3: the label is empty"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    content, message = BAD_TABLES[case]
    write(tmp_path / "d.tsv", content)
    assert refusal(labelled(files={"train": "d.tsv"}), tmp_path) == message


def test_one_label_and_labels_that_train_lacks_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one.tsv", tsv_text([(f"text {i}", "x") for i in range(9)]))
    two = write(tmp_path / "two.tsv", tsv_text([("a", "x"), ("b", "y")]))
    new = write(tmp_path / "new.tsv", tsv_text([("a", "x"), ("b", "z")]))
    assert "train has one label only ('x')" in refusal(labelled(files={"train": one}), tmp_path)
    files_ = {"train": two, "valid": two, "test": new}
    assert refusal(labelled(files=files_), tmp_path) == "data.mine: label 'z' is in test but not in train"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "d.jsonl",
            b'{"text": "a"}\n{"text": \n',
            "d.jsonl:2: not JSON (Expecting value), one object a line is expected",
        ),
        ("d.jsonl", b'[{"text": "a"}]\n', "d.jsonl:1: a JSON list, one object a line is expected"),
        ("d.jsonl", b"[" * 100_000 + b"\n", "d.jsonl:1: not JSON (nested too deeply), one object a line is expected"),
        ("d.jsonl", b'{"text": ["a"]}\n', "d.jsonl:1: the text is a list, text is expected"),
        ("d.csv", b'text\n"a" b\n', "d.csv:2: wrong csv quoting or line end"),
        ("d.csv", b'text\n"never closed\n\n', "d.csv:2: the quote that opens in this row is never closed"),
        ("d.txt", b" \n\n\t\n", "d.txt: the file holds no text"),
        ("d.txt.gz", b"not packed at all", "d.txt.gz: not a whole .gz file"),
        ("d.txt.gz", gzip.compress(bytes(range(32, 99)) * 99)[:-9], "d.txt.gz: not a whole .gz file"),
        ("d.txt.gz", gzip.compress(b"a line\n" * 4_000_000), "d.txt.gz: unpacks to more than 200 times its size"),
        ("d.doc", b"a", "d.doc: unknown ending '.doc', allowed: .txt, .jsonl,"),
        ("d.parquet", b"PAR1 but no more", "d.parquet: not a parquet file"),
        ("d.parquet.gz", b"x", "d.parquet.gz: parquet is packed already"),
    ],
)
def test_other_wrong_files_are_refused_in_a_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path / name, content)
    assert refusal(text(files={"train": name}), tmp_path).startswith(message)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    for name, what in (
        ("folder.txt", "is a folder"),
        ("pipe.txt", "is not a regular file"),
        ("loop.txt", "is a link to nothing or to itself"),
        ("gone.txt", "no such file"),
    ):
        assert refusal(text(files={"train": name}), tmp_path).startswith(f"{name}: {what}, a data file is expected")
        with pytest.raises(DataError, match=what):
            sources.check_sources("mine", text(files={"train": name}), base=tmp_path)


def test_a_line_beyond_the_limit_is_refused_without_reading_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_encoding, "MAX_LINE", 1 << 20)
    name = write(tmp_path / "d.txt", "short\n" + "x" * (1 << 22))
    assert refusal(text(files={"train": name}), tmp_path) == "d.txt:2: a line of more than 1 MiB, break it up"


def test_a_text_file_for_examples_with_columns_is_refused_before_it_is_read(tmp_path: Path) -> None:
    name = write(tmp_path / "d.txt", "a\n")
    with pytest.raises(DataError, match="no columns for source and target; two files of aligned lines are files: "):
        sources.check_sources("mine", pairs(files={"train": name}), base=tmp_path)


def test_an_unreachable_hub_and_a_mistyped_folder_are_one_line(tmp_path: Path) -> None:
    assert "no such folder" in refusal(text(dataset="./gone"), tmp_path)
    script = (
        "from pathlib import Path; from hpsearch.data import sources; from hpsearch.tasks import TextSet\n"
        "try: sources.load('mine', TextSet(task='text', dataset='nobody/nothing'), cache=Path('c'), base=Path('.'))\n"
        "except sources.DataError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.getcwd()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    where = "data.mine: dataset 'nobody/nothing' (not a local folder: looked up on the hub)"
    assert run.stdout.startswith(f"{where}: the datasets library cannot load it")
    assert (run.stdout.count("\n"), run.stderr) == (1, "")


# --------------------------------------------------------------------------------------------------------- fingerprints


def test_the_fingerprint_follows_the_content_not_the_place(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for path in (tmp_path / "a.tsv", tmp_path / "other" / "b.tsv"):
        write(path, tsv_text(LABELLED))
    one = sources.fingerprint("x", labelled(files={"train": "a.tsv"}), base=tmp_path)
    assert sources.fingerprint("y", labelled(files={"train": "b.tsv"}), base=tmp_path / "other") == one
    assert sources.fingerprint("x", labelled(files={"train": "a.tsv"}, label="text"), base=tmp_path) != one
    assert sources.fingerprint("x", labelled(files={"train": "a.tsv"}, split={"seed": 1}), base=tmp_path) != one
    write(tmp_path / "a.tsv", tsv_text([*LABELLED, ("more", "pet")]))
    assert sources.fingerprint("x", labelled(files={"train": "a.tsv"}), base=tmp_path) != one


def test_the_fingerprint_of_a_function_is_that_of_its_examples(tmp_path: Path, module: str) -> None:
    one, splits = sources.identify("x", text(dataset=module + "flat"), base=tmp_path, cache=None)
    assert splits == load(text(dataset=module + "flat"), tmp_path)
    again = sources.fingerprint("x", text(dataset=module + "flat"), base=tmp_path)
    sys.modules["my_examples"].flat = lambda: ["others", "than", "before"]  # type: ignore[attr-defined]
    assert sources.fingerprint("x", text(dataset=module + "flat"), base=tmp_path) != one == again


FIRST_PRINTS = {  # as the first version had them, of these bytes
    "d.csv": ("0f010de871f1a7d653c4280538a27136e41dd434db6c65fdd31dbcc611918314", "26160e4a"),
    "d.tsv": ("d5fd430a37b8ce2f1693ee11b4ec8999e98f3680bc2a44fedb0fe2c2524ee157", "74682f9f"),
    "d.jsonl": ("70dea722073ddd40c928e4aa160395908a82906d6a3fdf46e6bffb31cface07b", "a208a120"),
    "d.parquet": ("626f1cc2bf4a0bd2a4f4f0ef3148a279b5490f0864d4f7febcffa84aaa00502e", "e45cf797"),
    "d.txt": ("9ebf235318087f6d17be9d21cfe69f504d97d10cedc78d4de42cdad3cc84d6b4", "4514ff26"),
    "folder": ("0d59c5cbe78132bae68d35036a7496e79b19a1fe1296abaffb7298c7abb6a95b", "a4a902d6"),
}


def test_sets_that_were_studied_before_there_were_keys_for_their_form_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, content in {
        "d.csv": "text,label\na,x\nb,y\n",
        "d.tsv": "source\ttarget\na\tx\n",
        "d.jsonl": '{"text": "a"}\n',
        "d.parquet": "PAR1 any bytes",
        "d.txt": "some words\n",
        "folder/train.csv": "text,label\na,x\n",
    }.items():
        (tmp_path / name).write_text(content)
    sets = {
        "d.csv": labelled(files={"train": "d.csv", "valid": "d.csv", "test": "d.csv"}),
        "d.tsv": pairs(files={"train": "d.tsv", "valid": ["d.tsv"]}),
        "d.jsonl": text(files={"train": "d.jsonl"}, split={"seed": 3}),
        "d.parquet": text(files={"train": "d.parquet"}, text="body"),
        "d.txt": text(files={"train": "d.txt", "test": "d.txt"}),
        "folder": text(dataset="folder"),
    }
    for name, given in sets.items():
        known = digest(given.model_dump(mode="json"))[:8]
        assert (sources.fingerprint("x", given, base=tmp_path), known) == FIRST_PRINTS[name], name


@pytest.mark.parametrize(
    "form",
    [
        {"encoding": "cp1252"},
        {"columns": ["text", "label"]},
        {"delimiter": ";"},
        {"quoting": "none"},
        {"skip_bad_rows": True},
        {"lines": True},
        {"text": ["text", "label"]},
    ],
    ids=str,
)
def test_the_form_of_the_files_is_part_of_the_fingerprint(tmp_path: Path, form: dict[str, Any]) -> None:
    name = write(tmp_path / "d.csv", "text,label\na,x\n")
    plain = sources.fingerprint("x", text(files={"train": name}), base=tmp_path)
    assert sources.fingerprint("x", text(files={"train": name}, **form), base=tmp_path) != plain


def test_a_tsv_that_is_now_read_as_quoted_has_another_fingerprint_than_the_same_bytes_unquoted(tmp_path: Path) -> None:
    name = write(tmp_path / "d.tsv", 'text\tlabel\n"a ""b"""\tx\n')
    quoted = sources.fingerprint("x", labelled(files={"train": name}), base=tmp_path)
    write(tmp_path / "d.tsv", 'text\tlabel\n"a ""b""\tx\n')
    assert not rows.quoted(tmp_path / name, rows.Layout())
    write(tmp_path / "d.tsv", 'text\tlabel\n"a ""b"""\tx\n')
    assert rows.quoted(tmp_path / name, rows.Layout())
    assert sources.fingerprint("x", labelled(files={"train": name}), base=tmp_path) == quoted
    whole = sources._file_digest(labelled(files={"train": name}), tmp_path / name)
    assert whole == ["tsv", hashlib.sha256((tmp_path / name).read_bytes()).hexdigest(), "quoted"]


def test_fingerprints_are_what_they_were_but_for_the_sets_that_are_cut_otherwise(tmp_path: Path) -> None:
    """The values are those of the version before there were cuts by label and `normalise`."""
    write(tmp_path / "d.tsv", tsv_text(LABELLED))
    given = {"train": "d.tsv", "valid": "d.tsv"}

    def start(data_set: AnySet) -> str:
        return sources.fingerprint("x", data_set, base=tmp_path)[:12]

    assert start(labelled(files={**given, "test": "d.tsv"})) == "0ef3b6579ee9"
    assert start(labelled(files=given, split={"test": 0})) == "c93cfb726c7a"
    assert start(text(files={"train": "d.tsv"})) == "37b476a036ad"
    assert start(labelled(files={"train": "d.tsv"})) != "b22b0cd62800"
    assert start(text(files={"train": "d.tsv"}, normalise="nfc")) != "37b476a036ad"
