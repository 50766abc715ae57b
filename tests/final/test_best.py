"""The winner as a file: it can be read, trained and searched again, from wherever it lies."""

import copy
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.data import sources
from hpsearch.errors import UserError
from hpsearch.final import best
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies import choice
from hpsearch.space.experiment import Experiment
from hpsearch.training.config import TrainConfig
from tests.searching import FACTS, ask, evaluation, go, opened

OWN = "def lines():\n    return {'train': ['one two three'] * 3, 'valid': ['four five'], 'test': ['six']}\n"
SPACE = """
study: winners
seed: 3
budget: {{trials: 3}}
data:
  text: {{task: text, files: {{train: texts/a.txt, valid: texts/b.txt}}}}
  own: {{task: text, dataset: 'python:mine_{module}:lines'}}
search: {{pruner: none}}
model:
  choices:
    - {{n_layers: 2}}
    - {{n_layers: 4, width: 64}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  epochs: {epochs}
  schedule: {schedule}
"""


def project(folder, epochs, schedule="wsd"):
    """A folder with a space file, its data and its own module; gives the space file."""
    (folder / "texts").mkdir(parents=True)
    for name in "ab":
        (folder / "texts" / f"{name}.txt").write_text(f"some text {name}")
    (folder / f"mine_{epochs}_{schedule}.py").write_text(OWN)
    (folder / "space.yaml").write_text(SPACE.format(epochs=epochs, schedule=schedule, module=f"{epochs}_{schedule}"))
    return folder / "space.yaml"


CASES = {"completed": (3, "wsd"), "overfit, cooled down": (9, "wsd"), "overfit, ended": (9, "cosine")}


@pytest.fixture(scope="module", params=CASES)
def searched(request, tmp_path_factory):
    """A study searched with the toy; with nine epochs every trial overfits, and can only cool down on wsd."""
    folder = tmp_path_factory.mktemp("project")
    study, _ = go(Experiment.load(project(folder, *CASES[request.param])), folder / "home")
    return study.history, folder


def exported(searched, path, run_id="run7"):
    history, folder = searched
    path.parent.mkdir(parents=True, exist_ok=True)
    best.write(history, path, base=folder, run_id=run_id)
    return Experiment.load(path)


def test_it_is_the_winners_config_but_for_where_it_ends(searched, tmp_path):
    history, _ = searched
    winner = history.best()
    assert winner.outcome == ("overfit" if winner.config["training"]["epochs"] == 9 else "completed")
    found = exported(searched, tmp_path / "best.yaml").train_config()
    config = TrainConfig.model_validate(winner.config)
    ends = {"stop_at": winner.best.index / 20}
    if config.training.schedule == "wsd" and winner.outcome == "overfit":
        assert winner.best.branch
        ends = {"epochs": winner.best.epoch, "warmup": pytest.approx(0.05 * 9 / winner.best.epoch), "stop_at": 1.0}
    assert found.training.model_dump() == {**config.training.model_dump(), **ends}
    assert found.model_copy(update={"training": config.training}) == config
    assert "beam_size" not in (tmp_path / "best.yaml").read_text().split("provenance:")[0]  # no translation


def test_the_file_says_why_it_ends_before_its_schedule(searched, tmp_path):
    history, _ = searched
    winner = history.best()
    exported(searched, tmp_path / "best.yaml")
    text = (tmp_path / "best.yaml").read_text()
    assert text.startswith("# The best of 3 trials of study winners.\n")
    assert "hpsearch train" in text
    if winner.best.branch:
        settings, _, _ = text.partition("\nprovenance:")
        [line] = [line for line in settings.splitlines() if line.strip().startswith("epochs")]
        left = f"the trial cooled down from evaluation {winner.best.index}, after it had begun to overfit"
        assert f"not the 9 of trial {winner.number}: {left}" in line
    elif winner.best.index < 20:
        index, epochs = winner.best.index, winner.best.index / 20 * winner.config["training"]["epochs"]
        settings, _, _ = text.partition("\nprovenance:")
        [line] = [line for line in settings.splitlines() if line.strip().startswith("stop_at")]
        assert f"ends at evaluation {index} of 20, the best one: {epochs:.4g} epochs; later it overfits" in line
        [line] = [line for line in settings.splitlines() if line.strip().startswith("epochs")]
        assert "the length of the schedule, not of the training: see stop_at" in line


def test_provenance_tells_where_it_comes_from(searched, tmp_path):
    history, _ = searched
    provenance, winner = exported(searched, tmp_path / "best.yaml").provenance, history.best()
    assert provenance["trial"] == winner.number
    assert provenance["val/loss"] == winner.value  # to the last bit
    expected = {
        "study": "winners", "mlflow_run_id": "run7", "outcome": winner.outcome, "trials": 3, "device": "cpu",
        "threads": 1, "evaluation": winner.best.index, "data_fingerprint": FACTS["fingerprint"],
    }  # fmt: skip
    assert {key: provenance[key] for key in expected} == expected
    assert {"git_commit", "git_dirty", "python", "versions"} <= set(provenance)
    assert provenance["versions"]["torch"].startswith("2.")


@pytest.mark.parametrize("place", ["beside/best.yaml", "deep/er/best.yaml"])
def test_relative_paths_and_own_modules_are_found_from_the_new_place(searched, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    experiment = exported(searched, Path(place))
    for name, data_set in experiment.settings.data.items():
        sources.check_sources(name, data_set, base=experiment.base)
    splits = sources.load("own", experiment.settings.data["own"], cache=tmp_path / "cache", base=experiment.base)
    assert [example["text"] for example in splits.valid] == ["four five"]
    assert not os.path.isabs(experiment.settings.base)


def test_it_becomes_a_space_again(searched, tmp_path):
    exported(searched, tmp_path / "best.yaml")
    lines = (tmp_path / "best.yaml").read_text().splitlines()
    lines = ["  weight_decay: {low: 0.0, high: 0.2}" if line.startswith("  weight_decay:") else line for line in lines]
    (tmp_path / "again.yaml").write_text("\n".join(lines))
    again = Experiment.load(tmp_path / "again.yaml").override(study="again", trials=2)
    assert list(again.space.params) == ["weight_decay"]
    study, _ = go(again, tmp_path / "again")
    assert [t.outcome is not None for t in study.history.trials.values()] == [True, True]
    assert study.history.trials[0].config["training"]["stop_at"] == again.settings.training.stop_at


def test_a_study_without_a_completed_trial_has_no_winner(tmp_path):
    study = opened(Experiment.load(project(tmp_path / "project", 3)), tmp_path / "home")
    study.finish(ask(study), Outcome.FAILED, "why")
    with pytest.raises(UserError, match=r"study 'winners': none of its 1 trials has completed"):
        choice.winner(study.history)
    study.journal.close()


def test_a_place_that_cannot_be_written_is_named(searched, tmp_path):
    history, folder = searched
    with pytest.raises(UserError, match=r"missing/best.yaml: cannot write: No such file or directory"):
        best.write(history, tmp_path / "missing" / "best.yaml", base=folder, run_id=None)


AFTER = {
    "it overfits": ("overfit", [2.0, 1.0, 1.2, 1.3], 2, "later it overfits"),
    "it ended": ("overfit", [2.0, 1.0], 2, "the trial ended there"),
    "it got worse": ("completed", [2.0, 1.0, 1.2, 1.1], 2, "later ones are worse"),
    "a tie of an old journal": ("completed", [2.0, 1.0, 1.0, 1.0], 2, "later ones tie with it or are worse"),
}


@pytest.mark.parametrize("case", AFTER)
def test_it_says_how_the_trial_went_on_after_its_best(case):
    outcome, values, index, said = AFTER[case]
    trial = TrialHistory(0, outcome=Outcome(outcome), value=values[index - 1], best=BestEvaluation(index, 0.0))
    trial.evaluations = {i: evaluation(i, value) for i, value in enumerate(values, start=1)}
    assert best.after(History(metric="val/loss", trials={0: trial}), trial) == said


def test_where_f1_only_ties_nothing_is_said_to_overfit():
    """F1 at its ceiling from the second evaluation on; validation loss still falls."""
    trial = TrialHistory(0, outcome=Outcome.OVERFIT, value=1.0, best=BestEvaluation(2, 0.0))
    values = enumerate([(3.0, 0.5), (2.0, 1.0), (1.0, 1.0)], start=1)
    trial.evaluations = {i: evaluation(i, loss, **{"val/f1_macro": f1}) for i, (loss, f1) in values}
    said = best.after(History(metric="val/f1_macro", direction="maximize", trials={0: trial}), trial)
    assert said == "later ones tie with it or are worse"


@pytest.mark.parametrize(("given", "found"), [("auto", "bf16"), ("fp32", "fp32")])
def test_auto_is_exported_as_what_it_came_to(searched, tmp_path, given, found):
    history, folder = searched
    history = copy.deepcopy(history)
    winner = history.best()
    winner.config["training"]["precision"] = given
    winner.evaluations = {i: replace(e, precision=found) for i, e in winner.evaluations.items()}
    experiment = exported((history, folder), tmp_path / "best.yaml")
    assert experiment.train_config().training.precision == found
    said = f"what auto came to in trial {winner.number}" in (tmp_path / "best.yaml").read_text()
    assert said == (given == "auto")
    winner.evaluations = {i: replace(e, precision="") for i, e in winner.evaluations.items()}  # a journal of before
    assert exported((history, folder), tmp_path / "old.yaml").train_config().training.precision == given


def test_equal_trials_are_named(searched, tmp_path):
    history, folder = searched
    history = copy.deepcopy(history)
    first, second = history.ranked()[:2]
    second.value = first.value
    low, high = sorted((first, second), key=lambda trial: trial.number)
    assert exported((history, folder), tmp_path / "best.yaml").provenance["trial"] == low.number
    assert f"equal_trials:\n  - {high.number}" in (tmp_path / "best.yaml").read_text()


def test_a_trial_that_has_not_ended_can_win_and_is_named_as_such(tmp_path):
    """A budget of hours may end before a trial completes; the config then ends at the best evaluation it had."""
    folder = project(tmp_path / "project", 3)
    study, _ = go(Experiment.load(folder), tmp_path / "home", kill_after=12)  # ten evaluations of trial 0
    found = exported((study.history, folder.parent), tmp_path / "best.yaml")
    measured = {i: e.metrics["val/loss"] for i, e in study.history.trials[0].evaluations.items()}
    index = min(measured, key=measured.get)
    assert study.history.finished == []
    assert found.provenance["trial"] == 0
    assert (found.provenance["outcome"], found.provenance["val/loss"]) == ("unfinished", measured[index])
    assert found.train_config().training.stop_at == index / 20
    [line] = [line for line in (tmp_path / "best.yaml").read_text().splitlines() if line.strip().startswith("stop_at")]
    assert f"ends at evaluation {index} of 20" in line
    assert "trial 0 is running, this is its best evaluation so far" in line
    assert "overfit" not in line
