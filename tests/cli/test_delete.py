"""`hpsearch delete`: nothing of a study is left, nothing else is touched, and it asks first."""

import json
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import hpsearch
from hpsearch.errors import HpsearchError, UserError
from hpsearch.journal.study_lock import StudyLock
from hpsearch.views.mlflow.final_run import FinalRun
from hpsearch.views.mlflow.registry import Registration
from hpsearch.views.mlflow.store import Store
from tests.cli.test_run import one_line
from tests.faults.homes import bytes_of, home, left_over, names, template  # noqa: F401
from tests.faults.stores import held, query, runs, trials


def test_nothing_is_left_and_nothing_else_is_touched(home, call):  # noqa: F811
    before = bytes_of(home / "other"), runs(home / "mlflow.db", "other"), trials(home / "optuna.db", "other")
    (home / "artifacts" / "study" / "mine").mkdir(parents=True)
    code, out, err = call("delete", "study", "--yes", "--home", home)
    assert (code, err) == (0, "")
    assert out.startswith("study 'study': 2 trials, ")
    assert out.splitlines()[0].endswith(", 3 MLflow runs")
    assert names(home)["folders"] == names(home)["experiments"] == names(home)["optuna"] == ["other"]
    assert "study" not in names(home)["artifacts"]
    assert query(home / "mlflow.db", "select count(*) from experiments where name = 'study'") == [(0,)]
    assert left_over(home / "mlflow.db") == left_over(home / "optuna.db") == 0
    assert not (home / ".deleting").exists()
    assert (bytes_of(home / "other"), runs(home / "mlflow.db", "other"), trials(home / "optuna.db", "other")) == before


def test_it_asks_and_without_a_terminal_it_is_one_line(home, call, monkeypatch):  # noqa: F811
    result = call("delete", "study", "other", "--home", home)
    one_line(result, 2, r"standard input is no terminal.*--yes deletes without asking")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in ("n", ""):
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt, answer=answer: answer)
        assert call("delete", "study", "--home", home)[0] == 2
    assert names(home)["folders"] == ["other", "study"]
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: "y")
    assert call("delete", "study", "--home", home)[0] == 0
    assert names(home)["folders"] == ["other"]


def test_mistakes_touch_nothing(home, call):  # noqa: F811
    before = bytes_of(home / "study")
    one_line(call("delete", "study", "studi", "--yes", "--home", home), 2, r"no study 'studi' .*; did you mean study\?")
    one_line(call("delete", "a b", "--yes", "--home", home), 2, r"neither a space file .* nor the name of a study")
    one_line(call("delete", "..", "--yes", "--home", home), 2, r"neither a space file .* nor the name of a study")
    (home / "mine").mkdir()
    (home / "mine" / "thesis.txt").write_text("x")
    one_line(call("delete", "mine", "--yes", "--home", home), 2, r"mine: is no study: it has no journal.jsonl")
    (home / "linked").symlink_to(home / "other")
    one_line(call("delete", "linked", "--yes", "--home", home), 2, r"linked: is a link to another folder")
    lock = StudyLock(home / "study" / "lock", what="study")
    try:
        result = call("delete", "other", "study", "--yes", "--home", home)
        one_line(result, 73, r"study 'study' is being run by pid \d+ on host .*; stop it first \(hpsearch stop study")
    finally:
        lock.release()
    assert bytes_of(home / "study").keys() == before.keys() | {"lock"}
    assert (home / "other" / "journal.jsonl").exists()
    assert (home / "mine" / "thesis.txt").exists()


def test_a_locked_database_is_named_and_the_rest_is_deleted(home, call, monkeypatch):  # noqa: F811
    monkeypatch.setattr("hpsearch.views.sqlite.BUSY_TIMEOUT", 0.2)
    with held(home / "mlflow.db"):
        result = call("delete", "study", "--yes", "--home", home)
    one_line(result, 1, r"'study' is deleted, but for its MLflow runs \(.*locked.*\).*`hpsearch delete study --home")
    assert names(home)["folders"] == names(home)["optuna"] == ["other"]
    assert [path.name for path in (home / ".deleting" / "study").iterdir()] == ["journal.jsonl"]
    out = call("delete", "study", "--yes", "--home", home)[1]
    assert out.startswith("study 'study': what is left of it: 2 trials, ")
    assert names(home)["experiments"] == ["other"]


def test_a_server_that_is_down_is_named_and_its_runs_can_be_left(home, call):  # noqa: F811
    from hpsearch import journal
    from hpsearch.journal import encode

    path = home / "study" / "journal.jsonl"
    events = journal.read(path)
    events[0]["experiment"]["tracking"] = {"uri": "http://user:secret@127.0.0.1:9"}
    path.write_bytes(b"".join(map(encode, events)))
    with pytest.raises(HpsearchError, match="is deleted, but for its MLflow runs") as raised:
        hpsearch.delete("study", home=home)
    assert "secret" not in str(raised.value)
    code, out, err = call("delete", "study", "--yes", "--keep-mlflow", "--home", home)
    assert (code, err) == (0, "")
    assert "secret" not in out
    assert names(home)["experiments"] == ["other", "study"]  # the home's own store was not asked
    assert not (home / ".deleting").exists()


def test_runs_of_somebody_else_keep_the_experiment(home, call):  # noqa: F811
    connection = sqlite3.connect(home / "mlflow.db")
    [(run,)] = connection.execute("select run_uuid from runs where name = 'trial-0001' limit 1").fetchall()
    connection.execute("delete from tags where run_uuid = ? and key = 'hpsearch.study'", (run,))
    [(name,)] = connection.execute(
        "select e.name from runs r join experiments e using (experiment_id) where run_uuid = ?", (run,)
    ).fetchall()
    connection.commit()
    connection.close()
    code, out, _ = call("delete", name, "--yes", "--home", home)
    assert code == 0
    assert f"MLflow: experiment '{name}' stays: 1 of its runs are not of hpsearch" in out
    assert query(home / "mlflow.db", "select count(*) from runs where run_uuid = ?", run) == [(1,)]


def test_a_study_with_a_damaged_journal_can_be_deleted(home, call):  # noqa: F811
    (home / "study" / "journal.jsonl").write_bytes(b"\0\1\n" * 50)
    code, out, err = call("delete", "study", "--yes", "--home", home)
    assert (code, err) == (0, "")
    assert "(its journal cannot be read)" in out
    assert names(home)["folders"] == names(home)["experiments"] == names(home)["optuna"] == ["other"]


def test_data_that_another_study_uses_stay(home, call):  # noqa: F811
    from hpsearch import journal
    from hpsearch.journal import encode

    for name, digits in (("study", "a" * 64), ("other", "b" * 64)):
        events = journal.read(home / name / "journal.jsonl")
        events[0]["data"]["fingerprint"] = digits
        (home / name / "journal.jsonl").write_bytes(b"".join(map(encode, events)))
    for digits in ("a" * 24, "b" * 24, "c" * 24, "mine"):
        (home / "cache" / digits).mkdir(parents=True)
        (home / "cache" / digits / "corpus.json").write_text("{}")
    assert call("delete", "study", "--yes", "--home", home)[0] == 0
    assert sorted(path.name for path in (home / "cache").iterdir()) == ["b" * 24, "c" * 24, "mine"]


def test_a_folder_that_cannot_be_moved(home, call, monkeypatch):  # noqa: F811
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hpsearch.home.deletion.os.rename", refused)
    result = call("delete", "study", "--yes", "--home", home)
    one_line(result, 74, r"study: cannot be deleted: Permission denied; nothing was changed")
    assert json.loads(call("list", "--json", "--home", home)[1])[0]["state"] == "interrupted"


def test_the_files_of_a_registered_model_stay(home, call, tmp_path):  # noqa: F811
    """They may be served; once the version is gone, or with MLflow's part left alone, the study goes."""
    (tmp_path / "weights.bin").write_bytes(b"1234")
    final = FinalRun(home, None, "study")
    final.start({}, {})
    final.finish({}, tmp_path, registration=Registration("mails"), timeout=600)
    assert str(final.registered) == "mails version 1, alias champion"
    wanted = r"study 'study': its final model is registered in MLflow \(mails version 1\), which needs the files here"
    one_line(call("delete", "other", "study", "--yes", "--home", home), 2, wanted)
    with pytest.raises(UserError, match=wanted):
        hpsearch.delete("other", "study", home=home)
    assert names(home)["folders"] == ["other", "study"]
    assert call("rename", "study", "renamed", "--home", home)[0] == 0
    [(source,)] = query(home / "mlflow.db", "select source from model_versions")
    assert (Path(unquote(urlsplit(source).path)) / "model" / "weights.bin").read_bytes() == b"1234"
    one_line(call("delete", "renamed", "--yes", "--home", home), 2, wanted.replace("'study'", "'renamed'"))
    store = Store(home, None)
    store.prepare()
    store.client.delete_model_version("mails", "1")
    store.close()
    code, _, err = call("delete", "renamed", "--yes", "--home", home)
    assert (code, err) == (0, "")
    assert "renamed" not in names(home)["artifacts"]
    assert query(home / "mlflow.db", "select count(*) from logged_models") == [(0,)]
