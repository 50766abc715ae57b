"""Tasks of the user's own, by "python:module:Class": found beside the space file, here and in workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from hpsearch.config import Column, TokenizerConfig
from hpsearch.contract import Command
from hpsearch.data.corpus import Corpus
from hpsearch.errors import ConfigError
from hpsearch.launchers.local import LocalLauncher
from hpsearch.launchers.messages import Ended, Failed, Task
from hpsearch.space.experiment import Experiment
from hpsearch.tasks import TASKS, TaskSet, register
from hpsearch.testing.launchers import TOY, drive, place, task, worker_settings
from hpsearch.trainers import load

NAME = "python:shades_of_words:Shades"
MODULE = """
from hpsearch.tasks import Metric, TaskSet

print("imported")  # a worker does the same

class Shades(TaskSet):
    METRICS = (Metric("shade"),)
    shade: str = "grey"

    def example_columns(self):
        return {"text": self.shade}

number = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the task's module, which this process forgets afterwards."""
    path, known = list(sys.path), dict(TASKS)
    (tmp_path / "shades_of_words.py").write_text(MODULE)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("shades_of_words", None)
    TASKS.clear()
    TASKS.update(known)


def experiment(folder: Path, name: str = NAME, **keys: Any) -> Experiment:
    data = {"words": {"task": name, "files": "words.csv", **keys}}
    return Experiment.of({"study": "mine", "data": data, "budget": {"trials": 1}}, base=folder)


def trial(folder: Path, **data_set: Any) -> Task:
    """A trial of the toy trainer with this data set."""
    made = task(folder)
    return replace(made, config={**made.config, "data": {"words": {"files": {"train": "a.csv"}, **data_set}}})


def ended_in_a_worker(folder: Path, trial: Task) -> Any:
    """The last message about the trial from a worker process."""
    launcher = LocalLauncher([worker_settings(folder)], trainer=TOY)
    try:
        place(launcher, trial)
        return drive(launcher)[1]
    finally:
        launcher.close()


def test_a_task_is_found_beside_the_space_file(folder: Path) -> None:
    found = experiment(folder, shade="ash").space_file.config.data["words"]
    assert (found.task, found.task_name, found.example_columns()) == (NAME, NAME, {"text": "ash"})
    assert isinstance(found, sys.modules["shades_of_words"].Shades)


def test_the_task_of_the_docs_works(folder: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "space.md").read_text()
    (folder / "shades_of_words.py").write_text(docs.split("# copying.py\n")[1].split("```")[0])
    rows = "".join(f"some words {i}\n" for i in range(30))
    (folder / "words.csv").write_text(f"word\n{rows}")
    config = experiment(folder, "python:shades_of_words:Copy").space_file.config
    corpus = Corpus.open(config.data, TokenizerConfig(kind="bytes"), cache=folder, base=folder)
    tokens: Any = corpus.sets["words"].splits["train"]
    assert list(tokens.sources) == list(tokens.references)


def test_the_name_is_part_of_the_identity_as_it_stands(folder: Path) -> None:
    assert experiment(folder).identity()["data"]["words"]["task"] == NAME


def test_keys_of_the_task_are_checked(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.words.shad: unknown key; did you mean 'shade'"):
        experiment(folder, shad="ash")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("python:no_such:Shades", "cannot be imported (ModuleNotFoundError: No module named 'no_such')"),
        ("python:shades_of_words:Hues", "module shades_of_words has no attribute 'Hues'"),
        ("python:shades_of_words:number", "has no subclass of hpsearch.tasks.TaskSet named 'number'"),
        ("python:shades_of_words", 'names no class of a module; write task: "python:module:Class"'),
    ],
)
def test_a_task_that_cannot_be_loaded_is_one_line(folder: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment(folder, name)
    assert message in str(caught.value)
    assert str(caught.value).startswith("space: data.words: ")
    assert "\n" not in str(caught.value)


def test_a_worker_process_finds_the_task(folder: Path) -> None:
    last = ended_in_a_worker(folder, trial(folder, task=NAME, shade="ash"))
    assert isinstance(last, Ended), last
    assert last.command is Command.CONTINUE


class Registered(TaskSet):
    """A task that this process alone knows."""

    task: Literal["only_here"]

    def example_columns(self) -> dict[str, Column]:
        return {"text": "text"}


def test_a_task_that_a_worker_does_not_know_is_one_line(folder: Path) -> None:
    register(Registered)
    made = trial(folder, task="only_here")
    load(TOY, folder).config.model_validate(made.config)
    last = ended_in_a_worker(folder, made)
    assert isinstance(last, Failed)
    assert last.kind == "user"
    assert "data.words.task: must be one of" in last.reason
    assert "not 'only_here'; a task of your own: task: \"python:module:Class\"" in last.reason


def test_an_edited_task_is_loaded_again_and_one_of_another_folder_is_refused(folder: Path) -> None:
    assert experiment(folder).space_file.config.data["words"].shade == "grey"
    (folder / "shades_of_words.py").write_text(MODULE.replace('"grey"', '"blue"'))
    assert experiment(folder).space_file.config.data["words"].shade == "blue"
    (folder / "other").mkdir()
    (folder / "other" / "shades_of_words.py").write_text(MODULE)
    with pytest.raises(ConfigError, match=r"has imported another module 'shades_of_words' \(.*; rename one of the two"):
        experiment(folder / "other")
    assert experiment(folder).space_file.config.data["words"].shade == "blue"
