"""`hpsearch predict` and `hpsearch evaluate`: what they print, write and refuse."""

import io
import json
import re
from types import SimpleNamespace

import pytest

from tests.cli.test_run import one_line
from tests.serving.models import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    made.data(place)
    made.ours(place, "model", made.config({"moods": made.MOODS}))
    made.ours(place, "several", made.config({"moods": made.MOODS, "text": made.TEXT}))
    (place / "space.yaml").write_text(json.dumps({"study": "s", "data": {"moods": made.MOODS}}))
    return place


@pytest.fixture(autouse=True)
def _there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def objects(out):
    return [json.loads(line) for line in out.splitlines()]


def test_texts_of_the_command_line_are_labelled(call):
    code, out, err = call("predict", "model", "-t", "red sun", "-t", "天气")
    assert (code, err) == (0, "")
    first, second = objects(out)
    assert first["text"] == "red sun"
    assert first["label"] == max(first["probabilities"], key=first["probabilities"].get)
    assert first["probability"] == first["probabilities"][first["label"]]
    assert second["text"] == "天气"
    assert "天气" in out


def test_a_table_is_read_by_the_column_of_the_training_and_written_to_a_file(call, tmp_path):
    code, out, err = call("predict", "model", "data/moods_valid.tsv", "-o", tmp_path / "out.jsonl", "--batch-size", 3)
    found = objects((tmp_path / "out.jsonl").read_text())
    assert (code, out, len(found)) == (0, "", 16)
    n = sum("truncated" in one for one in found)
    assert err.splitlines() == [
        f"warning: {n} of 16 texts are longer than the model reads: they were cut",
        f"{tmp_path / 'out.jsonl'}: 16 predictions",
    ]
    again = call("predict", "model", "data/moods_valid.tsv")[1]
    assert [one["label"] for one in objects(again)] == [one["label"] for one in found]


def test_the_standard_input_is_read_a_text_a_line(call, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("red\r\n天气\n".encode()), isatty=lambda: False))
    code, out, _ = call("predict", "several", "-", "--task", "text", "--max-new-tokens", "3", "--temperature", "0.5")
    assert code == 0
    assert [one["text"] for one in objects(out)] == ["red", "天气"]
    assert all(len(one["completion"]) <= 3 for one in objects(out))


def test_a_bad_line_leaves_no_half_file(call, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"sentence": "a"}\n{"sentence": 3}\n')
    result = call("predict", "model", tmp_path / "a.jsonl", "-o", tmp_path / "out.jsonl")
    one_line(result, 2, r"a.jsonl:2: the text is a number \(3\), text is expected")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_mistakes_of_predict_are_one_line(call, tmp_path):
    one_line(call("predict", "none", "-t", "a"), 2, r"none: no such folder; a model directory is expected")
    one_line(call("predict", "several", "-t", "a"), 2, r"the model has several sets, name one \(--set")
    one_line(call("predict", "model", "data/moods_valid.tsv", "--column", "x"), 2, r"no column 'x' for text, there are")
    one_line(call("predict", "model", "data/moods_valid.tsv", "-t", "a"), 2, r"give FILE or --text, not both")
    one_line(call("predict", "model", "-t", "a", "-o", tmp_path / "no" / "b"), 2, r"cannot write: No such file or dir")
    one_line(call("predict", "model", "-t", "a", "--temperature", "-1"), 2, r"temperature: -1.0 is not allowed")


def test_metrics_are_printed_as_a_table_and_as_json(call):
    code, out, err = call("evaluate", "model", "--data", "space.yaml", "--home", "none")
    assert code == 0
    assert re.fullmatch(r"(warning: the model is no better than chance on its valid data \(.*\)\n)?", err)
    assert "model on moods (classification), valid: 16 examples" in out
    assert "f1_macro" in out
    code, out, _ = call("evaluate", "model", "--data", "data/moods_valid.tsv", "--json")
    found = json.loads(out)
    assert (code, found["sets"]["moods"]["examples"]) == (0, 16)
    assert 0 <= found["sets"]["moods"]["metrics"]["accuracy"] <= 1


def test_mistakes_of_evaluate_are_one_line(call, tmp_path):
    def said(*arguments):
        return call("evaluate", "model", "--data", *arguments)

    one_line(said("none.csv"), 2, r"none.csv: no such file")
    one_line(said("none.yaml"), 2, r"none.yaml: no such file")
    one_line(said("space.yaml", "--set", "x"), 2, r"no data set 'x'; allowed: moods")
    one_line(said("space.yaml", "--column", "text=a"), 2, r"task and columns are of a data file; a space file has its")
    one_line(said("data/moods_valid.tsv", "--column", "text"), 2, r"'text': KEY=NAME is expected, as in text=body")
    one_line(
        said("data/moods_valid.tsv", "--column", "a=b"), 2, r"column a=b: classification has no 'a'; allowed: text"
    )
    (tmp_path / "train.en").write_text("Judging from this, all is well, or so\nA second line\n")
    wanted = r"a text file without columns; a table \(csv, tsv, jsonl, parquet\) with 'sentence' and 'mood' is expected"
    one_line(said(tmp_path / "train.en"), 2, rf"train.en: {wanted}")
    (tmp_path / "a.tsv").write_text("sentence\tmood\nred\thot\nblue\tcold\n")
    one_line(said(tmp_path / "a.tsv"), 2, r"labels that the model does not know: 'hot'; it knows 'cold', 'mild', 'warm")
