"""A loaded study: trials, curves and tables, from a journal that another process may be writing."""

import dataclasses

import pytest

import hpsearch
from hpsearch.contract import Evaluation
from hpsearch.outcome import Outcome
from tests.searching import ask, evaluation, experiment, opened


@pytest.fixture
def home(tmp_path):
    """A study of three trials: one completed, one pruned, one running."""
    study = opened(experiment("search: {pruner: none, overfitting: false}\n"), tmp_path / "toy")
    for outcome, losses in (("completed", [3.0, 2.0, 2.5]), ("pruned", [4.0]), (None, [5.0, float("nan")])):
        number = ask(study)
        study.start(number, device="cpu", threads=1, worker=0)
        for index, loss in enumerate(losses, start=1):
            study.report(number, evaluation(index, loss, **{"val/bits": loss / 2}))
        if outcome:
            study.finish(number, Outcome(outcome), "why")
    study.journal.close()
    return tmp_path


@pytest.fixture
def study(home):
    return hpsearch.load("toy", home=home)


def test_a_loaded_study_has_its_trials(study):
    assert [(t.number, t.outcome, t.value) for t in study.trials] == [
        (0, "completed", 2.0),
        (1, "pruned", 4.0),
        (2, "interrupted", 5.0),  # no living process searches the study
    ]
    assert study.best is study.trials[0]
    assert study.best.best == study.best.evaluations[1]
    assert isinstance(study.best.best, Evaluation)
    assert study.best.best.epoch == 2 / 20
    with pytest.raises(dataclasses.FrozenInstanceError):
        study.best.value = 1.0


def test_without_curves_a_trial_has_its_best_evaluation(home, study):
    light = hpsearch.load("toy", home=home, curves=False)
    assert [t.value for t in light.trials] == [t.value for t in study.trials]
    assert light.best.best == study.best.best
    assert len(light.trials[0].evaluations) < len(study.trials[0].evaluations)


def test_a_curve_is_the_objective_unless_another_metric_is_named(study):
    assert study.curve(0) == ([1 / 20, 2 / 20, 3 / 20], [3.0, 2.0, 2.5])
    assert study.curve(study.best, "val/bits", x="step") == ([10, 20, 30], [1.5, 1.0, 1.25])


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((7,), {}, "study 'toy' has no trial 7; it has 0 to 2"),
        (("1",), {}, "trial: '1' is not allowed; allowed: a whole number, or a trial of the study"),
        ((True,), {}, "trial: True is not allowed; allowed: a whole number, or a trial of the study"),
        (
            (0, "val/bleu"),
            {},
            "trial 0 has no metric 'val/bleu'; it has: train/loss, val/bits, val/loss",
        ),
        ((0,), {"x": "hours"}, "x: 'hours' is not allowed; allowed: epoch, step, tokens, progress, index"),
    ],
)
def test_a_wrong_curve_is_one_line(study, arguments, options, said):
    with pytest.raises(hpsearch.UserError) as refusal:
        study.curve(*arguments, **options)
    assert str(refusal.value) == said


@pytest.mark.parametrize("trial", ["1", 1.5, False])
def test_a_trial_that_is_no_number_is_not_exported(study, tmp_path, trial):
    with pytest.raises(hpsearch.UserError) as refusal:
        study.export(tmp_path / "best.yaml", trial=trial)
    assert str(refusal.value) == f"trial: {trial!r} is not allowed; allowed: a whole number, or a trial of the study"


def test_a_data_frame_has_a_row_per_trial(study):
    frame = study.dataframe()
    assert list(frame.index) == [0, 1, 2]
    assert list(frame["outcome"]) == ["completed", "pruned", "interrupted"]
    assert frame.loc[0, "metrics.val/bits"] == 1.0
    assert frame.loc[0, "params.learning_rate"] == study.trials[0].params["learning_rate"]


def test_a_branch_has_its_values_in_a_frame(study):
    """As `show` has them: the label of the branch is for programs."""
    label = "tuning=lora, lora_rank=4..16"
    trial = dataclasses.replace(
        study.trials[0],
        params={"tuning": label, "lora_rank": 8, "epochs": 36.1},
        sampled={"tuning": label, "lora_rank": 8, "epochs": 38.5},
    )
    row = {key: value for key, value in trial.row().items() if key.startswith(("params.", "sampled."))}
    assert row == {"params.tuning": "lora", "params.lora_rank": 8, "params.epochs": 36.1, "sampled.epochs": 38.5}


def test_the_whole_config_of_a_trial(study):
    assert study.config(1)["training"]["learning_rate"] == study.trials[1].params["learning_rate"]
    study.config(1)["training"].clear()
    assert study.config(1)["training"]


def test_the_winner_is_exported(study, tmp_path):
    path = study.export(tmp_path / "best.yaml")
    config = hpsearch.Experiment.load(path).train_config()
    assert config.training.stop_at == 2 / 20
    assert config.training.learning_rate == study.best.params["learning_rate"]


def test_the_repr_is_short_and_a_notebook_shows_a_table(study):
    assert repr(study) == "<Study 'toy': 3 trials, best: trial 0, val/loss 2.0000>"
    assert study._repr_html_().count("<tr>") == 4
    assert "<td>0 *</td><td>completed</td><td>2.0000</td><td>0.1</td>" in study._repr_html_()
    assert study.best._repr_html_().count("<tr>") == 2
    assert repr(study.best).startswith("<Trial 0: completed, value 2.0000, learning_rate=")


def test_html_in_params_is_escaped(study):
    hostile = dataclasses.replace(study.trials[0], params={"kind": "<script>"})
    assert "&lt;script&gt;" in hostile._repr_html_()
    assert "<script>" not in hostile._repr_html_()


def test_a_study_that_is_missing_is_one_line(home):
    with pytest.raises(hpsearch.UserError, match=r"no study 'other' in .*; there are: toy"):
        hpsearch.load("other", home=home)


def test_a_trial_is_running_while_a_driver_holds_the_study(home):
    from hpsearch.journal.study_lock import StudyLock

    lock = StudyLock(home / "toy" / "lock", what="study 'toy'")
    try:
        study = hpsearch.load("toy", home=home)
        assert study.is_running
        assert study.trials[2].outcome == "running"
    finally:
        lock.release()


@pytest.mark.parametrize("study", [None, 5, {"study": "toy"}])
def test_a_study_of_a_wrong_kind_is_one_line(study):
    with pytest.raises(hpsearch.UserError, match=r"^study: .* is not allowed; allowed: the name of a study"):
        hpsearch.load(study)
