"""Data that could not be read again, or are no longer where a config says: what the driver says of them."""

import sys

import pytest

from hpsearch.errors import DataError, StudyMismatch
from hpsearch.home.home import Home
from hpsearch.preflight.preparation import prepare
from hpsearch.space.experiment import Experiment
from tests.conftest import TOY_SPACE
from tests.search.test_driver import open_once, quiet


def test_a_function_that_shuffles_is_told_at_the_first_run_and_named_at_the_second(tmp_path, space_file):
    (tmp_path / "shuffling.py").write_text(
        "import random\nTEXTS = [f'{i} and some words ' * 50 for i in range(40)]\n"
        "def f(): return random.sample(TEXTS, 40)\n"
    )
    path, said = space_file(TOY_SPACE, data="{own: {task: text, dataset: 'python:shuffling:f'}}"), []
    open_once(path, tmp_path / "home", say=said.append)
    order = "data.own: python:shuffling:f returned its examples in another order when it was called again"
    assert [line.split(": this study")[0] for line in said] == [f"warning: {order}"]
    with pytest.raises(StudyMismatch, match=r"data.own: contents .* \(python:shuffling:f: a function that shuffles"):
        open_once(path, tmp_path / "home")
    del sys.modules["shuffling"]


@pytest.mark.parametrize(
    ("base", "data", "said"),
    [
        (
            "gone/there",
            "{files: {train: a.txt}, task: text}",
            "gone/there (FILE:1:7: base), which is not there: was this",
        ),
        ("../..", "{files: {train: a.txt}, task: text}", "(FILE:1:7: base), which may no longer fit: was this"),
        ("../..", "{task: text, dataset: 'python:no_such_module_here:f'}", "(FILE:1:7: base), which may no longer fit"),
    ],
)
def test_a_moved_best_yaml_is_answered_with_its_base(tmp_path, base, data, said):
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = tmp_path / "a" / "b" / "best.yaml"
    path.write_text(f"base: {base}\ndata: {{own: {data}}}\n")
    with pytest.raises(DataError) as refusal:
        prepare(Experiment.load(path), Home(tmp_path / "home"), quiet)
    assert said.replace("FILE", str(path)) in str(refusal.value)
    assert "its path begins in " + str(tmp_path) in str(refusal.value)
    assert not (tmp_path / "home").exists()


def test_a_missing_file_of_a_space_without_base_is_only_missing(space_file, tmp_path):
    path = space_file(data="{text: {task: text, files: {train: data/none.txt}}}")
    with pytest.raises(DataError, match=r"none.txt: no such file(?!.*was this file moved)"):
        prepare(Experiment.load(path), Home(tmp_path / "home"), quiet)
