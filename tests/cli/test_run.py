"""`hpsearch run` in real processes: killed or stopped, the study resumes with the same results."""

import os
import re
import signal
import stat

import pytest

from tests.cli.processes import TOY, end, shown, started, wait_for
from tests.conftest import TOY_SPACE


def of(story, name, event):
    return [e for e in story.journals[name] if e["event"] == event]


# ----------------------------------------------------------------------------------------------------------- one story


def test_a_finished_run_returns_0_and_says_what_comes_next(story):
    code, out, err = story.said["finished"]
    assert (code, err) == (0, "")
    assert re.search(r"resuming: \d finished, \d interrupted, 0 paused", out)
    assert "hpsearch ui --home home" in out
    assert "hpsearch train home/story/best.yaml --home home -o model" in out
    assert re.search(r"trial \d finished: \w+ val/loss \d\.\d{4}", out)


def test_the_trials_have_the_numbers_and_params_they_were_asked_with(story):
    asked = [(e["trial"], e["params"]) for e in of(story, "finished", "trial_asked")]
    assert [number for number, _ in asked] == [0, 1, 2, 3]
    assert asked[:2] == [(e["trial"], e["params"]) for e in of(story, "killed", "trial_asked")]
    ended = sorted(e["trial"] for e in of(story, "finished", "trial_finished"))
    assert ended == [0, 1, 2, 3]


def test_resumed_trials_count_their_attempts(story):
    first = [e["attempt"] for e in of(story, "finished", "trial_started") if e["trial"] == 0]
    assert first == list(range(1, len(first) + 1))
    assert len(first) >= 3


def test_no_evaluation_is_lost_or_doubled(story):
    for number in range(4):
        measured = [e["evaluation"] for e in of(story, "finished", "evaluation") if e["trial"] == number]
        curve = [evaluation["index"] for evaluation in measured if "branch" not in evaluation]
        assert curve == list(range(1, len(curve) + 1))
        assert len(measured) - len(curve) <= 1  # the end of its cool-down, if it overfits


def test_workers_die_with_a_killed_driver(story):
    assert story.said["killed"][0] == -signal.SIGKILL
    assert not of(story, "killed", "driver_stopped")
    assert story.left == {}  # after none of the processes


def test_the_mlflow_runs_are_the_same_after_it(story):
    assert set(story.ids["killed"]) >= {0, 1}
    for number, run_id in story.ids["killed"].items():
        assert story.ids["finished"][number] == run_id
    assert set(story.ids["finished"]) == {0, 1, 2, 3}


def test_nothing_is_left_running_in_mlflow(story):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{story.home / 'mlflow.db'}")
    [experiment] = [e for e in client.search_experiments() if e.name == "story"]
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    assert {run.info.run_id for run in children} == set(story.ids["finished"].values())
    assert len(runs) == 5


def test_a_second_driver_is_refused_while_the_first_runs(story):
    code, _, err = story.said["refused"]
    assert (code, len(err.splitlines())) == (73, 1)
    assert err.startswith(f"error: study 'story' is being run by pid {story.pids['killed']} on host ")
    assert len(of(story, "killed", "driver_started")) == 1


def test_a_running_study_can_be_shown(story):
    trials = story.journals["while it runs"]["trials"]
    assert {trial["outcome"] for trial in trials} == {"running"}
    assert trials[0]["state"] == "RUNNING"
    assert trials[0]["value"] == trials[0]["best_evaluation"]["value"] > 0  # the best so far


def test_ctrl_c_saves_returns_130_and_says_how_to_resume(story):
    code, out, err = story.said["interrupted"]
    assert (code, err) == (130, "")
    assert "stopped; everything is saved. Resume with: hpsearch run space.yaml --home home" in out
    assert re.search(r"^best so far: trial \d \((interrupted|completed|overfit)\), val/loss \d", out, re.M)
    assert "\nto write its config: hpsearch export story --home home\n" in out
    *_, before, last = story.journals["interrupted"]
    assert (before["event"], last["event"], last["reason"]) == ("trial_interrupted", "driver_stopped", "interrupted")
    assert len(of(story, "interrupted", "trial_interrupted")) == 2


def test_sigterm_saves_and_returns_143(story):
    assert story.said["terminated"][0] == 128 + signal.SIGTERM
    assert story.journals["terminated"][-1]["reason"] == "interrupted"


def test_the_winner_is_exported_automatically(story):
    text = (story.home / "story" / "best.yaml").read_text()
    best = shown("story", cwd=story.cwd)["best"]
    assert f"mlflow_run_id: {best['mlflow_run_id']}" in text
    assert f"trial: {best['number']}" in text


def test_new_files_are_private(story):
    for path in [story.home, *story.home.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_finished_study_is_not_searched_again(call, story, monkeypatch):
    before = story.journal.read_bytes()
    monkeypatch.chdir(story.cwd)
    code, out, err = call("run", "space.yaml", "--home", "home")
    assert (code, err) == (0, "")
    assert "hpsearch train home/story/best.yaml" in out
    assert story.journal.read_bytes() == before


# ------------------------------------------------------------------------------------------------------------- mistakes


def one_line(result, code, text):
    got, out, err = result
    assert (got, len(err.splitlines())) == (code, 1), err
    assert err.startswith("error: ")
    assert re.search(text, err), err
    assert "Traceback" not in out + err


MISTAKES = [
    (("--workers", "0"), r"--workers.*'0' is neither auto nor a whole number"),
    (("--workers", "foo"), r"--workers.*'foo' is neither auto nor a whole number"),
    (("--hours", "0"), r"--hours.*0"),
    (("--trials", "0"), r"--trials.*0"),
    (("--study", "../evil"), r"study: '../evil' is not a valid study name"),
    (("--study", "cache"), r"name of a folder of hpsearch's own"),
    (("--device", "tpu"), r"--device.*'tpu'"),
    (("--no-such",), r"No such option '?--no-such"),
]


@pytest.mark.parametrize(("options", "text"), MISTAKES, ids=[" ".join(options) for options, _ in MISTAKES])
def test_a_wrong_option_is_one_line_and_creates_nothing(call, space_file, tmp_path, options, text):
    one_line(call("run", space_file(TOY_SPACE), "--home", tmp_path / "home", *options), 2, text)
    assert not (tmp_path / "home").exists()


def test_a_missing_file_is_one_line(call, tmp_path):
    one_line(call("run", tmp_path / "none.yaml"), 2, r"none.yaml: ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("study: [\n", r"space.yaml:\d+:\d+: "),
        ("training: {learning_rat: 1e-3}\n", r"space.yaml:2:12: .*did you mean 'learning_rate'"),
        ("training: {learning_rate: {low: 0.1, high: 0.01}}\n", r"space.yaml:2:\d+: training.learning_rate: low 0.1"),
        ("objective: {metric: val/bleu}\n", r"space.yaml:2:\d+: objective.metric: no metric 'val/bleu'"),
    ],
)
def test_a_wrong_space_is_named_with_its_place(call, space_file, tmp_path, text, place):
    one_line(call("run", space_file(text), "--home", tmp_path / "home"), 2, place)


def test_a_missing_data_file_is_named_with_its_place(call, space_file, tmp_path):
    path = space_file(TOY_SPACE, data="{text: {task: text, files: {train: data/none.txt, valid: data/valid.txt}}}")
    one_line(call("run", path, "--home", tmp_path / "home"), 2, r"space.yaml:1:\d+: data.text: .*none.txt")


def test_a_file_as_home_is_refused(call, space_file, tmp_path):
    (tmp_path / "file").write_text("")
    for place, said in {"file": "'--home': .* is a file", "file/below": "below: cannot make the folder"}.items():
        one_line(call("run", space_file(TOY_SPACE), "--home", tmp_path / place), 2, said)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_refused(call, space_file, tmp_path):
    (tmp_path / "home").mkdir(mode=0o500)
    one_line(call("run", space_file(TOY_SPACE), "--home", tmp_path / "home"), 2, r"home .*cannot write there")


def test_a_changed_space_is_refused_with_the_difference(call, story):
    other = (story.cwd / "space.yaml").read_text().replace("seed: 2", "seed: 3")
    (story.cwd / "other.yaml").write_text(other)
    code, _, err = call("run", story.cwd / "other.yaml", "--home", story.home)
    assert code == 2
    assert err.splitlines()[-1] == "  seed: 2 -> 3"


def test_failing_trials_end_the_search_with_1(space_file, tmp_path):
    search = "search: {pruner: none, max_consecutive_failures: 2}\ntraining: {epochs: {low: 1, high: 4}}\n"
    path = space_file("study: toy\nbudget: {trials: 6}\nmodel: {dropout: 0.5}\n" + search + TOY)
    process = started("run", path, "--home", "home", "--workers", "1", cwd=tmp_path, views=False)
    out, err = process.communicate(timeout=600)
    said = r"2 trials failed and none completed since; the last: trial 1: RuntimeError: a bug"
    one_line((process.returncode, out, err), 1, said)


def test_ctrl_c_before_the_search_returns_130(space_file, tmp_path):
    process = started("run", space_file(TOY_SPACE), "--home", "home", cwd=tmp_path, fresh=True, TOY_STEP="0.1")
    wait_for(lambda: (tmp_path / "home").exists() or process.poll() is not None)
    _, err = end(process, signal.SIGINT)
    assert process.returncode == 130
    assert "Traceback" not in err
