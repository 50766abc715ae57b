"""The README's list of commands, run in its order on small data: each finds the study that the first ones make."""

import re
import shlex
from pathlib import Path

import pytest

from hpsearch.document.document import parse
from tests import blank
from tests.faults.zygote import NoViews
from tests.preflight.draft.files import labelled

README = Path(__file__).parents[2] / "README.md"
SMALL = """
budget: {trials: 1}
objective: {metric: val/f1_macro}
search: {overfitting: false, confirm: {top: 1, seeds: 2}}
model: {n_layers: 1, width: 16, n_heads: 2, context: 64}
evaluation: {times: 2}
training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}, epochs: {low: 1, high: 4}, batch_size: 16}
resources: {launcher: inline}
tokenizer: {kind: bytes}
"""
SERVES = {"ui"}  # until it is ended; tests/cli/test_ui.py
LONG = {"plan", "check", "extend", "confirm", "audit", "verify", "train", "predict", "evaluate"}  # they train


def listed():
    """The arguments of each command below "From data to model"."""
    [block] = re.findall(r"^## From data to model\n\n```sh\n(.*?)^```", README.read_text(), re.M | re.S)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the files that the README names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", NoViews)
    blank.home(tmp_path / "mlruns")
    for name, n in (("train", 60), ("valid", 30), ("test", 30), ("new", 30)):
        labelled(tmp_path / f"{name}.tsv", n, header=("sentence", "label"), separator="\t")
    labelled(tmp_path / "reviews.csv", 30, header=("sentence", "label"))
    return tmp_path


def follow(here, call, commands):
    """Runs the commands in order; the drafted space is made small before the search."""
    for name, *arguments in commands:
        if name == "run":
            drafted = parse((here / "space.yaml").read_text(), path="space.yaml").value
            [data] = drafted["data"].values()
            assert data["files"] == {"train": "train.tsv", "valid": "valid.tsv", "test": "test.tsv"}
            (here / "space.yaml").write_text(f"study: {drafted['study']}\ndata: {drafted['data']}\n{SMALL}")
        code, out, err = call(name, *("2" if one == "10" else one for one in arguments))
        if name == "pause":
            assert (code, "study 'space' is not running" in err) == (1, True), err  # there is such a study
        elif name == "audit":
            assert (code, "study 'space': none of its trials was pruned" in err) == (2, True), err
        else:
            assert code == 0, (name, out, err)
        if name == "run":
            assert call("run", "space.yaml", "--study", "other")[0] == 0  # for `compare`
        yield name, out


def test_the_commands_of_the_readme_find_what_those_before_them_made(here, call):
    commands = [words for words in listed() if words[0] not in SERVES | LONG]
    said = dict(follow(here, call, commands))
    assert list(said)[:3] == ["new", "run", "watch"]
    assert "study space has finished" in said["watch"]
    assert "space" in said["list"]
    assert (here / "best.yaml").exists()


@pytest.mark.slow
def test_all_commands_of_the_readme_run_in_their_order(here, call):
    said = dict(follow(here, call, [words for words in listed() if words[0] not in SERVES]))
    assert set(said) >= LONG
    assert (here / "model" / "metrics.json").exists()
