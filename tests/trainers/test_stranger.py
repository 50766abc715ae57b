"""A trainer that somebody else wrote, beside a space file: searched, killed, resumed, shown, exported and trained."""

import json
import signal

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.journal.history import History
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.space.experiment import Experiment
from tests import blank
from tests.cli.processes import end, events, hpsearch, started, wait_for
from tests.searching import go
from tests.trainers.strangers import POLYNOMIAL, SPACE

RUN = ("run", "space.yaml", "--home", "home", "--workers", "2")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which the trainer's study was killed with -9 and resumed to its end."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "polynomial.py").write_text(POLYNOMIAL)
    (folder / "space.yaml").write_text(SPACE)
    blank.home(folder / "home")
    journal = folder / "home/curves/journal.jsonl"
    process = started(*RUN, cwd=folder, views=False, FIT_STEP="0.05")  # a fork, which has torch
    try:
        wait_for(lambda: len(events(journal, "evaluation")) >= 3 or process.poll() is not None)
    finally:
        said = end(process)
    assert process.returncode == -signal.SIGKILL, said
    before = events(journal)
    done = hpsearch(*RUN, cwd=folder, NO_TORCH="1", fresh=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder, before


def history(folder):
    return History.of(events(folder / "home/curves/journal.jsonl"))


def test_every_trial_ends_once_with_all_its_evaluations(project):
    folder, before = project
    found = history(folder).trials
    assert sorted(found) == list(range(6))
    assert {trial.outcome for trial in found.values()} <= {"completed", "pruned"}
    assert all(sorted(t.evaluations) == [1, 2, 3, 4] for t in found.values() if t.outcome == "completed")
    begun = {event["trial"] for event in before if event["event"] == "trial_started"}
    assert {t.number for t in found.values() if t.attempt > 1} == begun


def test_the_driver_measures_the_seconds_of_a_trainer_that_does_not(project):
    """The study was killed: the trials that it had begun took at least their steps of 0.05 s each."""
    folder, before = project
    trials = history(folder).trials
    assert all(trial.seconds > 0 for trial in trials.values())
    for number in {event["trial"] for event in before if event["event"] == "trial_started"}:
        times = [e["time"] for e in before if e.get("trial") == number and e["event"] != "trial_asked"]
        assert trials[number].seconds > max(times) - min(times)


def test_no_epoch_is_shown_where_the_trainer_has_none(project):
    folder, _ = project
    shown = hpsearch("show", "curves", "--home", "home", cwd=folder)
    [head] = [line for line in shown.stdout.splitlines() if "outcome" in line]
    assert "degree" in head
    assert "epoch" not in head
    run = hpsearch(*RUN, cwd=folder, views=False)
    assert "at epoch" not in run.stdout


def test_a_killed_study_comes_to_what_an_undisturbed_one_does(project, tmp_path):
    folder, _ = project
    experiment = Experiment.load(folder / "space.yaml")
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=folder)
    undisturbed, _ = go(experiment, tmp_path, launcher=InlineLauncher(setting, trainer=experiment.trainer.name))
    found = (history(folder).trials.values(), undisturbed.history.trials.values())
    here, there = ({trial.params["learning_rate"]: trial for trial in trials} for trials in found)
    assert set(here) == set(there)
    for rate, trial in here.items():
        both = trial.evaluations.keys() & there[rate].evaluations.keys()
        assert both
        assert [trial.evaluations[i].metrics for i in both] == [there[rate].evaluations[i].metrics for i in both]


def test_the_trainer_is_in_the_identity_and_the_origin(project):
    _, before = project
    origin = before[0]
    assert origin["identity"]["trainer"] == origin["experiment"]["trainer"] == "python:polynomial:Polynomial"
    assert origin["identity"]["fit"]["steps"] == 40
    assert "data" not in origin["identity"]


def test_another_trainer_is_another_study(project):
    folder, _ = project
    (folder / "other.py").write_text(POLYNOMIAL)
    (folder / "other.yaml").write_text(SPACE.replace("polynomial:", "other:"))
    done = hpsearch("run", "other.yaml", "--home", "home", cwd=folder)
    assert done.returncode == 2
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: other.yaml:3:10: study 'curves' was made from another space or other data")
    assert rest == ["  trainer: python:polynomial:Polynomial -> python:other:Polynomial"]


def test_the_commands_show_export_and_train_it(project):
    folder, _ = project
    shown = hpsearch("show", "curves", "--json", "--home", "home", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    best = json.loads(shown.stdout)["best"]
    assert set(best["params"]) == {"degree", "learning_rate"}
    exported = hpsearch("export", "space.yaml", "--home", "home", "-o", "best.yaml", cwd=folder)
    assert (exported.returncode, exported.stderr) == (0, "")
    config = Experiment.load(folder / "best.yaml").train_config()
    assert {name: getattr(config.fit, name) for name in best["params"]} == best["params"]
    kept = hpsearch("export", "space.yaml", "--home", "home", "-o", "best.yaml", "--model", "kept", cwd=folder)
    said = f"the weights of trial {best['number']} at its best evaluation are not kept; hpsearch train makes the model"
    assert (kept.returncode, said in kept.stderr, (folder / "kept").exists()) == (2, True, False)
    trained = hpsearch("train", "best.yaml", "-o", "model", "--home", "home", cwd=folder)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert f"trial {best['number']}'s value, reproduced to the last bit" in trained.stdout
    assert "the trainer measured no test data\n" in trained.stdout
    assert "model: metrics.json and hpsearch.json; the trainer exports no model\n" in trained.stdout
    metrics = json.loads((folder / "model/metrics.json").read_text())
    assert metrics == {name: value for name, value in best["metrics"].items() if name.startswith("val/")}
    assert json.loads((folder / "model/hpsearch.json").read_text()) == {
        "trainer": "python:polynomial:Polynomial",
        **config.model_dump(mode="json"),
    }


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ("fit: {degre: 3}", "6:7", "fit.degre: unknown key; did you mean 'degree'?"),
        ("fit: {degree: x}", "6:15", "fit.degree: must be an integer, not 'x'"),
        ("model: {n_layers: 3}", "6:1", "model: unknown key"),
        ("budget: {trials: {low: 1, high: 2}}", "6:18", "budget.trials: a range is allowed only in fit"),
    ],
)
def test_mistakes_are_said_with_their_place(tmp_path, line, place, said):
    from hpsearch.errors import ConfigError

    (tmp_path / "polynomial.py").write_text(POLYNOMIAL)
    head = "\n".join(SPACE.splitlines()[:4])
    with pytest.raises(ConfigError) as refused:
        Experiment.loads(f"{head}\n\n{line}\n", path=tmp_path / "space.yaml")
    assert str(refused.value).startswith(f"{tmp_path / 'space.yaml'}:{place}: {said}")
