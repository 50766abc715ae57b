"""What courses of trainings tell of a trainer, without training."""

import math
from pathlib import Path

import pytest

from hpsearch.contract import Command, Evaluation
from hpsearch.launchers.messages import Ended, Failed
from hpsearch.preflight.checking import judgement
from hpsearch.preflight.checking.findings import PARTS, Conformance, fails, keeps, not_checked
from hpsearch.preflight.checking.judgement import NO_SEED, Continued, Likeness
from hpsearch.preflight.checking.trainings import Course

LOSS = "val/loss"
OWN = {"kind": "function"}


def course(*losses, first=1, whole=True, told_after=0, failure="", progress=None, took=0.5):
    """A training with these losses, an evaluation a second."""
    found = Course(Path("0000"), 0)
    n = len(losses) + first - 1
    for index, loss in enumerate(losses, first):
        share = index / n if progress is None else progress[index - first]
        found.evaluations.append(Evaluation(index, index, share, {} if loss is None else {LOSS: loss}))
        found.at.append(float(index))
    found.told_after, found.told_at = told_after, float(told_after or math.nan)
    command = Command.CONTINUE if whole else Command.PAUSE
    found.end = Failed(0, 0, "error", failure) if failure else Ended(0, 0, command)
    found.ended_at = (found.told_at if told_after else float(n)) + took
    return found


A, SAME, OTHER = course(3.0, 2.0, 1.0), course(3.0, 2.0, 1.0), course(3.1, 2.2, 1.3)
ROUNDED, OFF = course(3.0, 2.0, 1.0001), course(3.0, 2.0, 1.1)
LIKE = Likeness(LOSS, A, OTHER)


def test_every_part_says_what_is_not_promised_and_how_to_mend_it():
    for name, part in PARTS.items():
        for kind in ("function", "program", "causal_lm", "python:mine:Trainer"):
            found = fails(name, "seen", kind=kind)
            assert (found.passed, found.mark, found.not_promised) == (False, "FAILS", part.not_promised)
            assert found.mend.endswith("(docs/own_training.md, Check it)")
            assert len(found.mend) > 40


def test_the_promise_follows_the_finding():
    """A training that goes on to another curve does not start anew."""
    for judge, when in ((judgement.resumes, "Ctrl-C"), (judgement.killed, "kill -9")):
        stopped = course(3.0, 2.0, whole=False, told_after=2)
        other = judge(LIKE, Continued(stopped, OFF, False), **OWN)
        assert "has another result than the same trial undisturbed" in other.not_promised
        assert "starts anew" not in other.not_promised
        assert when in other.not_promised
        assert "random numbers" in other.mend
        anew = judge(LIKE, Continued(stopped, None, True), **OWN)
        assert "starts anew: its time so far is lost" in anew.not_promised
        fell = judge(LIKE, Continued(stopped, course(failure="ValueError: no"), False), **OWN)
        assert fell.not_promised.endswith("fails where it resumes")
        assert fell.mend.startswith("correct the error that the training raised")


def test_a_result_is_ok_if_nothing_fails():
    found = [keeps("seed", "x"), not_checked("memory", "why")]
    assert Conformance("s", "function", {}, "cpu", tuple(found)).ok
    broken = Conformance("s", "function", {}, "cpu", (*found, fails("files", "x", kind="function")))
    assert not broken.ok
    assert [one.name for one in broken.failed] == ["files"]
    assert broken.finding("memory").line == "not checked: why"
    assert broken.to_dict()["findings"][2]["passed"] is False
    with pytest.raises(KeyError):
        broken.finding("none")


@pytest.mark.parametrize(
    ("found", "passed", "said"),
    [
        (judgement.evaluations(A, LOSS, seconds=9, **OWN), True, "3 evaluations with val/loss in a whole training"),
        (
            judgement.evaluations(course(1.0, whole=False), LOSS, seconds=9, **OWN),
            True,
            "1 evaluation with val/loss in 1.0 s of a training",
        ),
        (
            judgement.evaluations(course(1.0, None), LOSS, seconds=9, **OWN),
            False,
            "evaluation 2 has no val/loss, the objective; it has no metric",
        ),
        (
            judgement.evaluations(course(), LOSS, seconds=9, **OWN),
            False,
            "no evaluation within 9 s; --trial-seconds gives it more",
        ),
        (
            judgement.evaluations(course(failure="a bug"), LOSS, seconds=9, **OWN),
            False,
            "the training failed: a bug",
        ),
        (judgement.finite(A, **OWN), True, "every metric is finite"),
        (judgement.finite(course(1.0, math.nan), **OWN), False, "val/loss is nan at evaluation 2"),
        (judgement.progress(A, 1.0, **OWN), True, "it grows, and ends at 1"),
        (judgement.progress(course(1, 1, progress=[0.2, 0.4]), 0.4, **OWN), True, "it grows, and ends at 0.4"),
        (
            judgement.progress(course(1, 1, progress=[0.2, 0.4]), 1.0, **OWN),
            False,
            "the training ended at progress 0.4, not 1",
        ),
        (
            judgement.progress(course(1, 1, progress=[0.2, 0.4], whole=False), 1.0, **OWN),
            True,
            "it grows, to 0.4; no training ended in the time of the check",
        ),
        (judgement.progress(course(1, 1, progress=[0, 0]), 1.0, **OWN), False, "it does not say its progress"),
        (
            judgement.progress(course(1, 1, 1, progress=[0.5, 0.5, 1]), 1.0, **OWN),
            False,
            "it does not grow: 0.5 comes after 0.5",
        ),
        (
            judgement.progress(course(1, 1, 1, progress=[0.5, 0.2, 1]), 1.0, **OWN),
            False,
            "it does not grow: 0.2 comes after 0.5",
        ),
        (
            judgement.seed(LIKE, SAME, OTHER, **OWN),
            True,
            "one seed gives one curve, to the last bit; another seed another one",
        ),
        (
            judgement.seed(LIKE, ROUNDED, OTHER, **OWN),
            True,
            "one seed gives one curve, within 0.0001; another seed another one",
        ),
        (judgement.seed(LIKE, OFF, OTHER, **OWN), False, "two trainings with one seed differ (val/loss within 0.09)"),
        (
            judgement.seed(Likeness(LOSS, A, SAME), SAME, SAME, **OWN),
            False,
            "another seed gives the same curve: the training does not use it",
        ),
        (judgement.seed(LIKE, course(failure="a bug"), OTHER, **OWN), False, "a second training failed: a bug"),
        (
            judgement.together(LIKE, [SAME, SAME], True, **OWN),
            True,
            "two trainings at once have the curve of one alone",
        ),
        (
            judgement.together(LIKE, [SAME, OFF], True, **OWN),
            False,
            "two trainings at once differ from one alone (val/loss within 0.09)",
        ),
        (
            judgement.together(LIKE, [SAME, course(failure="port in use")], True, **OWN),
            False,
            "of two trainings at once, one failed: port in use",
        ),
        (judgement.together(LIKE, [SAME], True, **OWN), None, "not checked: this machine has the GPUs of one worker"),
        (
            judgement.together(LIKE, [SAME, OFF], False, **OWN),
            None,
            "not checked: two trainings with one seed differ, also one after the other",
        ),
        (
            judgement.memory({1: [5, 6, 7], 2: [5]}, leaks=False, **OWN),
            True,
            "a worker does not grow over 3 trainings",
        ),
        (
            judgement.memory({1: [0, 2**27, 2**28]}, leaks=False, **OWN),
            False,
            "a worker kept 256 MiB more after its last training than after its first (3 trainings)",
        ),
        (judgement.memory({1: [0, 2**30]}, leaks=False, **OWN), None, "not checked: no worker had three trainings"),
        (
            judgement.memory({}, leaks=True, **OWN),
            False,
            "a worker kept so much memory of a training that it was replaced",
        ),
        (judgement.files([], base=Path("/a"), **OWN), True, "it writes in its folder alone"),
        (
            judgement.files([Path(f"/a/{n}") for n in "12345"], base=Path("/a"), **OWN),
            False,
            "it wrote elsewhere: 1, 2, 3 and 2 more",
        ),
        (judgement.files([Path("/b/1")], base=Path("/a"), **OWN), False, "it wrote elsewhere: /b/1"),
        (
            judgement.files(None, base=Path("/a"), **OWN),
            None,
            "not checked: the space file's folder has too many files to watch",
        ),
        (judgement.processes([], **OWN), True, "no process outlives its training"),
        (judgement.processes(["7 (sleep)"], **OWN), False, "after a training these still run: 7 (sleep)"),
        (
            judgement.processes(None, **OWN),
            None,
            "not checked: this system does not show which processes a worker has started",
        ),
    ],
)
def test_what_is_found(found, passed, said):
    assert (found.passed, found.line) == (passed, said)
    assert bool(found.not_promised) == bool(found.mend) == (passed is False)


PAUSED = course(3.0, 2.0, whole=False, told_after=2)


@pytest.mark.parametrize(
    ("before", "again", "anew", "passed", "said"),
    [
        (PAUSED, SAME, False, True, "paused after evaluation 2, it goes on to the same curve, to the last bit"),
        (PAUSED, None, True, False, "it does not save its state: a paused training starts anew"),
        (PAUSED, OFF, False, False, "a paused training goes on to another curve (val/loss within 0.09)"),
        (
            PAUSED,
            course(failure="no such key"),
            False,
            False,
            "a paused training does not go on: no such key",
        ),
        (
            PAUSED,
            course(1.0, first=3),
            False,
            True,
            "paused after evaluation 2, it goes on to the same curve, to the last bit",
        ),
        (course(1.0), None, False, None, "not checked: it ended before it could be paused: too few evaluations"),
        (
            course(3.0, told_after=1, failure="a bug"),
            None,
            False,
            False,
            "a training that was told to pause failed: a bug",
        ),
    ],
)
def test_what_a_training_that_goes_on_tells(before, again, anew, passed, said):
    found = judgement.resumes(LIKE, Continued(before, again, anew), kind="function")
    assert (found.passed, found.line) == (passed, said)


def test_a_killed_training_has_failed_and_goes_on_all_the_same():
    died = course(3.0, 2.0, told_after=2, failure="the worker was killed by SIGKILL")
    found = judgement.killed(LIKE, Continued(died, SAME, False), kind="program")
    assert found.line == "killed after evaluation 2, it goes on to the same curve, to the last bit"
    found = judgement.killed(LIKE, Continued(died, None, True), kind="program")
    assert found.line == "it does not save its state: a killed training starts anew"
    assert "HPSEARCH_RESUME" in found.mend


@pytest.mark.parametrize("judge", [judgement.resumes, judgement.killed])
def test_another_curve_says_nothing_of_a_training_whose_seed_does_not_repeat(judge):
    """Its resuming is judged by what it loses alone."""
    stopped = course(3.0, 2.0, whole=False, told_after=2)
    found = judge(LIKE, Continued(stopped, OFF, anew=False, repeats=False), **OWN)
    assert (found.passed, found.not_promised) == (None, "")
    assert found.line.startswith(f"not checked: {NO_SEED}; a ")
    gap = course(9.0, 9.0)
    gap.evaluations.pop(1)
    gap.evaluations.append(Evaluation(3, 3, 1.0, {LOSS: 9.0}))
    lost = judge(LIKE, Continued(stopped, gap, anew=False, repeats=False), **OWN)
    assert (lost.passed, "without evaluation 2" in lost.line) == (False, True)
    anew = judge(LIKE, Continued(stopped, None, anew=True, repeats=False), **OWN)
    assert anew.passed is False
    assert judge(LIKE, Continued(stopped, SAME, anew=False, repeats=False), **OWN).passed is True


STUCK = course(3.0, 2.0, told_after=2, whole=False, took=70)
STUCK.overdue = True


@pytest.mark.parametrize(
    ("told", "grace", "passed", "said"),
    [
        (PAUSED, 0, True, "it stops before its next evaluation, 0.5 s after it is told to"),
        (
            course(3.0, 2.0, told_after=1, whole=False),
            0,
            True,
            "it stops at its next evaluation, 0.5 s after it is told to",
        ),
        (
            course(4.0, 3.0, 2.0, told_after=1, whole=False, took=3.0),
            0,
            False,
            "it went on for 2 evaluations, 3.0 s",
        ),
        (course(4.0, 3.0, 2.0, told_after=1), 0, False, "it went on for 2 evaluations, to its end"),
        (
            course(4.0, 3.0, 2.0, told_after=1, whole=False, took=0.4),
            0,
            True,
            "it stops at its next evaluation, 0.4 s after it is told to",
        ),
        (course(3.0, told_after=1, whole=False, took=30), 0, False, "it went on for 0 evaluations, 30.0 s"),
        (
            course(3.0, told_after=1, whole=False, took=31),
            30,
            False,
            "it did not end at SIGTERM, and was killed after 30 s",
        ),
        (STUCK, 0, False, "it did not stop within 70 s"),
        (course(3.0, 2.0, told_after=1), 0, None, "not checked: it ended before it could be told to"),
        (course(3.0), 0, None, "not checked: it ended before it could be told to"),
    ],
)
def test_how_a_training_stops(told, grace, passed, said):
    found = judgement.stops(told, gap=1.0, grace=grace, kind="function")
    assert (found.passed, found.line) == (passed, said)
