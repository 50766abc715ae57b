"""`hpsearch train`: what it refuses, and how it is stopped; tests/final/test_training.py tests the training."""

import json
import re
import signal
import time

import pytest

from tests.cli.processes import end, started, wait_for
from tests.cli.test_run import one_line
from tests.conftest import TOY_SPACE

TINY = """
study: final
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 16}
training: {epochs: 3000, batch_size: 2}
evaluation: {times: 500}
"""


def test_ranges_are_refused_with_their_place(call, space_file, tmp_path):
    result = call("train", space_file(TOY_SPACE), "-o", tmp_path / "model", "--home", tmp_path / "home")
    one_line(result, 2, r"space.yaml:\d+:\d+: learning_rate is a range; a training needs one value")
    assert not (tmp_path / "model").exists()


def test_a_missing_config_and_a_wrong_one_are_one_line(call, space_file, tmp_path):
    one_line(call("train", tmp_path / "none.yaml"), 2, r"none.yaml")
    one_line(call("train", space_file("training: {epochs: -1}\n")), 2, r"space.yaml:2:\d+: training.epochs")
    one_line(call("train", space_file(""), "--threads", "0"), 2, r"--threads")
    one_line(call("train", space_file(""), "--seeds", "0"), 2, r"--seeds.*1<=x<=100")
    one_line(call("train", space_file(""), "--data", "test"), 2, r"--data.*'train', 'train\+valid'")


def test_what_cannot_be_registered_is_one_line_before_anything_is_trained(call, space_file, tmp_path):
    to = ("-o", tmp_path / "model", "--home", tmp_path / "home")
    config = space_file(TINY)
    one_line(call("train", config, "--register", "a/b", *to), 2, r"cannot register a model as 'a/b': .*no / and no :")
    one_line(call("train", config, "--register", "a", "--alias", "v1", *to), 2, r"the alias 'v1': MLflow reserves")
    one_line(call("train", config, "--alias", "champion", *to), 2, r"an alias is one of a registered model")
    code = "from hpsearch import Section, Trainer\n\n\nclass Fit(Section):\n    rate: float = 0.1\n\n\n"
    code += 'class Mine(Trainer):\n    sections = {"fit": Fit}\n'
    (tmp_path / "exportless.py").write_text(code)
    own = tmp_path / "own.yaml"
    own.write_text('study: own\ntrainer: "python:exportless:Mine"\nfit: {rate: 0.2}\n')
    one_line(call("train", own, "--register", "a", *to), 2, r"nothing to register: the trainer .* exports no model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        ("pass", "{}: metrics.json and hpsearch.json, and no model: the function wrote nothing to trial.folder; save "),
        ("(trial.folder / 'weights.json').write_text('[1]')", "model: {}  (what the function wrote to trial.folder)"),
    ],
)
def test_a_function_that_writes_no_model_is_warned_of(call, tmp_path, monkeypatch, writes, said):
    monkeypatch.chdir(tmp_path)
    name = "writes" + "".join(filter(str.isalpha, writes))[:20]
    (tmp_path / f"{name}.py").write_text(f"def train(config, trial):\n    {writes}\n    return 0.5\n")
    (tmp_path / "best.yaml").write_text(f"study: mine\ntrain: ./{name}.py:train\n")
    code, out, err = call("train", "best.yaml", "-o", "model")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith(said.format("model"))
    assert out.count("warning: model has no model: the function wrote nothing to trial.folder") == (writes == "pass")
    refused = r"^error: model: it has what your own function wrote, which your code alone can load; there is no config"
    one_line(call("predict", "model", "some text"), 2, refused)


def test_a_folder_that_holds_something_is_refused(call, space_file, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    result = call("train", space_file(TINY), "-o", tmp_path / "model", "--home", tmp_path / "home")
    one_line(result, 2, r"is not empty; choose another output folder")


def test_missing_data_are_named_with_their_place(call, space_file, tmp_path):
    path = space_file(TINY, data="{text: {task: text, files: {train: data/none.txt, valid: data/valid.txt}}}")
    result = call("train", path, "-o", tmp_path / "model", "--home", tmp_path / "home")
    one_line(result, 2, r"space.yaml:1:\d+: data.text: .*none.txt")


def test_what_is_cut_is_said(call, space_file, tmp_path):
    data = (
        "{moods: {task: classification, files: {train: data/moods.tsv}, text: sentence, label: mood, truncate: left}}"
    )
    path = space_file(TINY.replace("3000, batch_size: 2", "1, batch_size: 8").replace("500", "1"), data=data)
    code, out, err = call("train", path, "-o", tmp_path / "model", "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    for part in ("train", "valid", "test"):
        assert f" {part} examples (" in out
    assert out.count("are cut at context 16: ") == out.count("texts lose their beginning (truncate: left)") == 3


def test_ctrl_c_saves_the_state_and_says_how_to_go_on(story, space_file, tmp_path):
    home, checkpoints = story.home, tmp_path / "model" / "checkpoints"
    path = space_file(TINY.replace("times: 500", "times: 1"))  # the one evaluation is far away
    command = ["train", path.name, "-o", "model", "--home", home]
    process = started(*command, cwd=tmp_path, FORCE_COLOR="1")  # bars as in a terminal
    try:
        wait_for(lambda: checkpoints.exists() or process.poll() is not None)
        time.sleep(2)  # the training begins
    finally:
        out, err = end(process, signal.SIGINT)
    assert (process.returncode, err) == (130, "")
    assert f"Resume with: hpsearch train space.yaml -o model --home {home}" in out
    assert re.search(r"training\W", out), "the status said something else while it trained"
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["checkpoints"]
    with (checkpoints / "seed-0" / "last.pt").open("rb") as file:
        assert json.loads(file.readline())["bytes"] > 0


@pytest.mark.slow
def test_what_was_read_is_said_and_a_test_without_labels_is_no_test(call, space_file, corpus_files, tmp_path):
    (corpus_files / "test.tsv").write_text("sentence\nit is blue today\nit is red\n")
    files = "{train: data/moods.tsv, test: data/test.tsv}"
    mine = f"{{moods: {{task: classification, files: {files}, text: sentence, label: mood}}}}"
    space = space_file(TINY.replace("3000", "0.1").replace("500", "1"), data=mine)
    code, out, err = call("train", space, "-o", tmp_path / "model", "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    assert "data.moods: 72 train, 8 valid examples (no test: it has no labels); 2 labels: cold 36, warm 36\n" in out
    assert "no test split: the model is not tested\n" in out
    assert "data.moods: the test split has no labels: the model is not tested on it\n" in out
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert {name.split("/")[0] for name in metrics} == {"val"}
