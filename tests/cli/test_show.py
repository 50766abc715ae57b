"""`hpsearch show`: the trials for people and, as JSON, for programs."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import hpsearch
from hpsearch.api.trial import Trial
from hpsearch.cli.show import sorted_by
from hpsearch.contract import Evaluation
from hpsearch.errors import UserError
from hpsearch.outcome import Outcome
from hpsearch.space.experiment import Experiment
from tests.cli.processes import shown
from tests.cli.test_run import one_line
from tests.searching import ask, evaluation, experiment, go, opened

TRIAL = {
    "cut": type(None),
    "device_seconds": float,
    "sampled_params": dict,
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


def test_trials_that_were_asked_for_come_without_what_is_known_of_the_study(home, call):
    whole = call("show", "toy", "--home", home)[1]
    assert "too few trials" in whole
    part = call("show", "toy", "--top", 6, "--home", home)[1]
    assert whole.startswith(part)
    assert "too few trials" not in part
    outcome = json.loads(call("show", "toy", "--json", "--home", home)[1])["best"]["outcome"]
    assert "too few trials" not in call("show", "toy", "--outcome", outcome, "--home", home)[1]


def test_columns_are_the_width_of_a_table_in_a_pipe(home, call, monkeypatch):
    widest = max(map(len, call("show", "toy", "--top", 6, "--home", home)[1].splitlines()))
    monkeypatch.setenv("COLUMNS", "40")
    narrow = call("show", "toy", "--top", 6, "--home", home)[1]
    assert max(map(len, narrow.splitlines()[:9])) <= 40 < widest
    for wrong in ("wide", "-3", ""):
        monkeypatch.setenv("COLUMNS", wrong)
        assert max(map(len, call("show", "toy", "--top", 6, "--home", home)[1].splitlines())) == widest


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
    table = call("show", "toy", "--home", tmp_path, "--sort", "trial")[1]
    trials = json.loads(call("show", "toy", "--json", "--home", tmp_path)[1])["trials"]
    assert [(t["outcome"], t["metrics"]["val/loss"], t["peak_memory"]) for t in trials] == [
        ("completed", 3.25, 300), ("failed", 4.25, 300), ("interrupted", 5.25, 300)
    ]  # fmt: skip
    lines = [line for line in table.splitlines() if any(f" {value:.4f} " in line for value in (3.25, 4.25, 5.25))]
    assert [line.split()[1] for line in lines] == ["0", "1", "2"]


def test_the_best_come_first_or_some_outcomes_by_number(home, call):
    found = json.loads(call("show", "toy", "--json", "--home", home)[1])["trials"]
    values = {trial["number"]: trial["value"] for trial in found}
    ended = sorted((n for n in values if found[n]["state"] == "COMPLETE"), key=values.get)
    listed = [int(line.split()[1]) for line in _rows(call("show", "toy", "--home", home)[1])]
    assert listed[: len(ended)] == ended
    assert sorted(listed) == sorted(values)
    by_number = [int(line.split()[1]) for line in _rows(call("show", "toy", "--sort", "trial", "--home", home)[1])]
    assert by_number == sorted(values)
    outcome = found[0]["outcome"]
    some = _rows(call("show", "toy", "--outcome", outcome, "--home", home)[1])
    assert {int(line.split()[1]) for line in some} == {t["number"] for t in found if t["outcome"] == outcome}


def _rows(out):
    """The rows of the first table that are of trials."""
    return [line for line in out.splitlines() if line.startswith("│") and line.split()[1].isdigit()]


def test_params_are_columns_and_those_that_do_not_differ_a_line(home, call, monkeypatch):
    out = call("show", "toy", "--home", home)[1]
    assert [word for word in out.splitlines()[2].split() if word.isidentifier()][-2:] == ["learning_rate", "epochs"]
    assert "MLflow run" not in out
    assert "MLflow run" in call("show", "toy", "-v", "--home", home)[1]
    one = call("show", "toy", "--top", 1, "--home", home)[1]
    assert "the same in all" not in one
    monkeypatch.setattr("hpsearch.displays.console.UNFOLDED", 80)
    table = call("show", "toy", "-v", "--home", home)[1].partition("good values")[0]
    assert max(map(len, table.splitlines()[:12])) <= 80


def test_tables_for_programs(home, call, tmp_path):
    import pandas

    trials = hpsearch.load("toy", home=home).dataframe()
    text = call("show", "toy", "--format", "csv", "--sort", "trial", "--home", home)[1]
    (tmp_path / "a.csv").write_text(text)
    from_csv = pandas.read_csv(tmp_path / "a.csv", index_col=0)
    assert list(from_csv.index) == list(trials.index)
    assert list(from_csv["params.learning_rate"]) == list(trials["params.learning_rate"])
    assert call("show", "toy", "-o", tmp_path / "b.parquet", "--home", home) == (
        0, f"{tmp_path / 'b.parquet'}: written\n", ""
    )  # fmt: skip
    from_parquet = pandas.read_parquet(tmp_path / "b.parquet").sort_index()
    assert list(from_parquet["value"]) == list(trials["value"])
    assert call("show", "toy", "--format", "json", "-o", tmp_path / "c", "--home", home)[0] == 0
    assert json.loads((tmp_path / "c").read_text()) == json.loads(call("show", "toy", "--json", "--home", home)[1])
    one_line(
        call("show", "toy", "-o", tmp_path / "d.txt", "--home", home), 2, r"-o needs --format csv, parquet or json"
    )
    one_line(call("show", "toy", "--format", "parquet", "--home", home), 2, r"--format parquet needs a file")
    one_line(call("show", "toy", "--json", "--format", "csv", "--home", home), 2, r"only one of the two")
    one_line(call("show", "toy", "-o", tmp_path / "no" / "e.csv", "--home", home), 2, r"e.csv: cannot write")


def test_a_config_that_was_only_tried_short_is_said_to_be(tmp_path, call):
    study = opened(experiment("search: {pruner: none}\n"), tmp_path / "toy")
    params = {"learning_rate": 0.01, "epochs": 3}
    internal = study.experiment.space.internal(params)
    study.record("config_enqueued", id="x", params=params, internal=internal)
    study.record("config_enqueued", id="y", params={**params, "epochs": 4}, internal={**internal, "epochs": 4})
    config = study.experiment.config(internal).model_dump(mode="json")
    study.record("trial_asked", trial=0, params=params, internal=internal, config=config, horizon=1 / 9)
    study.journal.close()
    out = call("show", "toy", "--home", tmp_path)[1]
    assert "enqueued, only tried short so far, by trial 0 (horizon 1/9): learning_rate=0.01 epochs=3\n" in out
    assert "enqueued, not tried yet: learning_rate=0.01 epochs=4\n" in out


def trial(number, *, value=None, metrics=None, epoch=0.0, **more):
    best = None if metrics is None else Evaluation(1, 10, 0.5, metrics, epoch=epoch)
    fields = {"outcome": Outcome.COMPLETED, "evaluations": (), "seconds": 0.0, "params": {}}
    return Trial(number, value=value, best=best, **(fields | more))


SORTED = [
    trial(
        0, value=2.0, metrics={"val/loss": 2.0, "val/f1": 0.5}, epoch=3.0, params={"a.rate": 0.5, "n": 3}, seconds=9.0
    ),
    trial(
        1, value=1.0, metrics={"val/loss": 1.0, "val/f1": 0.7}, epoch=1.0, params={"a.rate": 0.1, "n": 20}, seconds=5.0
    ),
    trial(2, params={"a.rate": 0.3, "kind": "b"}, outcome=Outcome.FAILED),
]


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("trial", [0, 1, 2]),
        ("-trial", [2, 1, 0]),
        ("value", [1, 0, 2]),
        ("-value", [0, 1, 2]),
        ("epoch", [1, 0, 2]),
        ("seconds", [1, 0, 2]),
        ("a.rate", [1, 2, 0]),
        ("rate", [1, 2, 0]),  # by its last part
        ("-n", [1, 0, 2]),  # as numbers, those without one last
        ("n", [0, 1, 2]),
        ("val/f1", [0, 1, 2]),
        ("-f1", [1, 0, 2]),
        ("outcome", [0, 1, 2]),
    ],
)
def test_trials_are_sorted_by_any_column(column, order):
    assert [one.number for one in sorted_by(column, SORTED)] == order


def test_an_unknown_column_names_the_nearest_or_all():
    with pytest.raises(UserError, match=r"--sort epohc: no such column; did you mean epoch\?"):
        sorted_by("epohc", SORTED)
    with pytest.raises(
        UserError, match=r"--sort zzzz: no such column; allowed: best, trial, outcome, value, .*, val/f1"
    ):
        sorted_by("-zzzz", SORTED)


def test_the_table_can_be_sorted_by_a_param_and_by_epochs(home, call):
    found = json.loads(call("show", "toy", "--json", "--home", home)[1])["trials"]
    name = next(iter(found[0]["params"]))
    ordered = sorted(found, key=lambda one: -one["params"][name])
    rows = _rows(call("show", "toy", "--sort", f"-{name}", "--home", home)[1])
    assert [int(line.split()[1]) for line in rows] == [one["number"] for one in ordered]
    assert call("show", "toy", "--sort", "epoch", "--home", home)[0] == 0


@pytest.mark.parametrize(
    "command",
    [
        ("export", "toy", "-o", "mine"),
        ("report", "toy", "-o", "mine"),
        ("show", "toy", "--format", "csv", "-o", "mine"),
        ("show", "toy", "--format", "parquet", "-o", "mine"),
        ("show", "toy", "--json", "-o", "mine"),
        ("schema", "-o", "mine"),
    ],
)
def test_a_file_of_the_users_is_never_replaced_by_accident(command, home, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, where = tmp_path / "mine", () if command[0] == "schema" else ("--home", home)
    path.write_text("text,label\nwhat took me a week,a\n")
    code, _, err = call(*command, *where)
    assert (code, err) == (
        2,
        "error: mine exists, and is not what this command writes; --force (force=True) replaces it, -o writes another "
        "file\n",
    )
    assert path.read_text().endswith("week,a\n")
    assert call(*command, *where, "--force")[0] == 0
    assert not path.read_bytes().endswith(b"week,a\n")
    assert call(*command, *where)[0] == 0  # its own
    if command[0] == "export":
        path.write_text(path.read_text().replace("epochs:", "epochs: "))
        code, _, err = call(*command, *where)
        assert (code, err.startswith("error: mine was edited since hpsearch wrote it; --force")) == (2, True)
