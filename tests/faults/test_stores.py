"""F23, F26, F27, F31, F39, F40, power losses: the stores are copies; damaged, full or locked, they come back whole."""

import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.journal import decode
from hpsearch.system import failpoints
from hpsearch.views import shipping
from hpsearch.views.follower import read_state, state_file
from hpsearch.views.mlflow.moved import follow
from hpsearch.views.mlflow.store import Store
from hpsearch.views.sqlite import journal_mode, set_aside
from tests import blank
from tests.cli.processes import descendants, end, events, hpsearch, started, stopped, wait_for
from tests.faults.nemesis import is_worker
from tests.faults.stores import TIMED, Reference, Small, both, held, often, query, runs, ship, trials, whole
from tests.faults.timed import longest_gap

ROOT = Path(__file__).parents[2]
PAGE = 4096
STORES = {"mlflow": "mlflow.db", "optuna": "optuna.db"}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A home with two studies shipped."""
    home = blank.home(tmp_path_factory.mktemp("template"))
    for name in ("study", "other"):
        assert ship(Small(home, name)) == {"mlflow": 0, "optuna": 0}
    return home


@pytest.fixture
def study(template, tmp_path):
    """The first study in a home of its own."""
    return moved(template, tmp_path / "home")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Short waits, and no pictures."""
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    monkeypatch.setattr(Store, "draws", False)


def moved(template, home, name="study"):
    """A copy of a home, and its study."""
    shutil.copytree(template, home)
    follow(home / "mlflow.db", home)  # which would be said once
    found = Small.__new__(Small)
    found.home, found.study, found.folder = home, name, home / name
    found.events = events(found.folder / "journal.jsonl")
    return found


# ---------------------------------------------------------------------------------------------- F26, F27: damaged files


def header(data, chance):
    return bytes(100) + data[100:]


def half(data, chance):
    return data[: len(data) // 2]


def zero_page(data, chance):
    return patched(data, chance, bytes(PAGE))


def random_page(data, chance):
    return patched(data, chance, chance.randbytes(PAGE))


def patched(data, chance, page):
    at = PAGE * chance.randrange(len(data) // PAGE)
    return data[:at] + page + data[at + PAGE :]


def nothing(data, chance):
    return b""


def somebodys_text(data, chance):
    return b"dear diary\n" * 1000


DAMAGES = [header, half, zero_page, random_page, nothing, somebodys_text, None]  # None: deleted


@pytest.mark.parametrize(
    ("name", "damage"),
    often(
        *[("mlflow", header), ("mlflow", half), ("mlflow", zero_page), ("mlflow", nothing)],
        *[("optuna", random_page), ("optuna", header), ("optuna", nothing), ("optuna", None)],
        every=[(name, damage) for name in STORES for damage in DAMAGES],
    ),
    ids=lambda value: value if isinstance(value, str) else value.__name__ if value else "deleted",
)
def test_f26_f27_a_damaged_store_is_noticed_and_filled_again(study, reference, name, damage):
    """F26, F27: noticed at the next start, set aside, filled from the journal; other studies come with repair."""
    path, seed, said = study.home / STORES[name], 5, []
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes(), random.Random(seed)))
    before = path.read_bytes() if path.exists() else b""
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    study.later(event="driver_stopped", reason="interrupted")
    assert ship(study, say=said.append) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)
    aside = list(study.home.glob(f"{path.name}.corrupt-*"))
    assert [file.read_bytes() for file in aside] == ([before] if before else [])
    assert len(said) == 1
    assert "to restore 1 more study: hpsearch repair --home" in said[0]
    assert path.name in said[0]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", STORES)
def test_f26_f27_pages_at_random(study, reference, name, seed):
    """F26, F27: after repair all is there, wherever a page was lost, also where SQLite itself notices nothing."""
    path, chance = study.home / STORES[name], random.Random(seed)
    path.write_bytes(random.Random(seed).choice([zero_page, random_page])(path.read_bytes(), chance))
    damaged = not sound(path)
    done = hpsearch("repair", "study", "--home", "home", cwd=study.home.parent)
    print(f"{name}, seed {seed}: {'noticed' if damaged else 'not noticed'} by SQLite: {done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert both(study) == reference.of(study.folder)


def sound(path):
    try:
        return whole(path)
    except sqlite3.DatabaseError:
        return False


def test_f26_f27_nothing_set_aside_is_overwritten(tmp_path):
    """F26: several damaged files of one second are all kept."""
    path = tmp_path / "optuna.db"
    for number in range(4):
        path.write_text(str(number))
        set_aside(path)
    assert sorted(file.read_text() for file in tmp_path.glob("optuna.db.corrupt-*")) == list("0123")


def test_f26_f27_a_store_replaced_while_it_is_open(study, reference):
    """F26, F27: a store that is deleted or replaced meanwhile is noticed, and filled again from the start."""
    said = []
    with shipping.followers(study.folder, study.home, None, STORES, say=said.append) as found:
        for follower in found:
            assert follower.step()
        (study.home / "optuna.db").unlink()
        os.replace(study.home / "mlflow.db", study.home / "elsewhere.db")
        study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
        study.later(event="driver_stopped", reason="interrupted")
        for follower in found:
            assert follower.step()
    assert both(study) == reference.of(study.folder)


def test_f26_damage_that_comes_while_it_is_written(study, reference):
    """F27: MLflow says of its damaged database that the request was bad; nothing is left out for that."""
    said = []
    with shipping.followers(study.folder, study.home, None, ["mlflow"], say=said.append) as (follower,):
        assert follower.step()
        follower.view.store.client._tracking_client.store.engine.dispose()
        for suffix in ("-wal", "-shm"):
            Path(f"{study.home / 'mlflow.db'}{suffix}").unlink(missing_ok=True)
        spoil_index(study.home / "mlflow.db", "metrics")
        study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
        study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
        again = {**study.events[-4], "trial": 3, "attempt": 2}
        evaluation = next(e for e in study.events if e["event"] == "evaluation" and e["trial"] == 1)["evaluation"]
        study.later(**{**again, "event": "evaluation", "evaluation": {**evaluation, "index": 3, "tokens": 3000}})
        while not follower.step():
            assert len(said) < 10
    assert not [line for line in said if "is skipped" in line]
    assert [line for line in said if "was set aside" in line]
    ship(study)
    assert both(study) == reference.of(study.folder)


def spoil_index(path, table):
    """Overwrites the pages of a table's indexes: reading goes well, writing does not."""
    roots = query(path, "select rootpage from sqlite_master where type = 'index' and tbl_name = ?", table)
    with path.open("r+b") as file:
        for (root,) in roots:
            file.seek(PAGE * (root - 1))
            file.write(b"\xff" * PAGE)
    assert not sound(path)


def test_f27_a_store_half_made_is_no_store(tmp_path, reference):
    """F27, F39: a process killed while MLflow makes its tables (2 s) leaves nothing that the next would trip over."""
    home, code = tmp_path / "home", "import sys; from hpsearch.views import shipping; from pathlib import Path; "
    code += "import mlflow.tracking, optuna; print(flush=True); shipping.prepare(Path(sys.argv[1]), None)"
    chance, finished = random.Random(7), 0
    for delay in [0.05, 0.5, chance.uniform(0.5, 2)]:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        process = subprocess.Popen([sys.executable, "-c", code, home], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(delay)
        finished += process.poll() is not None
        process.kill()
        process.wait()
        process.stdout.close()
        for name in STORES.values():
            assert not (home / name).exists() or whole(home / name)
    assert finished < 3
    study = Small(home, "afterwards")
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)
    assert not list(home.glob(".*.new*"))


# --------------------------------------------------------------------------------------------------- F23: the disk full


@pytest.mark.parametrize("name", ["mlflow", pytest.param("optuna", marks=pytest.mark.slow)])  # which tries for 15 s
def test_f23_a_full_disk_damages_no_store(study, reference, name):
    """F23: the log of the database cannot grow: it stays whole, says so, and gets the rest when there is room again."""
    path, said = study.home / STORES[name], []
    more_trials(study, 3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        left = ship(study, name, say=said.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line for line in said if "training continues" in line], left
    assert whole(path)
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)
    assert not list(study.home.glob("*.corrupt-*"))


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a file system")
@pytest.mark.parametrize("name", STORES)
def test_f23_no_space_left_on_device(study, reference, name, tmp_path):
    """F23: the same with a real file system of a few megabytes that fills up, and is then enlarged."""
    small, said = tmp_path / "small", []
    small.mkdir()
    size = sum(file.stat().st_size for file in study.home.rglob("*")) + 200_000
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", small], check=False).returncode:
        pytest.skip("may not mount")
    try:
        tight = moved(study.home, small / "home")
        more_trials(tight, 3)
        fill(small)
        assert ship(tight, name, say=said.append)[name] > 0
        assert [line for line in said if "training continues" in line]
        subprocess.run(["mount", "-o", f"remount,size={size + 20_000_000}", small], check=True)
        assert whole(tight.home / STORES[name])  # asked now, for SQLite itself needs a page to read
        assert ship(tight) == {"mlflow": 0, "optuna": 0}
        assert both(tight) == reference.of(tight.folder)
        assert not list(tight.home.glob("*.corrupt-*"))
        assert not list(tight.folder.glob("views/*.tmp"))
    finally:
        subprocess.run(["umount", small], check=True)


def fill(folder):
    """Writes a file until nothing fits any more."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * PAGE):
                pass
        except OSError:
            pass


def more_trials(study, count):
    """Adds finished trials to the journal."""
    pattern = [event for event in study.events if event.get("trial") == 1]
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    for number in range(4, 4 + count):
        for event in pattern:
            study.later(**{key: value for key, value in event.items() if key != "time"} | {"trial": number})
    study.later(event="driver_stopped", reason="finished")


# --------------------------------------------------------------------------------------------------- F31: locked stores


@pytest.mark.parametrize("name", STORES)
def test_f31_a_lock_that_outlasts_our_patience(study, reference, name, monkeypatch):
    """F31: as long as another program holds the store it lags and says so; then all arrives."""
    monkeypatch.setattr("hpsearch.views.sqlite.BUSY_TIMEOUT", 0.05)
    said = []
    more_trials(study, 1)
    with shipping.followers(study.folder, study.home, None, [name], say=said.append) as (follower,):
        follower.view.prepare()
        if name == "mlflow":
            be_impatient(follower.view.store.client, monkeypatch)
        with held(study.home / STORES[name]):
            for _ in range(3):
                assert not follower.step()
        assert follower.step()
    assert [line for line in said if "training continues" in line]
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)


def be_impatient(client, monkeypatch):
    """MLflow waits 20 s for a lock in each statement; these tests do not."""
    from mlflow.store.db import utils

    plain = utils.sql.text
    monkeypatch.setattr(utils.sql, "text", lambda said: plain(said.replace("= 20000", "= 50")))


@pytest.mark.parametrize("seconds", [10, pytest.param(90, marks=pytest.mark.slow)])
def test_f31_a_search_beside_a_program_that_locks_both_stores(tmp_path, template, reference, seconds):
    """F31: the search continues at its pace, and both stores have everything at its end or after a sync."""
    moved(template, tmp_path / "home")
    process, steps = search(tmp_path, "locked", trials=3 + seconds // 6)
    try:
        wait_for(lambda: len(events(tmp_path / "home/locked/journal.jsonl", "evaluation")) >= 3)
        with held(tmp_path / "home/mlflow.db"), held(tmp_path / "home/optuna.db"):
            began, count = time.monotonic(), len(events(tmp_path / "home/locked/journal.jsonl"))
            wait_for(lambda: time.monotonic() > began + seconds, limit=seconds + 10)
            during = len(events(tmp_path / "home/locked/journal.jsonl")) - count
        _, err = process.communicate(timeout=600)
    finally:
        end(process)
    print({"longest step (ms)": round(1000 * longest_gap(steps)), "events while it was locked": during})
    assert (process.returncode, err) == (0, "")
    assert during > 5 * seconds / 10
    assert hpsearch("sync", "locked", "--home", "home", cwd=tmp_path).returncode == 0
    folder = tmp_path / "home/locked"
    assert (runs(tmp_path / "home/mlflow.db", "locked"), trials(tmp_path / "home/optuna.db", "locked")) == reference.of(
        folder
    )


def search(cwd, study, *, trials, step="0.01", **extra):
    """Starts `hpsearch run` in cwd; returns its process and the file with the times of its steps."""
    (cwd / "space.yaml").write_text(TIMED.format(study=study, trials=trials))
    for name in ("train", "valid"):
        (cwd / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    steps = cwd / f"{study}.steps"
    extra |= {"STEPS_FILE": str(steps), "TOY_STEP": step}
    extra |= {"PYTHONPATH": str(ROOT)}
    return started("run", "space.yaml", "--home", "home", "--workers", "1", cwd=cwd, **extra), steps


# ------------------------------------------------------------------------------- F39: killed between sending and noting

POINTS = ("run_made", "batch_sent", "batch_noted", "run_ended")


@pytest.mark.parametrize("point", POINTS)
def test_f39_killed_at_every_pass_of_a_crash_point(tmp_path, template, reference, point):
    """F39: for k = 1, 2, 3, ... a process ships, dies at its k-th pass, and another goes on: D = 0, P = 0."""
    expected, crashes = None, 0
    while True:
        home = tmp_path / str(crashes)
        shutil.copytree(template, home, ignore=shutil.ignore_patterns("study", "other"))
        study = Small(home, "crashed")
        expected = expected or reference.of(study.folder)
        if shipped_by_a_child(study, f"{point}:{crashes + 1}") == 0:
            break
        crashes += 1
        assert shipped_by_a_child(study, "") == 0
        assert both(study) == expected, f"after a crash at {point}:{crashes}"
        shutil.rmtree(home)
    assert both(study) == expected
    print(f"{point}: {crashes} crashes")
    assert crashes >= 2


def shipped_by_a_child(study, crash_point):
    """Ships in a forked process that may die on the way; returns the signal that ended it, or 0."""
    pid = os.fork()
    if pid == 0:
        os._exit(_child(study, crash_point))
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return signal.SIGKILL
    assert os.WEXITSTATUS(status) == 0
    return 0


def _child(study, crash_point):
    failpoints.arm(crash_point)
    try:
        return int(ship(study) != {"mlflow": 0, "optuna": 0})
    except BaseException as error:
        os.write(2, repr(error).encode())
        return 2


# ----------------------------------------------------------------------------------- F40: nothing runs without a driver


def test_f40_no_ghosts_after_a_killed_driver(tmp_path, template, reference):
    """F40: while the driver lives, sync leaves its trials alone; once it is killed, sync ends what claims to run."""
    moved(template, tmp_path / "home")
    process, _ = search(tmp_path, "ghosts", trials=3, step="0.02")
    home, path = tmp_path / "home", tmp_path / "home/ghosts/journal.jsonl"
    try:
        wait_for(lambda: [event for event in events(path, "evaluation") if event["trial"] == 1])
        family = descendants(process.pid)
        with stopped([pid for pid in family if is_worker(pid)]):
            wait_for(lambda: len(read_state(state_file(home / "ghosts", "mlflow"))["state"].get("runs", {})) == 2)
            wait_for(lambda: [t[0] for t in trials(home / "optuna.db", "ghosts").values()] == ["COMPLETE", "RUNNING"])
            busy = hpsearch("sync", "ghosts", "--home", "home", cwd=tmp_path)
            assert busy.returncode == 73
            assert "a running search ships to its views itself" in busy.stderr
            assert runs(home / "mlflow.db", "ghosts")["ghosts"][0] == "RUNNING"
            end(process)
    finally:
        end(process)
    wait_for(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists() and "Z" not in stat(pid)])
    assert runs(home / "mlflow.db", "ghosts")["trial-0001"][0] == "RUNNING"
    began = time.monotonic()
    done = hpsearch("sync", "ghosts", "--home", "home", cwd=tmp_path)
    print(f"T = {time.monotonic() - began:.1f} s")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"mlflow: marked as interrupted, since the study is not running: trial \d", done.stdout)
    assert re.search(r"optuna: marked as interrupted, since the study is not running: trial \d", done.stdout)
    found = both_of(home, "ghosts")
    assert {name: run[0] for name, run in found[0].items()} == {
        "ghosts": "KILLED",
        "trial-0000": "FINISHED",
        "trial-0001": "KILLED",
    }
    last = [event["time"] for event in events(path, "evaluation")][-1]
    assert found[0]["trial-0001"][2] == round(1000 * last)  # its end is its last point
    assert all(run[1] <= run[2] for run in found[0].values())
    assert [trial[0] for trial in found[1].values()] == ["COMPLETE", "WAITING"]
    again = hpsearch("sync", "ghosts", "--home", "home", cwd=tmp_path)
    assert again.stdout == "mlflow: has everything\noptuna: has everything\n"
    resumed, _ = search(tmp_path, "ghosts", trials=3, step="0")
    out, err = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, out + err
    assert both_of(home, "ghosts") == reference.of(home / "ghosts")
    assert {run[0] for run in runs(home / "mlflow.db", "ghosts").values()} == {"FINISHED"}


def stat(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def both_of(home, study):
    return runs(home / "mlflow.db", study), trials(home / "optuna.db", study)


def test_f40_an_end_is_never_before_its_start(study):
    """F40, F43: a clock that was set back between a trial's start and its end."""
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    study.later(event="trial_asked", trial=4, params={}, config={})
    study.events.append({"time": study.events[0]["time"] - 3600, "event": "driver_stopped", "reason": "interrupted"})
    study.add(study.events[-1])
    ship(study)
    assert all(run[1] <= run[2] for run in runs(study.home / "mlflow.db", "study").values())


# --------------------------------------------------------------------------------------- power losses, damaged journals


CONTENTS = [None, b"", b"{", b'{"offset": 1e999, "state": {}}', b'{"offset": -5, "state": {}}']


@pytest.mark.parametrize(
    ("name", "content"),
    often(
        *[("mlflow", b""), ("optuna", CONTENTS[3])],
        every=[(name, content) for name in STORES for content in CONTENTS],
    ),
)
def test_f6_a_lost_note_of_the_place_in_the_journal(study, reference, name, content):
    """F6: the file that says how far a store has got is not synced; empty, torn or gone, all is sent again, once."""
    more_trials(study, 1)
    path = state_file(study.folder, name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)


@pytest.mark.parametrize("name", STORES)
def test_f6_a_note_that_is_older_or_newer_than_the_store(study, reference, name):
    """F6: a store that has lost its latest transactions, beside a file that says it has them, gets them again."""
    path, database = state_file(study.folder, name), study.home / STORES[name]
    old_note, old_store = path.read_bytes(), database.read_bytes()
    more_trials(study, 2)
    ship(study)
    new_note = path.read_bytes()
    path.write_bytes(old_note)  # older: sent twice
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    database.write_bytes(old_store)
    path.write_bytes(new_note)  # newer: the dangerous one
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)


def test_f6_what_is_shipped_is_synced_in_the_journal_first(study, monkeypatch):
    """F6: a store never has a line that a power loss could still take from the journal."""
    synced = []
    plain = os.fdatasync
    monkeypatch.setattr(
        os, "fdatasync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), plain(file))
    )
    more_trials(study, 1)
    ship(study, "optuna")
    assert str(study.folder / "journal.jsonl") in synced


def test_f6_the_stores_sync_every_transaction(study):
    """F6: a write-ahead log with synchronous=FULL keeps what was committed; the file's offset relies on no other."""
    with shipping.followers(study.folder, study.home, None, STORES, say=print) as found:
        for follower in found:
            follower.step()
        stores = [found[0].view.store.client._tracking_client.store, found[1].view.storage]
        for store in stores:
            with store.engine.connect() as connection:
                asked = [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
                ]
            assert asked == ["wal", 2]


@pytest.mark.parametrize("line", [0, 1, 2, 3, 4, 6, 8])
def test_f29_any_damaged_line_of_the_journal_is_outlived(study, reference, line):
    """F29: the stores get all that the other lines tell, whichever line is damaged."""
    path = study.folder / "journal.jsonl"
    more_trials(study, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    created = decode(lines[0])
    lines[1] = rewritten(lines[1], origin=created)
    number = line if line < 2 else line + 12  # the added trial's lines
    lines[number % len(lines)] = b"#" * 20 + b"\n"
    path.write_bytes(b"".join(lines))
    told = {
        (f"trial-{event['trial']:04d}", event["evaluation"]["tokens"], event["evaluation"]["metrics"]["val/loss"])
        for event in map(decode, lines)
        if event is not None and event["event"] == "evaluation"
    }
    found, stored = reference.of(study.folder)
    rows = {(name, row[1], row[3]) for name, run in found.items() for row in run[-1] if row[0] == "val/loss"}
    assert rows == told
    assert "RUNNING" not in {run[0] for run in found.values()} | {trial[0] for trial in stored.values()}
    assert len(stored[4][3]) == len([row for row in told if row[0] == "trial-0004"])


def rewritten(line, **fields):
    from hpsearch.journal import encode

    return encode({**decode(line), **fields})


# ------------------------------------------------------------------------------------------------- network file systems

MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/me/fast tmpfs rw 0 0
//box/share /mnt/my\\040share cifs rw 0 0
me@there:/ /mnt/ssh fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "mode"),
    [
        ("/srv/home", "WAL"),
        ("/home/me/mlruns", "DELETE"),
        ("/homework", "WAL"),
        ("/home/me/fast/mlruns", "WAL"),
        ("/mnt/my share/a", "DELETE"),
        ("/mnt/ssh", "DELETE"),
    ],
)
def test_no_write_ahead_log_on_a_network_file_system(folder, mode):
    assert journal_mode(Path(folder), MOUNTS) == mode


def test_a_store_without_a_write_ahead_log(tmp_path, monkeypatch, reference):
    """On a network file system the same is stored, by another journal of SQLite's."""
    monkeypatch.setattr("hpsearch.views.sqlite.journal_mode", lambda folder: "DELETE")
    study = Small(tmp_path, "truncating")
    assert ship(study) == {"mlflow": 0, "optuna": 0}
    assert both(study) == reference.of(study.folder)
    assert [query(tmp_path / name, "pragma journal_mode") for name in STORES.values()] == [[("delete",)]] * 2
