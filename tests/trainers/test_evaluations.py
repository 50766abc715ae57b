"""A trainer's evaluations: converted to plain values, or one line that fails the trial."""

import json

import numpy as np
import pytest
import torch

from hpsearch.contract import Evaluation, TrainingPoint
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.launchers.session import Session
from hpsearch.search.study import read_history
from hpsearch.testing.launchers import task, worker_settings
from hpsearch.trainers import Trainer, TrialTask
from hpsearch.trainers.evaluations import evaluations, evaluations_of_many
from tests.searching import evaluation, experiment, go, opened, toy_with

PLAIN = {"index": 1, "step": 1, "progress": 0.5, "metrics": {"val/loss": 1.0}}
CASES = {
    "no step": ({"step": None}, "step is None; allowed: an integer from 0"),
    "a negative step": ({"step": -3}, "step is -3; allowed: an integer from 0"),
    "a huge step": ({"step": 2**63}, "step is 9223372036854775808; allowed: an integer from 0"),
    "a step in words": ({"step": "1"}, "step is '1'; allowed: an integer from 0"),
    "a true index": ({"index": True}, "index is True; allowed: an integer from 1"),
    "half an index": ({"index": 1.5}, "index is 1.5; allowed: an integer from 1"),
    "index 0": ({"index": 0}, "index is 0; allowed: an integer from 1"),
    "progress in words": ({"progress": "half"}, "progress is 'half'; allowed: a number from 0 to 1"),
    "progress in percent": ({"progress": 40}, "progress is 40; allowed: a number from 0 to 1"),
    "no progress yet": ({"progress": -1}, "progress is -1; allowed: a number from 0 to 1"),
    "progress nan": ({"progress": np.nan}, "progress is nan; allowed: a number from 0 to 1"),
    "endless seconds": ({"seconds": np.inf}, "seconds is inf; allowed: a finite number from 0"),
    "an array": ({"step": np.ones((2, 2))}, "step is array([[1., 1... [1., 1.]]); allowed: an integer from 0"),
    "a name that is a number": ({"metrics": {7: 1.0}}, "metrics name is 7; allowed: a string"),
    "a name that is no text": ({"metrics": {"\ud800": 1.0}}, r"metrics name is '\ud800'; allowed: a string"),
    "no metrics": ({"metrics": None}, "metrics is None; allowed: a dict"),
    "no points": ({"points": None}, "points is None; allowed: a list of TrainingPoints"),
    "a point's step": ({"points": [TrainingPoint("a", 0, 0.0, {})]}, "points.step is 'a'; allowed: an integer from 0"),
    "a branch": ({"branch": {"training": 3}}, "branch is 3; allowed: a dict"),
    "a branch's value": (
        {"branch": {"training": {"epochs": [1]}}},
        "branch is {'epochs': [1]}; allowed: numbers, strings, booleans and None by section and key",
    ),
    "signatures": ({"signatures": {"bleu": 3}}, "signatures is 3; allowed: a string"),
    "replicates": ({"replicates": {"bleu": 3}}, "replicates is 3; allowed: lists of numbers by metric"),
}


def only(config, handle):
    yield YIELDED


YIELDED: object = None
Only, NAME = toy_with(only), f"python:{__name__}:Only"


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_field_is_one_line(tmp_path, monkeypatch, case):
    values, said = CASES[case]
    monkeypatch.setattr(f"{__name__}.YIELDED", Evaluation(**PLAIN | values))
    session = Session(0, [task(tmp_path)], worker_settings(tmp_path), trainer=NAME, listen=lambda: None)
    [failed] = session.step()
    assert (failed.kind, failed.reason) == ("error", f"ValueError: the Evaluation's {said}")


def test_it_fails_the_trial_and_leaves_no_line_that_cannot_be_read(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(f"{__name__}.YIELDED", Evaluation(**PLAIN | {"step": None}))
    launcher = InlineLauncher(worker_settings(tmp_path), trainer=NAME)
    go(experiment("budget: {trials: 1}\n"), tmp_path / "home", launcher=launcher)
    (trial,) = read_history(tmp_path / "home").trials.values()
    assert (trial.outcome, trial.evaluations, caplog.records) == ("failed", {}, [])


def test_a_study_with_a_line_that_cannot_be_read_is_resumed(tmp_path, caplog):
    """As an earlier version left it, when its driver had died of the line."""
    wanted = experiment("budget: {trials: 2}\n")
    study, _ = go(wanted, tmp_path, kill_after=2)
    study = opened(wanted, tmp_path)
    bad = evaluation(2, 1.0).to_dict() | {"step": None, "progress": "half"}
    study.journal.append("evaluation", trial=0, attempt=1, evaluation=bad)
    study.journal.close()
    study, _ = go(wanted, tmp_path)
    assert all(trial.state for trial in study.history.trials.values())
    assert 2 in study.history.trials[0].evaluations
    assert "damaged lines were skipped" in caplog.text


def checked(*found):
    return list(evaluations(toy_with(lambda config, handle: iter(found))(), None, None))


@pytest.mark.parametrize("indices", [(1, 1), (2, 1), (1, 2, 2)])
def test_indices_rise(indices):
    with pytest.raises(ValueError, match=rf"index={indices[-1]}\) after index {indices[-2]}: indices must rise"):
        checked(*(Evaluation(**PLAIN | {"index": index}) for index in indices))


def test_numbers_of_numpy_and_torch_become_plain(tmp_path):
    point = TrainingPoint(np.int32(1), torch.tensor(2), np.float32(3), {np.str_("train/loss"): torch.tensor(0.5)})
    (found,) = checked(
        Evaluation(
            index=np.int64(1),
            step=np.uint8(4),
            progress=np.float32(0.25),
            metrics={np.str_("val/loss"): np.float64(2.0)},
            tokens=100 / 2,
            epoch=torch.tensor(0.5),
            peak_memory=torch.tensor(7),
            points=(point,),
        )
    )
    plain = Evaluation(
        index=1,
        step=4,
        progress=0.25,
        metrics={"val/loss": 2.0},
        tokens=50,
        epoch=0.5,
        peak_memory=7,
        points=[TrainingPoint(1, 2, 3.0, {"train/loss": 0.5})],
    )
    assert json.dumps(found.to_dict()) == json.dumps(plain.to_dict())
    assert type(next(iter(found.metrics))) is str


def test_a_sum_of_shares_may_exceed_one_by_rounding():
    (found,) = checked(Evaluation(**PLAIN | {"progress": sum([0.1] * 3) + 0.7 + 1e-16 + 1e-15}))
    assert found.progress == 1.0


def branches(config, handle):
    yield Evaluation(**PLAIN)
    yield Evaluation(**PLAIN | {"index": 2})
    yield Evaluation(**PLAIN | {"branch": {"training": {"epochs": np.float32(1.5), "schedule": "wsd"}}})
    yield Evaluation(**PLAIN | BRANCH)


BRANCH = {"index": 3, "branch": {"training": {"epochs": 2}}}


def test_a_branch_leaves_the_curve_where_that_has_been(tmp_path):
    trainer = toy_with(branches)()
    found = evaluations(trainer, None, None)
    next(found), next(found)
    assert next(found).branch == {"training": {"epochs": 1.5, "schedule": "wsd"}}
    with pytest.raises(ValueError, match="a branch from evaluation 3, but the latest is 2"):
        next(found)


# ------------------------------------------------------------------------------------------- of trials trained together


class Saying(Trainer):
    """Yields some pairs for its trials."""

    name = "mine"

    def __init__(self, *pairs):
        self.pairs = pairs

    def train_many(self, tasks):
        yield from self.pairs


def of_many(*pairs, trials=(3, 5)):
    return evaluations_of_many(Saying(*pairs), [TrialTask(trial, None, None) for trial in trials])


def at(index, **more):
    return Evaluation(index=index, step=index, progress=0.5, metrics={"val/loss": 1.0}, **more)


def test_each_trial_has_indices_and_an_end_of_its_own():
    found = of_many((3, at(1)), (np.int64(5), at(1)), (5, at(2)), (5, None), (3, at(2)), (3, None))
    said = [(trial, evaluation and evaluation.index) for trial, evaluation in found]
    assert said == [(3, 1), (5, 1), (5, 2), (5, None), (3, 2)]  # the last one ends with the iterator
    assert all(type(trial) is int for trial, _ in said)


def test_the_peak_of_a_group_is_shared_out():
    found = of_many((3, at(1, peak_memory=100)), (3, None), (5, at(1, peak_memory=101)))
    assert [evaluation.peak_memory for _, evaluation in found if evaluation] == [50, 51]


@pytest.mark.parametrize(
    ("pairs", "kind", "said"),
    [
        ([7], TypeError, "mine yielded 7; allowed: (trial, Evaluation), and (trial, None) at a trial's end"),
        ([(3,)], TypeError, "mine yielded (3,); allowed: (trial, Evaluation), and (trial, None) at a trial's end"),
        ([("3", at(1))], TypeError, "mine yielded ('3', "),
        ([at(1)], TypeError, "mine yielded Evaluation("),
        ([(4, at(1))], ValueError, "mine yielded trial 4; in training: 3, 5"),
        ([(3, None), (3, None)], ValueError, "mine yielded trial 3; in training: 5"),
        ([(3, None), (5, None), (5, at(1))], ValueError, "mine yielded trial 5; in training: none"),
        ([(3, {"val/loss": 1.0})], TypeError, "mine yielded dict, not Evaluation"),
        ([(3, at(2)), (3, at(2))], ValueError, "Evaluation(index=2) after index 2: indices must rise"),
    ],
)
def test_what_a_group_yields_wrongly_is_one_line(pairs, kind, said):
    with pytest.raises(kind) as wrong:
        list(of_many(*pairs))
    assert str(wrong.value).startswith(said)
    assert "\n" not in str(wrong.value)
