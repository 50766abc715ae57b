"""The log of a training's evaluations: what comes again is known with its first time, and a torn line is left out."""

import math
from dataclasses import replace

from hpsearch.contract import Evaluation, TrainingPoint
from hpsearch.final.evaluation_log import EvaluationLog

FIRST = Evaluation(1, 10, 0.5, {"val/loss": math.nan}, points=[TrainingPoint(5, 50, 123.0, {"train/loss": 2.0})])


def test_what_comes_again_has_its_first_time(tmp_path):
    log = EvaluationLog(tmp_path / "evaluations.jsonl")
    noted = log.note(FIRST)
    again = EvaluationLog(tmp_path / "evaluations.jsonl")
    assert again.began == log.began
    found = again.note(replace(FIRST, points=[TrainingPoint(5, 50, 456.0, {"train/loss": 2.0})]))
    assert (found.time, found.points[0].time) == (noted.time, 123.0)
    assert len((tmp_path / "evaluations.jsonl").read_text().splitlines()) == 2


def test_another_value_replaces_the_known_one(tmp_path):
    log = EvaluationLog(tmp_path / "evaluations.jsonl")
    log.note(FIRST)
    log.note(replace(FIRST, metrics={"val/loss": 3.0}))
    assert EvaluationLog(tmp_path / "evaluations.jsonl").known[1].metrics == {"val/loss": 3.0}


def test_a_line_that_a_crash_has_cut_off_is_left_out(tmp_path):
    path = tmp_path / "evaluations.jsonl"
    EvaluationLog(path).note(FIRST)
    path.write_bytes(path.read_bytes() + b'{"at": 3, "ind')
    log = EvaluationLog(path)
    assert list(log.known) == [1]
    log.note(replace(FIRST, index=2))
    assert list(EvaluationLog(path).known) == [1, 2]
