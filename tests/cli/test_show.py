"""`hpsearch show`: the trials for people and, as JSON, for programs."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from hpsearch.outcome import Outcome
from hpsearch.space.experiment import Experiment
from tests.cli.processes import shown
from tests.cli.test_run import one_line
from tests.searching import ask, evaluation, experiment, go, opened

TRIAL = {
    "number": int, "outcome": str, "state": str, "params": dict, "value": float, "best_evaluation": dict,
    "metrics": dict, "reason": str, "seconds": float, "peak_memory": int, "mlflow_run_id": str,
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A study of finished trials, not shipped to MLflow."""
    home = tmp_path_factory.mktemp("home")
    go(experiment("seed: 3\nbudget: {trials: 6}\n"), home / "toy")
    return home


def test_json_has_every_field_a_program_needs(story):
    found = shown("story", cwd=story.cwd)
    assert (found["study"], found["objective"]) == ("story", {"metric": "val/loss", "direction": "minimize"})
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2, 3]
    for trial in found["trials"]:
        assert {key: type(value) for key, value in trial.items()} == TRIAL
        assert set(trial["params"]) == {"learning_rate", "epochs"}
        assert trial["mlflow_run_id"] == story.ids["finished"][trial["number"]]
        assert trial["metrics"]["val/loss"] == trial["value"] == trial["best_evaluation"]["value"]
    assert found["best"] == min(found["trials"], key=lambda trial: trial["value"])


def test_a_space_file_names_its_study_too(story, call):
    assert call("show", story.cwd / "space.yaml", "--json", "--home", story.home) == call(
        "show", "story", "--json", "--home", story.home
    )


def test_people_see_a_table_with_the_winner_marked(home, call):
    code, out, err = call("show", "toy", "--home", home)
    assert (code, err) == (0, "")
    best = json.loads(call("show", "toy", "--json", "--home", home)[1])["best"]
    [line] = [line for line in out.splitlines() if f" {best['number']} * " in line]
    assert f"{best['value']:.4f}" in line
    assert best["outcome"] in line


def test_numbers_that_are_not_finite_are_null(tmp_path, call):
    study = opened(experiment("search: {pruner: none}\n"), tmp_path / "toy")
    number = ask(study)
    study.start(number, device="cpu", threads=1, worker=0)
    study.report(number, evaluation(1, float("nan")))
    study.interrupt(number)
    study.journal.close()
    text = call("show", "toy", "--json", "--home", tmp_path)[1]
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    [trial] = found["trials"]
    assert (trial["outcome"], trial["state"], trial["value"]) == ("interrupted", "RUNNING", None)
    assert trial["metrics"]["val/loss"] is None
    assert trial["mlflow_run_id"] is None
    assert found["best"] is None
    assert call("show", "toy", "--home", tmp_path)[0] == 0


def test_mistakes_are_one_line(home, call, tmp_path):
    one_line(call("show", "none", "--home", home), 2, r"no study 'none' in .*; there are: toy")
    one_line(call("show", "none", "--home", tmp_path / "empty"), 2, r"it has no study yet")
    one_line(call("show", "some/thing", "--home", home), 2, r"neither a space file \(.yaml\) nor the name of a study")
    one_line(call("show", tmp_path / "none.yaml", "--home", home), 2, r"none.yaml")


def test_another_file_is_not_read_as_a_journal(call, tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "journal.jsonl").write_text("hello\n")
    one_line(call("show", "toy", "--home", tmp_path), 1, r"not an hpsearch journal")


def test_the_experiment_is_the_files(home):
    source = (home / "toy" / "journal.jsonl").read_text()
    assert "study_created" in source
    assert Experiment.loads(experiment().source).study == "toy"


def test_a_long_study_shows_its_best_and_says_how_to_see_the_others(home, call):
    ranked = json.loads(call("show", "toy", "--json", "--home", home)[1])
    values = sorted((t["value"], t["number"]) for t in ranked["trials"] if t["state"] == "COMPLETE")
    code, out, err = call("show", "toy", "--top", 1, "--home", home)
    assert (code, err) == (0, "")
    assert f" {values[0][1]} * " in out
    assert f" {values[1][1]} " not in out.partition("*")[0].rpartition("\n")[2]
    assert out.splitlines()[-1] == "5 more trials; --top 6 or --json lists all"
    assert "more trials" not in call("show", "toy", "--top", 6, "--home", home)[1]


def test_it_starts_quickly(home):
    """Of the packages that take long to import it needs none; a long study is listed in the time of reading it."""
    heavy = ["torch", "optuna", "mlflow", "numpy", "sklearn", "matplotlib"]
    code = (
        "import sys; from hpsearch.cli import main\n"
        "try: main(['show', 'toy', '--home', sys.argv[1]])\n"
        f"except SystemExit as end: print('LOADED', end.code, [name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True)
    assert ran.stdout.rpartition("LOADED ")[2] == "None []\n"


def test_a_trial_is_shown_at_its_best_evaluation_however_it_ended(tmp_path, call):
    """Most evaluations of trials that have ended are not read."""
    study = opened(experiment("search: {pruner: none}\n"), tmp_path / "toy")
    for outcome in ("completed", "failed", None):
        number = ask(study)
        study.start(number, device="cpu", threads=1, worker=0)
        for index, loss in enumerate([9.0, 3.25 + number, 8.0], start=1):
            study.report(number, replace(evaluation(index, loss), peak_memory=100 * index))
        if outcome:
            study.finish(number, Outcome(outcome), "why")
    study.journal.close()
    table = call("show", "toy", "--home", tmp_path)[1]
    trials = json.loads(call("show", "toy", "--json", "--home", tmp_path)[1])["trials"]
    assert [(t["outcome"], t["metrics"]["val/loss"], t["peak_memory"]) for t in trials] == [
        ("completed", 3.25, 300), ("failed", 4.25, 300), ("interrupted", 5.25, 300)
    ]  # fmt: skip
    lines = [line for line in table.splitlines() if any(f" {value:.4f} " in line for value in (3.25, 4.25, 5.25))]
    assert [line.split()[1] for line in lines] == ["0", "1", "2"]
