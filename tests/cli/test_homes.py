"""Homes in odd places: moved projects, characters that URLs split at, folders of MLflow, users without a name."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.home.home import Home, base_of
from hpsearch.journal import encode, read
from hpsearch.journal.history import History
from hpsearch.space.experiment import Experiment
from hpsearch.views.mlflow.store import Store
from tests import blank as stores
from tests.cli.processes import PROGRAM, environment, hpsearch
from tests.searching import experiment, go
from tests.views.conftest import Written

ODD = "a?b#c %41 {x}"
SPACE = """
study: toy
budget: {trials: 1}
data: {text: {task: text, files: {train: data/train.txt, valid: data/valid.txt}}}
training: {learning_rate: {low: 1e-3, high: 1e-2}, epochs: 1}
trainer: "python:hpsearch.testing.toy:Toy"
"""


def project(folder: Path) -> Path:
    """A folder with a space file and its data."""
    (folder / "data").mkdir(parents=True)
    (folder / "space.yaml").write_text(SPACE)
    for name in ("train", "valid"):
        (folder / "data" / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    return folder


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def rows(database: Path, statement: str) -> list:
    with sqlite3.connect(database) as connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


# ------------------------------------------------------------------------------------------------ signs in its path


@pytest.mark.slow
def test_a_whole_run_in_a_home_with_an_odd_name(tmp_path):
    cwd = project(tmp_path / ODD)
    before = tree(cwd)
    done = hpsearch("run", "space.yaml", "--home", "my?home", "--launcher", "inline", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in tree(cwd) if name not in before and not name.startswith("my?home")] == []
    assert [entry.name for entry in tmp_path.iterdir()] == [ODD]
    assert "hpsearch ui --home 'my?home'" in done.stdout
    for command in ("sync", "repair"):
        done = hpsearch(command, "toy", "--home", "my?home", cwd=cwd)
        assert done.returncode == 0, done
        assert done.stdout.count("has everything") + done.stdout.count("complete") == 2
    home = cwd / "my?home"
    assert {path.name for path in home.glob("*.db")} == {"mlflow.db", "optuna.db"}
    for (location,) in rows(home / "mlflow.db", "select artifact_uri from runs"):
        assert location.startswith(f"{home.as_uri()}/artifacts/toy/")
    assert len(list((home / "artifacts").rglob("config.yaml"))) == 1


def test_stores_are_in_the_home_whatever_its_name(call, tmp_path, monkeypatch, blank):
    name = f"{ODD}ü'\"x;b&c=d+e@f:g"
    monkeypatch.setattr(Store, "draws", False)
    shutil.copytree(blank, tmp_path / "there" / name)
    study = Written(tmp_path / "there" / name, "odd")
    wrote = f"has everything; wrote {len(study.events)} events"
    assert call("sync", "odd", "--home", study.home) == (0, f"mlflow: {wrote}\noptuna: {wrote}\n", "")
    code, out, _ = call("repair", "odd", "--home", study.home)
    assert code == 0, out
    assert out.count("complete") == 2
    assert [entry.name for entry in (tmp_path / "there").iterdir()] == [name]
    assert len(list((study.home / "artifacts").rglob("config.yaml"))) == 4
    assert {path.name for path in study.home.glob("*.db")} == {"mlflow.db", "optuna.db"}


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A home with empty stores."""
    return stores.home(tmp_path_factory.mktemp("blank"))


def test_the_option_of_a_home_can_be_pasted_into_a_shell():
    assert Home(Path("mlruns")).option == ""
    assert Home(Path("a?b c")).option == " --home 'a?b c'"


# ------------------------------------------------------------------------------------------------------ moved, copied


def moved_study(tmp_path):
    """A searched study in a project that is then copied; returns both places."""
    old, new = project(tmp_path / "old"), tmp_path / "new"
    found = Experiment.load(old / "space.yaml")
    (old / "mlruns").mkdir()
    go(found, old / "mlruns" / "toy")
    shutil.copytree(old, new)
    return old, new


def base(home):
    return base_of(History.of(read(home / "toy" / "journal.jsonl")), home / "toy")


def test_an_export_of_a_moved_study_reads_the_data_beside_it(call, tmp_path):
    old, new = moved_study(tmp_path)
    assert call("export", "toy", "-o", new / "best.yaml", "--home", new / "mlruns")[0] == 0
    assert Experiment.load(new / "best.yaml").base.resolve() == new
    shutil.rmtree(old)
    assert base(new / "mlruns") == new


def test_a_home_moved_alone_keeps_the_place_of_its_data(tmp_path):
    old, _ = moved_study(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    os.rename(old / "mlruns", tmp_path / "elsewhere" / "mlruns")
    assert base(tmp_path / "elsewhere" / "mlruns") == old


def test_the_export_of_an_older_journal_says_where_it_was(tmp_path):
    old, new = moved_study(tmp_path)
    path = new / "mlruns" / "toy" / "journal.jsonl"
    events = [{k: v for k, v in event.items() if k != "folder"} for event in read(path)]
    path.write_bytes(b"".join(map(encode, events)))
    assert base(new / "mlruns") == old
    exported = {"event": "study_exported", "time": events[-1]["time"], "trial": 0}
    exported["path"] = str(old / "mlruns" / "toy" / "best.yaml")
    path.write_bytes(b"".join(map(encode, [*events, exported])))
    assert base(new / "mlruns") == new


@pytest.mark.slow
def test_a_project_moved_during_a_study_resumes(tmp_path):
    old, new = project(tmp_path / "old"), tmp_path / "new"
    assert hpsearch("run", "space.yaml", "--launcher", "inline", cwd=old, pictures=True).returncode == 0
    os.rename(old, new)
    old.touch()  # nothing can be made there
    done = hpsearch("run", "space.yaml", "--trials", "2", "--launcher", "inline", cwd=new, pictures=True)
    assert done.returncode == 0, done
    assert done.stdout.count("was moved or copied from") == 1
    assert "lacks" not in done.stdout
    locations = rows(new / "mlruns" / "mlflow.db", "select artifact_uri, status from runs")
    assert {status for _, status in locations} == {"FINISHED"}
    assert all(location.startswith(f"{new.as_uri()}/mlruns/artifacts/toy/") for location, _ in locations)
    assert len(list((new / "mlruns" / "artifacts").rglob("curves.png"))) == 3  # two trials, and the study
    for command in (["show", "toy"], ["repair", "toy"], ["sync", "toy"], ["export", "toy"]):
        assert hpsearch(*command, cwd=new).returncode == 0


# ----------------------------------------------------------------------------------------------- MLflow's file store


@pytest.fixture
def file_store(tmp_path, monkeypatch):
    """A folder as `mlflow` before 3.7 created it by default."""
    monkeypatch.chdir(tmp_path)
    for name in ("0", "123456789012345678"):
        (tmp_path / "mlruns" / name).mkdir(parents=True)
        (tmp_path / "mlruns" / name / "meta.yaml").write_text(f"artifact_location: x\nexperiment_id: '{name}'\n")
    return tmp_path / "mlruns"


def test_a_file_store_is_left_alone(call, file_store):
    before, beside = tree(file_store), Path("mlruns-hpsearch")
    go(experiment(), Home.at(Path("mlruns")).make().path / "toy")
    said = "mlruns is an MLflow file store; hpsearch keeps its studies beside it, in mlruns-hpsearch\n"
    code, out, err = call("show", "toy", "--json")
    assert (code, err) == (0, said)
    assert json.loads(out)["study"] == "toy"
    assert call("export", "toy")[::2] == (0, said)
    assert call("show", "toy", "--home", beside)[::2] == (0, "")
    code, out, err = call("stop", "toy")
    assert (code, err) == (1, f"{said}error: study 'toy' is not running\n")
    assert tree(file_store) == before
    shutil.rmtree(file_store)
    assert Home.at(Path("mlruns")).path == beside  # the studies are there, whatever becomes of the store


@pytest.mark.parametrize("where", [".", "absolute"])
def test_a_file_store_by_another_name(file_store, monkeypatch, where):
    monkeypatch.chdir(file_store)
    found = Home.at(Path(where) if where == "." else file_store).path
    assert found == file_store.with_name("mlruns-hpsearch")


def test_other_homes_are_used_as_given(file_store, tmp_path):
    (file_store / "toy").mkdir()
    (file_store / "toy" / "journal.jsonl").touch()  # made by an hpsearch of before
    assert Home.at(file_store).path == file_store
    (tmp_path / "sqlite" / "0" / "run" / "artifacts").mkdir(parents=True)  # artifacts, as MLflow above 3.7 keeps them
    for path in (tmp_path / "new", tmp_path / "sqlite", Path("x")):
        assert Home.at(path).path == path


# ------------------------------------------------------------------------------------------- users without a name

NAMELESS = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
READS_ALL = ["--inh-caps=+dac_override,+dac_read_search", "--ambient-caps=+dac_override,+dac_read_search"]  # Python
LOOK = """
import getpass, os
from pathlib import Path
from hpsearch.system.environment import stand_in_for_user
stand_in_for_user()
print(os.getuid(), getpass.getuser(), Path.home().is_dir(), oct(Path.home().stat().st_mode)[-3:], Path.home())
"""


def nameless(*command, cwd, **extra):
    """Runs a command as a user without a home or an entry in /etc/passwd."""
    if shutil.which("setpriv") is None or os.getuid() != 0:
        pytest.skip("needs setpriv, and root")
    known = environment(PYTHONPATH=str(Path(__file__).parents[2]), **extra)
    kept = {key: value for key, value in known.items() if key not in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME")}
    whole = [*NAMELESS, *READS_ALL, *map(str, command)]
    return subprocess.run(whole, cwd=cwd, env=kept, capture_output=True, text=True, timeout=6000, check=False)


def test_a_user_without_a_name_gets_one(tmp_path):
    done = nameless(sys.executable, "-c", LOOK, cwd=tmp_path)
    uid, name, there, mode, home = done.stdout.split()
    assert (uid, name, there, mode) == ("12345", "uid12345", "True", "700")
    assert not Path(home).exists()  # any more


def test_a_user_with_a_name_keeps_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment(HOME=str(tmp_path)), capture_output=True, text=True
    )
    assert done.stdout.split()[-1] == str(tmp_path)


@pytest.mark.slow
def test_mlflow_ships_for_a_user_without_a_name(tmp_path):
    cwd = project(tmp_path / "work")
    done = nameless(*PROGRAM, "run", "space.yaml", "--launcher", "inline", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mlflow" not in done.stdout
    assert rows(cwd / "mlruns" / "mlflow.db", "select distinct status from runs") == [("FINISHED",)]
