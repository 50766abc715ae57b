"""Which files a training has written, and which somebody else may have."""

import subprocess
import sys

import pytest

from hpsearch.preflight.checking import surroundings
from hpsearch.preflight.checking.surroundings import Files, Processes


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings, "SETTLED", 0.0)
    return Files([tmp_path], without=[])


def never(path):
    return False


def test_what_each_training_writes_is_the_trainings(files, tmp_path):
    for number in range(4):
        (tmp_path / "model.bin").write_text("x" * number)
        (tmp_path / f"run{number}.log").write_text("x")  # a name of its own for each
        files.trained()
    (tmp_path / "sub").mkdir()
    ours, unknown = files.written(never)
    assert [path.name for path in ours] == ["model.bin", "run0.log", "run1.log", "run2.log", "run3.log"]
    assert unknown == []


def test_what_changed_once_may_be_somebody_elses(files, tmp_path):
    files.trained()
    (tmp_path / "b2.log").write_text("x")
    files.trained()
    files.trained()
    assert files.written(never) == ([], [tmp_path / "b2.log"])


def test_what_changes_while_nothing_trains_is_somebody_elses(files, tmp_path):
    (tmp_path / "other.log").write_text("")
    files.idle()
    for number in range(3):
        (tmp_path / "other.log").write_text("x" * number)
        (tmp_path / "mine.txt").write_text("x" * number)
        files.trained()
    ours, unknown = files.written(never)
    assert (ours, unknown) == ([tmp_path / "mine.txt"], [])


def test_a_file_that_another_process_holds_open_is_its_own(files, tmp_path):
    held, processes = tmp_path / "b2.log", Processes()
    with held.open("wb") as log:
        wait = [sys.executable, "-c", "input()"]
        environment = {"PATH": "/usr/bin:/bin"}  # without the mark of a worker
        other = subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=log, env=environment)
    try:
        assert processes.open_elsewhere(held)
        assert not processes.open_elsewhere(tmp_path / "none")
        for number in range(3):
            held.write_text("x" * number)
            files.trained()
        assert files.written(processes.open_elsewhere) == ([], [held])
    finally:
        processes.close()
        other.communicate()
