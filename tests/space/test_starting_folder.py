"""Errors about what is not there name the folder that was looked in, where that is not the working folder."""

import pytest

from hpsearch.errors import ConfigError, UserError
from hpsearch.home.home import Home
from hpsearch.preflight.preparation import check
from hpsearch.space.experiment import Experiment

RANGE = "config: {lr: {low: 0.1, high: 1.0}}\n"
MISSING = {
    "function": f"train: ./mine.py:train\n{RANGE}",
    "function of a module": f"train: no_such_module_here:train\n{RANGE}",
    "program": f"command: ./run.sh {{lr}}\n{RANGE}",
    "trainer": "trainer: python:no_such_module_here:Mine\n",
    "file": "data: {own: {task: text, files: {train: a.txt}}}\n",
    "glob": "data: {own: {task: text, files: {train: a*.txt}}}\n",
    "folder": "data: {own: {task: text, dataset: ./data}}\n",
}


def refused(path, tmp_path):
    with pytest.raises(UserError) as refusal:
        check(Experiment.load(path), Home(tmp_path / "home"))
    said = str(refusal.value)
    assert said.count("\n") == 0
    return said


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """A file of this text in a folder of its own, named from a third one."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def write(text):
        (tmp_path / "copy" / "best.yaml").write_text(text)
        return "../copy/best.yaml"

    return write


@pytest.mark.parametrize("kind", MISSING)
def test_a_copied_file_is_answered_with_the_folder_of_its_base(kind, moved, tmp_path):
    said = refused(moved(f"base: ../..\n{MISSING[kind]}"), tmp_path)
    where = f"its path begins in {tmp_path.parent} (../copy/best.yaml:1:7: base), which may no longer fit: was this"
    assert said.count(where) == 1
    gone = refused(moved(f"base: ../gone\n{MISSING[kind]}"), tmp_path)
    assert f"its path begins in {tmp_path}/gone (../copy/best.yaml:1:7: base), which is not there: was this" in gone


@pytest.mark.parametrize("kind", MISSING)
def test_without_base_the_folder_is_that_of_the_file(kind, moved, tmp_path):
    said = refused(moved(MISSING[kind]), tmp_path)
    if kind in ("file", "glob"):  # whose messages have the whole path
        assert ": ../copy/a" in said
        assert "its path begins" not in said
    else:
        assert said.endswith(f"; its path begins in {tmp_path}/copy")


@pytest.mark.parametrize("kind", MISSING)
def test_in_the_working_folder_nothing_is_added(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(MISSING[kind])
    assert "its path begins" not in refused("space.yaml", tmp_path)


@pytest.mark.parametrize("text", ["train: /gone/mine.py:train\n", "train: ./mine.py:other\n", "train: [1]\n"])
def test_other_mistakes_are_not_blamed_on_the_folder(text, moved, tmp_path):
    (tmp_path / "mine.py").write_text("def train(config):\n    pass\n")
    assert "its path begins" not in refused(moved(f"base: ..\n{text}"), tmp_path)


def test_a_package_that_a_module_lacks_is_not_blamed_on_the_folder(moved, tmp_path):
    (tmp_path / "copy" / "lacks_something.py").write_text("import no_such_package_here\n")
    said = refused(moved("trainer: python:lacks_something:Mine\n"), tmp_path)
    assert "No module named 'no_such_package_here'" in said
    assert "its path begins" not in said


def test_a_mapping_names_the_folder_that_was_given_with_it(tmp_path):
    with pytest.raises(ConfigError, match=rf"mine.py:train: no such file; its path begins in {tmp_path}$"):
        Experiment.of({"study": "mine", "train": "./mine.py:train"}, base=tmp_path)


def test_a_path_is_no_module(moved, tmp_path):
    said = refused(moved("trainer: python:./mine.py:Mine\n"), tmp_path)
    assert "./mine.py is a path; write python:mine:Mine, with mine.py in the file's folder" in said
