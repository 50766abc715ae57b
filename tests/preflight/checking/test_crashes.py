"""The advice about a training that fails follows from how it failed."""

from pathlib import Path

import pytest

from hpsearch.launchers.messages import Failed
from hpsearch.preflight.checking import judgement
from hpsearch.preflight.checking.trainings import Course


def failed(reason, *, kind="error", place="", folder=Path("0000"), overdue=False):
    course = Course(folder, 0, place=place, overdue=overdue)
    course.end = Failed(0, 0, kind, reason)
    return course


@pytest.mark.parametrize(
    ("trainer", "course", "said"),
    [
        (
            "function",
            failed("RuntimeError: no", place=" (mine.py:7)"),
            "correct the error that the training raised at mine.py:7",
        ),
        (
            "function",
            failed("KeyError: 'learning_rate'", place=" (mine.py:7)"),
            "if 'learning_rate' is to be of the config, take a name that it has at mine.py:7: lr, width",
        ),
        ("function", failed("KeyError: 'lr'"), "correct the error that the training raised, or catch it there"),
        ("function", failed("NotStorable: state.model: a Module"), "trial.save takes numbers, texts, lists, dicts"),
        ("function", failed("out of memory: x", kind="out_of_memory"), "the smallest config needs more memory"),
        ("python:mine:Mine", failed("its worker ended", kind="died"), "its process ended without an error"),
        ("program", failed("ProgramFailed: exit code 3: no such file"), "correct the program by its last lines"),
        (
            "program",
            failed("ProgramFailed: it ended twice with exit code 75 (resume me)"),
            "exit code 75 means resume me",
        ),
        (
            "program",
            failed("out of memory: exit code 137: Killed", kind="out_of_memory"),
            "it was killed (kill -9), mostly because memory ran out",
        ),
        ("program", failed("out of memory: signal 9: x", kind="out_of_memory"), "it was killed (kill -9)"),
        ("program", failed("ProgramFailed: exit code 127: sh: none: not found"), "exit code 127 is a shell's"),
        ("function", failed("the folder is not yours", kind="user"), "correct what the line names"),
    ],
)
def test_the_advice_follows_the_failure(trainer, course, said):
    found = judgement.evaluations(course, "val/loss", kind=trainer, seconds=9, names=["lr", "width"])
    assert found.line == f"the training failed: {course.end.reason}{course.place}"
    assert found.mend.startswith(said)
    assert found.not_promised == "every trial that fails like this one is lost"


def test_the_last_lines_of_the_output_are_shown(tmp_path):
    (tmp_path / "log.txt").write_text("\n".join(f"line {n}" for n in range(9)) + "\n\n")
    found = judgement.evaluations(
        failed("ProgramFailed: exit code 3: line 8", folder=tmp_path), "val/loss", kind="program", seconds=9
    )
    assert found.output == ("line 4", "line 5", "line 6", "line 7", "line 8")


def test_no_evaluation_in_time_is_no_failure_of_every_trial(tmp_path):
    found = judgement.evaluations(
        failed("killed", folder=tmp_path, overdue=True), "val/loss", kind="function", seconds=9
    )
    assert found.not_promised.startswith("nothing is known of the rest")
    assert "--trial-seconds" in found.mend
