"""Commands in another folder than the study's, and beside a space file that is being edited."""

import json
import os
from pathlib import Path

import pytest

from hpsearch.home.home import Home, elsewhere
from tests.cli.test_run import one_line
from tests.conftest import TOY_SPACE

HALF_EDITED = "study: 'toy'  # ours\nbudget: {trials: 6\ntraining: [\n"


@pytest.fixture
def project(tmp_path, space_file, monkeypatch):
    """A project with a study named toy, seen from another folder."""
    space_file(TOY_SPACE)
    study = tmp_path / "mlruns" / "toy"
    study.mkdir(parents=True)
    (study / "journal.jsonl").write_text("")
    (tmp_path / "other" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "other")
    return tmp_path


COMMANDS = ["show", "export", "sync", "repair", "stop"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("named", ["../space.yaml", "toy"])
def test_the_home_beside_the_space_file_or_above_is_named(call, project, command, named):
    one_line(
        call(command, named),
        2,
        r"no study 'toy' in mlruns; it is in the home \.\./mlruns \(in a command: --home \.\./mlruns\)$",
    )
    assert not os.path.exists("mlruns")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_another_home_none_is_named(call, project, command):
    one_line(call(command, "toys"), 2, r"no study 'toys' in mlruns; it has no study yet$")


def test_a_second_study_of_the_same_name_is_refused(call, project):
    said = r"study 'toy' is in \.\./mlruns: --home \.\./mlruns resumes it, --home mlruns starts a new one$"
    one_line(call("run", "../space.yaml"), 2, said)
    assert not os.path.exists("mlruns")


@pytest.mark.parametrize("options", [("--home", "mlruns"), ("--study", "another")])
def test_an_explicit_home_starts_a_second_study(call, project, options):
    (project / "data" / "train.txt").unlink()  # found before anything is trained
    code, _, err = call("run", "../space.yaml", *options)
    assert (code, "train.txt" in err) == (2, True)


def test_the_home_of_this_folder_needs_no_option(project, monkeypatch):
    held = "toy/journal.jsonl"
    assert str(elsewhere(Home(project / "mlruns"), held, space="../space.yaml")) == "None"
    monkeypatch.chdir(project / "other" / "deep")
    assert str(elsewhere(Home(Path("mlruns")), held)) == "../../mlruns"
    assert elsewhere(Home(Path("mlruns")), held, above=False) is None


def test_a_link_to_a_space_file_leads_to_the_home_beside_the_file(project, monkeypatch):
    os.symlink(project / "space.yaml", project / "other" / "linked.yaml")
    assert elsewhere(Home(Path("mlruns")), "toy/journal.jsonl", space="linked.yaml", above=False) == project / "mlruns"


def test_the_ui_names_the_home_above(call, project):
    (project / "mlruns" / "mlflow.db").write_text("")
    one_line(call("ui"), 2, r"--home mlruns: holds no mlflow.db yet; there is one in \.\./mlruns: --home \.\./mlruns$")


# -------------------------------------------------------------------------------------------- a file being edited


@pytest.mark.parametrize("command", COMMANDS)
def test_an_invalid_space_file_is_answered_with_the_studys_name(call, project, command):
    (project / "half.yaml").write_text(HALF_EDITED)
    one_line(call(command, "../half.yaml"), 2, r"half.yaml:3:9: .*; the study's name works as well: toy$")
    one_line(
        call(command, "../hlaf.yaml"), 2, r"no such file; did you mean \.\./half.yaml\?; the study's name .*: hlaf$"
    )


def test_stop_finds_the_study_of_a_file_being_edited(call, project):
    """No driver is stopped here: the lock names one on another host."""
    import fcntl

    (project / "half.yaml").write_text(HALF_EDITED)
    with open(project / "mlruns" / "toy" / "lock", "w") as lock:
        lock.write(json.dumps({"pid": 4242, "host": "elsewhere"}))
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = call("stop", "../half.yaml", "--home", "../mlruns")
    one_line(found, 1, r"study 'toy' is being run by pid 4242 on host elsewhere; stop it there")


def test_a_study_that_runs_in_another_home_is_named(call, project):
    os.makedirs("mlruns/toy")
    said = r"study 'toy' is not running here; one of this name is in \.\./mlruns: --home \.\./mlruns$"
    one_line(call("stop", "toy"), 1, said)
