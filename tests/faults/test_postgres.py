"""F32, F33: the Optuna view in a real PostgreSQL, which restarts, is cut off or falls silent; training never waits."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import psycopg
import pytest

from hpsearch.errors import UserError
from hpsearch.views import postgres, shipping
from hpsearch.views.follower import state_file
from tests.cli.processes import end, events, hpsearch, started, wait_for
from tests.faults.servers import PASSWORD, Postgres, Wire, free_port, postgres_binaries
from tests.faults.stores import SPACE, TIMED, TRIAL_ROWS, Small, trials
from tests.faults.timed import longest_gap
from tests.views.conftest import Written

pytestmark = pytest.mark.skipif(postgres_binaries() is None, reason="no initdb: PostgreSQL is not installed")


@pytest.fixture(scope="module")
def server():
    """A real server, up unless a test has taken it down."""
    made = Postgres()
    try:
        yield made.up()
    finally:
        made.remove()


@pytest.fixture
def url(server, monkeypatch):
    """Sets the variable and the password; the database has no study of another test."""
    for (name,) in server.query("select tablename from pg_tables where schemaname = 'public'"):
        server.query_nothing(f'drop table "{name}" cascade')
    server.query_nothing("drop type if exists trialstate, studydirection, trialvaluetype, trialintermediatevaluetype")
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", server.url)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    return server.url


def stored(server, study):
    """Each trial of a study by number, as tests.faults.stores.trials reads it of SQLite; no trial may stand twice."""
    found = {}
    wanted = "select trial_id, number, state from trials join studies using (study_id) where study_name = %s"
    with server.connected() as connection:
        for trial, number, state in connection.execute(wanted, [study]).fetchall():
            assert number not in found, f"trial {number} is there twice"
            rows = [
                sorted(connection.execute(f"select {columns} from {table} where trial_id = %s", [trial]).fetchall())
                for columns, table in TRIAL_ROWS
            ]
            found[number] = (state, *rows)
    return found


def plain(found):
    """The same of SQLite and PostgreSQL."""
    return {number: (state, *(sorted(map(tuple, rows)) for rows in lists)) for number, (state, *lists) in found.items()}


def in_sqlite(study, tmp_path, monkeypatch):
    """What a home's own database gets of a study."""
    monkeypatch.delenv("HPSEARCH_OPTUNA_URL")
    home = tmp_path / "reference"
    (home / study.name).mkdir(parents=True)
    (home / study.name / "journal.jsonl").write_bytes((study / "journal.jsonl").read_bytes())
    assert shipping.sync(home / study.name, home, None, ["optuna"]) == {"optuna": 0}
    return plain(trials(home / "optuna.db", study.name))


def ship(study, say=lambda line: None):
    return shipping.sync(study.folder, study.home, None, ["optuna"], say=say)


# ------------------------------------------------------------------------------------------------ what is stored there


def test_a_study_is_there_as_in_sqlite(server, url, tmp_path, monkeypatch):
    study = Written(tmp_path / "home", "whole")
    assert ship(study) == {"optuna": 0}
    assert not (study.home / "optuna.db").exists()
    found = stored(server, "whole")
    assert sorted(found) == [0, 1, 2, 3]
    assert plain(found) == in_sqlite(study.folder, tmp_path, monkeypatch)


def test_a_replay_changes_nothing_and_sqlite_comes_back_without_the_variable(server, url, tmp_path, monkeypatch):
    study = Written(tmp_path / "home", "again")
    ship(study)
    before = stored(server, "again")
    state_file(study.folder, "optuna").unlink()
    assert ship(study) == {"optuna": 0}
    assert repr(stored(server, "again")) == repr(before)
    monkeypatch.delenv("HPSEARCH_OPTUNA_URL")
    assert ship(study) == {"optuna": 0}
    assert plain(trials(study.home / "optuna.db", "again")) == plain(before)
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", url)
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    assert ship(study) == {"optuna": 0}
    assert repr(stored(server, "again")) == repr(before)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_way_to_write_the_address_and_optuna_reads_it(server, url, tmp_path, monkeypatch, scheme):
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", f"{scheme}://hp:{PASSWORD}@127.0.0.1:{server.port}/studies")
    study = Small(tmp_path / "home", "read")
    assert ship(study) == {"optuna": 0}
    there = f"postgresql+psycopg://hp:{PASSWORD}@127.0.0.1:{server.port}/studies"
    storage = optuna.storages.RDBStorage(there)
    loaded = optuna.load_study(study_name="read", storage=storage)
    assert (loaded.best_value, loaded.metric_names) == (1.5, ["val/loss"])
    storage.remove_session()
    storage.engine.dispose()


def test_optuna_dashboard_reads_it(server, url, tmp_path):
    """As in docs/servers.md: another program reads the database, with the password in the environment."""
    study, port = Written(tmp_path / "home", "seen"), free_port()
    assert ship(study) == {"optuna": 0}
    program = str(Path(sys.executable).with_name("optuna-dashboard"))
    command = [program, url.replace("postgresql:", "postgresql+psycopg:"), "--host", "127.0.0.1", "--port", str(port)]
    dashboard = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        (found,) = wait_for(lambda: answer(port, "studies"))["study_summaries"]
        assert (found["study_name"], found["directions"]) == ("seen", ["minimize"])
        shown = answer(port, f"studies/{found['study_id']}")
    finally:
        os.killpg(dashboard.pid, signal.SIGKILL)
        dashboard.wait()
    assert shown["objective_names"] == ["val/loss"]
    assert [trial["state"] for trial in shown["trials"]] == ["Complete", "Complete", "Pruned", "Waiting"]
    assert [trial["values"] for trial in shown["trials"][:2]] == [[2.0], [1.5]]
    assert [point["value"] for point in shown["trials"][1]["intermediate_values"]] == [2.4, 1.5, 1.9]


def answer(port, path):
    """What the dashboard says; None while it does not answer."""
    address = f"http://127.0.0.1:{port}/api/{path}"
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=20) as said:
        return json.load(said)


def test_two_homes_with_a_study_of_one_name_do_not_mix(server, url, tmp_path):
    first, second, said = Written(tmp_path / "a", "twin"), Written(tmp_path / "b", "twin"), []
    (second.folder / "journal.jsonl").unlink()
    second.add(*({**event, "time": event["time"] + 50} for event in second.events))
    ship(first)
    before = stored(server, "twin")
    assert ship(second, say=said.append)["optuna"] > 0
    assert len(said) == 1, said
    assert f"has a study 'twin' of the home {postgres.home_mark(first.home)}" in said[0]
    assert "rename this study" in said[0]
    assert repr(stored(server, "twin")) == repr(before)
    server.query_nothing("update studies set study_name = 'older' where study_name = 'twin'")  # its owner makes room
    assert ship(second) == {"optuna": 0}


def test_a_study_of_another_program_is_left_as_it_is(server, url, tmp_path):
    there = f"postgresql+psycopg://hp:{PASSWORD}@127.0.0.1:{server.port}/studies"
    storage, said = optuna.storages.RDBStorage(there), []
    other = optuna.create_study(study_name="theirs", storage=storage)
    other.add_trial(optuna.trial.create_trial(value=1.0))
    study = Small(tmp_path / "home", "theirs")
    assert ship(study, say=said.append)["optuna"] > 0
    assert "of another program, which is not changed" in said[0]
    assert [trial.value for trial in other.trials] == [1.0]
    storage.remove_session()
    storage.engine.dispose()


def test_a_study_made_anew_in_its_home_replaces_the_old_one(server, url, tmp_path):
    study = Small(tmp_path / "home", "anew")
    ship(study)
    state_file(study.folder, "optuna").unlink()
    (study.folder / "journal.jsonl").unlink()
    study.add({**study.events[0], "time": study.events[0]["time"] + 1000})
    assert ship(study) == {"optuna": 0}
    assert stored(server, "anew") == {}


def test_repair_puts_right_what_somebody_changed(server, url, tmp_path):
    study = Written(tmp_path / "home", "changed")
    ship(study)
    before = repr(stored(server, "changed"))
    server.query_nothing("update trial_values set value = 0.001")
    server.query_nothing("delete from trial_intermediate_values where step = 2")
    done = hpsearch("repair", "changed", "--home", "home", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "optuna: 4 trials, 10 values: complete (before: " in done.stdout
    assert repr(stored(server, "changed")) == before


# ------------------------------------------------------------------------------------------------------ a wrong address

WRONG = {
    "another server": ("mysql://u:S3CRET12@h/db", "HPSEARCH_OPTUNA_URL begins with 'mysql://'; allowed is"),
    "another driver": ("postgresql+asyncpg://u:S3CRET12@h/db", "begins with 'postgresql+asyncpg://'; allowed is"),
    "no URL": ("S3CRET12 host=h", "HPSEARCH_OPTUNA_URL is not a URL; allowed is postgresql://USER@HOST/DATABASE"),
    "an option": ("postgresql://u:S3CRET12@h/db?colour=red", "an option that PostgreSQL does not know: colour"),
    "a password with %": ("postgresql://u:S3CRET12%zz@h/db", "cannot be read as a URL; allowed is"),
    "an open bracket": ("postgresql://u:S3CRET12@[::1/db", "cannot be read as a URL; allowed is"),
}


@pytest.fixture
def folder(tmp_path):
    """A folder with a space over two text files."""
    for name in ("train", "valid"):
        (tmp_path / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    (tmp_path / "space.yaml").write_text(SPACE.format(study="s", trials=2))
    return tmp_path


@pytest.mark.parametrize("address", WRONG)
def test_a_wrong_address_is_refused_at_the_start(call, folder, monkeypatch, address):
    wrong, words = WRONG[address]
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", wrong)
    code, out, err = call("run", folder / "space.yaml", "--home", folder / "home", "--launcher", "inline")
    assert (code, out.strip(), err.count("\n")) == (2, "", 1), (code, out, err)
    assert words in err
    assert "S3CRET" not in err
    assert not (folder / "home" / "s").exists()


def test_sync_refuses_a_wrong_address_too(call, tmp_path, monkeypatch):
    study = Small(tmp_path / "home", "small")
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", "sqlite:///x.db")
    for command in ("sync", "repair"):
        code, _, err = call(command, "small", "--home", study.home)
        assert code == 2
        assert "begins with 'sqlite://'; allowed is" in err


def test_a_driver_that_is_lacking_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", "postgresql://u@h/db")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"psycopg.* cannot be imported: pip install 'hpsearch\[postgresql\]'"):
        shipping.check_address()


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", " ")
    assert postgres.address() is None


def test_a_wrong_password_is_one_line_and_sync_ships_later(server, url, tmp_path, monkeypatch):
    study, said = Small(tmp_path / "home", "denied"), []
    monkeypatch.setenv("PGPASSWORD", "S3CRETbut-wrong")
    assert ship(study, say=said.append)["optuna"] > 0
    assert len(said) == 1
    assert 'password authentication failed for user "hp"' in said[0]
    assert "; HPSEARCH_OPTUNA_URL names the database)" in said[0]
    assert "S3CRET" not in said[0]
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert ship(study) == {"optuna": 0}


# ---------------------------------------------------------------------------------------------- F32, F33: one process


class Stumbling:
    """Has something done at the n-th statement of each kind, as the shipping process sends it."""

    def __init__(self, monkeypatch, at, action):
        self.count, self.at, self.action = 0, at, action
        original = psycopg.Cursor.execute
        stumbling = self

        def execute(cursor, *arguments, **options):
            stumbling.count += 1
            if stumbling.count == stumbling.at:
                stumbling.action()
            return original(cursor, *arguments, **options)

        monkeypatch.setattr(psycopg.Cursor, "execute", execute)


FEW = (1, 20, 60, 140)
MORE = [at for at in range(10, 201, 10) if at not in FEW]
EVERY = [*FEW, *(pytest.param(at, marks=pytest.mark.slow) for at in MORE)]


@pytest.mark.parametrize("at", EVERY)
def test_f32_f33_a_connection_cut_at_any_statement_loses_and_doubles_nothing(server, url, tmp_path, monkeypatch, at):
    """F33: the connection breaks at the n-th statement."""
    study, said = Written(tmp_path / "home", "cut"), []
    with Wire(server.port) as wire:
        monkeypatch.setenv("HPSEARCH_OPTUNA_URL", url.replace(str(server.port), str(wire.own_port)))
        with monkeypatch.context() as patched:
            Stumbling(patched, at, wire.cut)
            assert ship(study, say=said.append) == {"optuna": 0}, said
    assert len([line for line in said if "training continues" in line]) <= 1
    assert plain(stored(server, "cut")) == in_sqlite(study.folder, tmp_path, monkeypatch)


@pytest.mark.slow
def test_f33_the_answer_to_every_commit_may_be_lost(server, url, tmp_path, monkeypatch):
    """F33: the server has done it, but nobody hears of it: no trial is made twice."""
    study, count = Written(tmp_path / "home", "unheard"), 0
    commit = psycopg.Connection.commit
    with Wire(server.port) as wire:
        monkeypatch.setenv("HPSEARCH_OPTUNA_URL", url.replace(str(server.port), str(wire.own_port)))

        def unheard(connection):
            nonlocal count
            count += 1
            commit(connection)
            if count % 3 == 0:
                connection.close()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        with monkeypatch.context() as patched:
            patched.setattr(psycopg.Connection, "commit", unheard)
            for _ in range(60):
                if ship(study) == {"optuna": 0}:
                    break
        assert ship(study) == {"optuna": 0}
    assert count > 10
    assert plain(stored(server, "unheard")) == in_sqlite(study.folder, tmp_path, monkeypatch)


def test_f33_a_silent_network_is_given_up(server, url, tmp_path, monkeypatch):
    """F33: packets are dropped silently: no endless wait, no session is left, and everything arrives later."""
    study, said, took = Written(tmp_path / "home", "silent"), [], []
    monkeypatch.setattr("hpsearch.views.postgres.ANSWER_TIMEOUT", 1.0)
    monkeypatch.setattr("hpsearch.views.postgres.CONNECT_TIMEOUT", 2)
    monkeypatch.setitem(postgres.KEEPALIVE, "connect_timeout", 2)
    with Wire(server.port) as wire:
        monkeypatch.setenv("HPSEARCH_OPTUNA_URL", url.replace(str(server.port), str(wire.own_port)))

        def swallow():
            wire.mode = "swallow"
            took.append(time.monotonic())

        with monkeypatch.context() as patched:
            Stumbling(patched, 60, swallow)
            assert ship(study, say=said.append)["optuna"] > 0
        took.append(time.monotonic())
        assert [line for line in said if "training continues" in line and "no answer for 1 s" in line], said
        wire.mode = "pass"
        assert ship(study) == {"optuna": 0}
        mine = "select count(*) from pg_stat_activity where application_name like %s"
        wait_for(lambda: server.query(mine, "hpsearch %") == [(0,)])
    assert took[1] - took[0] < 30
    assert plain(stored(server, "silent")) == in_sqlite(study.folder, tmp_path, monkeypatch)


def test_f33_the_limits_of_a_real_connection(server, url):
    """F33: the settings of the server and of the kernel."""
    with postgres.connected(postgres.address(), "hpsearch test") as connection:
        told = {name: connection.execute(f"show {name}").fetchone()[0] for name in postgres.SERVER_OPTIONS}
        assert told["statement_timeout"] == "30s"
        assert told["idle_in_transaction_session_timeout"] == "1min"
        found = connection.info.get_parameters()
        assert (found["connect_timeout"], found["keepalives_idle"]) == ("10", "10")
        assert connection.execute("show application_name").fetchone() == ("hpsearch test",)


# ----------------------------------------------------------------------------------------- F32, F33: real processes


class Search:
    """A study that real processes search, the Optuna view of which is on a server."""

    def __init__(self, cwd):
        self.cwd, self.processes = cwd, []

    def start(self, study, url, *, trials, **extra):
        (self.cwd / "space.yaml").write_text(TIMED.format(study=study, trials=trials))
        self.folder, self.journal = self.cwd / "home" / study, self.cwd / "home" / study / "journal.jsonl"
        extra |= {"STEPS_FILE": str(self.cwd / f"{study}.steps")}
        extra |= {"TOY_STEP": "0.01", "PYTHONPATH": str(Path(__file__).parents[2])}
        extra |= {"HPSEARCH_OPTUNA_URL": url, "PGPASSWORD": PASSWORD, **extra}
        process = started("run", "space.yaml", "--home", "home", "--workers", "1", cwd=self.cwd, **extra)
        self.processes.append(process)
        return process

    def measured(self, count):
        wait_for(lambda: len(events(self.journal, "evaluation")) >= count)

    def shipped(self):
        """The bytes of the journal that the server has acknowledged."""
        path = state_file(self.folder, "optuna")
        return json.loads(path.read_text())["offset"] if path.exists() else 0


@pytest.fixture
def search(folder):
    made = Search(folder)
    yield made
    for process in made.processes:
        end(process)


def whole(search, server, study, tmp_path, monkeypatch):
    """Nothing is lost, doubled or left running, and no file has the password."""
    found = plain(stored(server, study))
    assert {state for state, *_ in found.values()} <= {"COMPLETE", "PRUNED"}
    assert events(search.journal, "trial_interrupted") == []
    finished = events(search.journal, "trial_finished")
    assert len(finished) == len(found) == len({e["trial"] for e in finished})
    assert found == in_sqlite(search.folder, tmp_path, monkeypatch)
    for path in search.cwd.glob("home/**/*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "seconds"), [("fast", 0), ("immediate", 0), ("fast", 10), ("immediate", 10)])
def test_f32_a_restart_of_the_server_midway(search, server, url, report, tmp_path, monkeypatch, mode, seconds):
    """F32: the server restarts, or is down for 10 s: training continues, and everything arrives."""
    process = search.start(f"restart-{mode}-{seconds}", url, trials=max(8, 3 * seconds))
    wait_for(lambda: search.shipped() > 0)
    search.measured(6)
    server.down(mode)
    began, count = time.monotonic(), len(events(search.journal))
    try:
        wait_for(lambda: time.monotonic() > began + seconds)
        during = len(events(search.journal)) - count
    finally:
        server.up()
    back, size = time.monotonic(), search.journal.stat().st_size
    wait_for(lambda: search.shipped() >= size)
    caught_up = round(time.monotonic() - back, 1)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), out + err
    assert PASSWORD not in out
    figures = {"caught up after (s)": caught_up, "events while it was down": during}
    report({**figures, "longest step (ms)": round(1000 * longest_gap(search.cwd / f"{search.folder.name}.steps"))})
    assert during > 5 or not seconds
    whole(search, server, search.folder.name, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cut", "swallow"])
def test_f33_a_broken_network_midway(search, server, url, report, tmp_path, monkeypatch, mode):
    """F33: the connection is cut, or stays open and carries nothing for 15 s."""
    with Wire(server.port) as wire:
        process = search.start(
            f"wire-{mode}", url.replace(str(server.port), str(wire.own_port)), trials=40 if mode == "swallow" else 12
        )
        wait_for(lambda: search.shipped() > 0)
        search.measured(6)
        began, count = time.monotonic(), len(events(search.journal))
        if mode == "swallow":
            wire.mode = mode
            wait_for(lambda: time.monotonic() > began + 15)
            wire.mode = "pass"
        else:
            wire.cut()
        during = len(events(search.journal)) - count
        back, size = time.monotonic(), search.journal.stat().st_size
        wait_for(lambda: search.shipped() >= size)
        caught_up = round(time.monotonic() - back, 1)
        out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), out + err
    figures = {"caught up after (s)": caught_up, "events meanwhile": during}
    report({**figures, "longest step (ms)": round(1000 * longest_gap(search.cwd / f"{search.folder.name}.steps"))})
    whole(search, server, search.folder.name, tmp_path, monkeypatch)


@pytest.mark.slow
def test_f32_a_server_that_is_down_from_start_to_end(search, server, url, tmp_path, monkeypatch):
    """F32: one message, exit 0, and sync ships everything; no output has the address or its password."""
    away = f"postgresql://hp:{PASSWORD}@127.0.0.1:9/studies"  # nobody listens there
    process = search.start("away", away, trials=2)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), out + err
    assert out.count("training continues") == 1
    assert "HPSEARCH_OPTUNA_URL names the database" in out
    assert PASSWORD not in out
    done = hpsearch("sync", "away", "--home", "home", cwd=search.cwd)
    assert (done.returncode, done.stdout.count(": has everything")) == (0, 2)
    assert not (search.cwd / "home" / "optuna.db").exists()
    whole(search, server, "away", tmp_path, monkeypatch)
    with sqlite3.connect(search.cwd / "home" / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone()[0] == 3
