"""`hpsearch rename`: the study has the new name everywhere, and goes on as if it had always had it."""

import shutil

import pytest

import hpsearch
from hpsearch.errors import UserError
from hpsearch.home.renaming import renamed_text
from hpsearch.journal import encode
from hpsearch.journal.study_lock import StudyLock
from tests.cli.test_run import one_line
from tests.faults.homes import bytes_of, events, home, names, template  # noqa: F401
from tests.faults.stores import held, query, runs, trials


def test_the_study_has_the_new_name_everywhere(home, call):  # noqa: F811
    before = runs(home / "mlflow.db", "study"), trials(home / "optuna.db", "study"), events(home / "study")
    (home / "artifacts" / "study").mkdir(parents=True, exist_ok=True)
    (home / "artifacts" / "study" / "kept.txt").write_text("x")
    code, out, err = call("rename", "study", "New_name-2", "--home", home)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "study 'study' is now 'New_name-2'"
    assert names(home)["folders"] == names(home)["experiments"] == names(home)["optuna"] == ["New_name-2", "other"]
    assert (home / "artifacts" / "New_name-2" / "kept.txt").exists()
    after = runs(home / "mlflow.db", "New_name-2")
    assert set(after) == {"New_name-2", "trial-0001", "trial-0003"}
    assert all(tags["hpsearch.study"] == "New_name-2" for _, _, _, _, tags, _ in after.values())
    assert {name: run[5] for name, run in after.items() if name != "New_name-2"} == {
        name: run[5] for name, run in before[0].items() if name != "study"
    }
    assert trials(home / "optuna.db", "New_name-2") == before[1]
    place = "select artifact_uri from runs join experiments using (experiment_id) where experiments.name = 'New_name-2'"
    assert all(f"{home.as_uri()}/artifacts/New_name-2/" in uri for (uri,) in query(home / "mlflow.db", place))
    now = events(home / "New_name-2")
    assert now[0]["study"] == "New_name-2"
    assert now[0]["first"] == "study"
    assert now[0]["source"] == "study: New_name-2\n"
    assert [event for event in now if "origin" not in event][1:] == [e for e in before[2] if "origin" not in e][1:]
    assert (home / "New_name-2" / "best.yaml").read_text() == "# The best of study study.\nstudy: New_name-2\n"
    assert call("repair", "New_name-2", "--home", home)[1].splitlines()[2] == "  mlflow: 3 runs, 49 rows: complete"
    assert call("rename", "New_name-2", "study", "--home", home)[0] == 0  # and back
    assert events(home / "study")[0]["study"] == "study"


def test_mistakes_change_nothing(home, call):  # noqa: F811
    before = bytes_of(home / "study")
    for new, text in {
        "other": r"'other' is taken: .*other exists",
        "study": r"study 'study' has that name",
        "моё имя": r"is not a valid study name: letters, digits",
        "a/b": r"is not a valid study name",
        "": r"is not a valid study name",
        "cache": r"'cache' is the name of a folder of hpsearch's own",
        "x" * 101: r"is not a valid study name",
    }.items():
        one_line(call("rename", "study", new, "--home", home), 2, text)
    one_line(call("rename", "studdy", "new", "--home", home), 2, r"did you mean study\?")
    (home / "mine").mkdir()
    one_line(call("rename", "study", "mine", "--home", home), 2, r"'mine' is taken")
    lock = StudyLock(home / "study" / "lock", what="study 'study'")
    try:
        one_line(
            call("rename", "study", "new", "--home", home),
            73,
            r"study 'study' is being run by .*; stop it first \(hpsearch stop study",
        )
    finally:
        lock.release()
    assert bytes_of(home / "study").keys() == before.keys() | {"lock"}
    assert bytes_of(home / "study")["journal.jsonl"] == before["journal.jsonl"]
    assert names(home)["experiments"] == ["other", "study"]


def test_a_name_that_only_a_database_has_is_taken(home, call):  # noqa: F811
    shutil.rmtree(home / "other")
    shutil.rmtree(home / "artifacts" / "other", ignore_errors=True)
    one_line(call("rename", "study", "other", "--home", home), 1, r"MLflow has an experiment 'other' already")
    assert not (home / "study" / "renaming.json").exists()


def test_a_locked_database_is_named_before_anything_changes(home, call, monkeypatch):  # noqa: F811
    monkeypatch.setattr("hpsearch.views.sqlite.BUSY_TIMEOUT", 0.2)
    with held(home / "optuna.db"):
        result = call("rename", "study", "new", "--home", home)
    assert result[0] == 1
    assert "study 'study' is not renamed" in result[2]
    assert names(home)["folders"] == ["other", "study"]
    assert call("rename", "study", "new", "--home", home)[0] == 0


def test_the_line_of_the_space_file_is_named_or_edited(home, call):  # noqa: F811
    """The files beside the study's data that name it; or the one that was given."""
    path = home.parent / "space.yaml"
    text = "# mine\nstudy: 'study' # ours\ndata: {}\n"
    path.write_text(text)
    path.chmod(0o644)
    (home.parent / "unrelated.yaml").write_text("study: study\n")  # no space: it has no data
    found = events(home / "study")
    found[0]["base"] = str(home.parent)
    (home / "study" / "journal.jsonl").write_bytes(b"".join(map(encode, found)))
    out = call("rename", "study", "new", "--home", home)[1]
    assert f"{path}:2:9: change this to `study: new`, or `hpsearch run` begins a new study (--edit does it)" in out
    assert path.read_text() == text
    out = call("rename", "new", "newer", "--edit", "--home", home)[1]  # the file does not say `new`
    assert "a space file that names it must say `study: newer`" in out
    path.write_text(text.replace("'study'", "'newer'"))
    assert f"{path}:2:9: edited: study: last" in call("rename", "newer", "last", "--edit", "--home", home)[1]
    assert path.read_text() == text.replace("'study'", "'last'")
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("study: toy\ndata: {}\n", "study: new\ndata: {}\n"),
        ("# a\nstudy:   'toy'  # b\r\n", "# a\nstudy:   'new'  # b\r\n"),
        ('seed: 1\nstudy: "to.y-1"\n', 'seed: 1\nstudy: "new"\n'),
        ("data:\n  study: toy\n", "study: new\ndata:\n  study: toy\n"),
        ("\ufeffdata: {}\n", "\ufeffstudy: new\ndata: {}\n"),
    ],
)
def test_only_the_name_is_edited(text, wanted):
    assert renamed_text(text, "new") == wanted


def test_from_python(home):  # noqa: F811
    study = hpsearch.rename("study", "new", home=home)
    assert (study.name, study.folder) == ("new", home / "new")
    with pytest.raises(UserError, match="no study 'study'"):
        hpsearch.rename("study", "new", home=home)
