"""F35 to F38: the MLflow server is down or fails, or answers get lost; everything arrives once, without delay."""

import base64
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from hpsearch.space.experiment import Experiment
from hpsearch.views.follower import lacking, state_file
from hpsearch.views.mlflow.store import Store, run_ids
from tests import blank
from tests.cli.processes import end, events, hpsearch, started, wait_for
from tests.faults.servers import Gate, GuardedMlflow, Mlflow, Proxy, free_port
from tests.faults.stores import Reference, Small, measured, often, query, runs, ship
from tests.faults.timed import longest_gap

API = "/api/2.0/mlflow"
SPACE = """
study: {study}
seed: 4
budget: {{trials: {trials}}}
tracking: {{uri: "{uri}"}}
data: {{text: {{task: text, files: {{train: train.txt, valid: valid.txt}}}}}}
search: {{pruner: none, confirm: false}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  epochs: {{low: 2, high: 4}}
trainer: "python:hpsearch.testing.toy:Toy"
"""
TIMED = SPACE.replace("hpsearch.testing.toy:Toy", "tests.faults.timed:Timed")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """A real server, up unless a test has taken it down."""
    server = Mlflow(tmp_path_factory.mktemp("server")).up()
    yield server
    server.down()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def new_study(tmp_path):
    return lambda name: Small(tmp_path / "home", name)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Short waits, and no pictures."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    monkeypatch.setattr(Store, "draws", False)


def persist(study, uri, *, tries=60, say=lambda line: None):
    """Ships until everything has arrived; returns the number of attempts."""
    for tried in range(1, tries + 1):
        if ship(study, "mlflow", uri=uri, say=say) == {"mlflow": 0}:
            return tried
    raise AssertionError(f"{lacking(study.folder, 'mlflow')} events are lacking after {tries} tries")


# -------------------------------------------------------------------------------------------- F37: nonsense for answers

UNWELL = {
    "500": (500, b"boom"),
    "500 of MLflow": (500, b'{"error_code": "INTERNAL_ERROR", "message": "boom"}'),
    "429": (429, b"slow down"),
    "503": (503, b""),
    "413": (413, b"<html>too large</html>"),
    "403": (403, b'{"error_code": "PERMISSION_DENIED", "message": "the token has expired"}'),
    "404 of another server": (404, b"<html>nothing here</html>"),
    "400": (
        400,
        b'{"error_code": "BAD_REQUEST", "message": "(sqlite3.DatabaseError) database disk image is malformed"}',
    ),
    "garbage": (200, bytes(range(256))),
    "HTML with status 200": (200, b"<html>please log in</html>"),
    "hangs": "hang",
    "cut off": "drop",
}
WRITES = ("/runs/create", "/runs/log-batch", "/runs/update", "/runs/set-tag", "/experiments/create")


@pytest.mark.parametrize(
    ("name", "after"),
    often(
        *[("500", 8), ("413", 8), ("400", 14), ("HTML with status 200", 8), ("hangs", 20), ("403", 0)],
        every=[(name, after) for name in UNWELL for after in (0, 8, 14, 20)],
    ),
)
def test_f37_a_server_that_is_unwell_for_a_while(mlflow, reference, new_study, name, after):
    """F37: from some request on all answers are bad; later the server is well again."""
    study, said = new_study(f"{name.replace(' ', '-')}-{after}"), []
    with Proxy(mlflow.uri, lambda path, body: UNWELL[name] if len(proxy.seen) > after else None) as proxy:
        left = ship(study, "mlflow", uri=proxy.uri, say=said.append)
        assert left["mlflow"] > 0
        assert [line for line in said if "training continues" in line]
        assert not [line for line in said if "is skipped" in line]
        proxy.rule = lambda path, body: None
        assert persist(study, proxy.uri) == 1
    assert runs(mlflow.database, study.study) == reference.of(study.folder)[0]


@pytest.mark.parametrize("refusal", [(413, b"<html>too large</html>"), (400, b"bad"), (500, b"boom")], ids=str)
def test_f37_a_poison_point_is_set_aside_and_nothing_else(mlflow, reference, new_study, refusal):
    """F37: the server refuses, or breaks at, every batch that holds one certain point."""
    study, said = new_study(f"poison-{refusal[0]}"), []

    def rule(path, body):
        if not path.endswith("/log-batch"):
            return None
        metrics = json.loads(body).get("metrics", [])
        return refusal if any(m["key"] == "val/loss" and m["value"] == 1.5 for m in metrics) else None

    with Proxy(mlflow.uri, rule) as proxy:
        persist(study, proxy.uri, say=said.append)
    assert len([line for line in said if "MLflow refuses val/loss of run" in line]) == 1
    whole, found = reference.of(study.folder)[0], runs(mlflow.database, study.study)
    missing = {n: set(whole[n][-1]) - set(found[n][-1]) for n in whole if whole[n][-1] != found[n][-1]}
    assert {(name, row[0], row[1], row[3]) for name, rows in missing.items() for row in rows} == {
        ("trial-0001", "val/loss", 2000, 1.5)
    }
    found = {name: run[:-1] for name, run in found.items()}
    assert found == {name: run[:-1] for name, run in whole.items()}


def test_f37_everything_too_large_is_halved_until_it_fits(mlflow, reference, new_study):
    """F37: 413 for every batch of more than 400 bytes loses nothing."""
    study = new_study("halved")
    large = lambda path, body: (413, b"too large") if path.endswith("log-batch") and len(body) > 400 else None  # noqa: E731
    with Proxy(mlflow.uri, large) as proxy:
        assert persist(study, proxy.uri) == 1
        assert Counter(proxy.seen)[f"{API}/runs/log-batch"] > 20  # seven for those that may be large
    found, expected = runs(mlflow.database, study.study), reference.of(study.folder)[0]
    for run in (found["halved"], expected["halved"]):
        run[4].pop("mlflow.note.content", None)  # one value of more than 400 bytes: no part of it fits
    assert found == expected


# ------------------------------------------------------------------------------------------------ F38: answers get lost


@pytest.mark.parametrize(
    ("call", "which"),
    often(*((call, 1) for call in WRITES), every=[(call, which) for call in WRITES for which in (1, 2, 4)]),
)
def test_f38_a_lost_answer_doubles_nothing(mlflow, reference, new_study, call, which):
    """F38: the server has done it, but the answer to the first, second or fourth such request is lost."""
    study, seen = new_study(f"lost{call.replace('/', '-')}-{which}"), Counter()

    def rule(path, body):
        seen[path] += 1
        return "drop" if path == API + call and seen[path] == which else None

    with Proxy(mlflow.uri, rule) as proxy:
        persist(study, proxy.uri)
    assert seen[API + call] >= min(which, 1)
    assert runs(mlflow.database, study.study) == reference.of(study.folder)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_f38_every_fourth_answer_is_lost(mlflow, reference, new_study, seed):
    """F38: with a quarter of all answers lost, shipping makes progress, and nothing arrives twice."""
    study, chance = new_study(f"lossy-{seed}"), random.Random(seed)
    with Proxy(mlflow.uri, lambda path, body: "drop" if chance.random() < 0.25 else None) as proxy:
        tries = persist(study, proxy.uri)
        print(f"seed {seed}: {len(proxy.seen)} requests, {tries} rounds")
    assert runs(mlflow.database, study.study) == reference.of(study.folder)[0]


@pytest.mark.slow
def test_f38_a_run_that_is_made_after_all(mlflow, reference, new_study):
    """F38: making a run takes longer than we wait; made twice, one of the two is deleted at the end."""
    study, seen = new_study("late"), Counter()

    def rule(path, body):
        seen[path] += 1
        return ("late", 2) if path == f"{API}/runs/create" and seen[path] == 2 else None

    with Proxy(mlflow.uri, rule) as proxy:
        persist(study, proxy.uri)
        made = "select count(*) from runs where name = 'trial-0001' and experiment_id in "
        made += "(select experiment_id from experiments where name = ?)"
        wait_for(lambda: query(mlflow.database, made, study.study) == [(2,)])
        study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
        study.later(event="driver_stopped", reason="interrupted")
        ship(study, "mlflow", uri=proxy.uri)
    assert runs(mlflow.database, study.study) == reference.of(study.folder)[0]


def test_f38_only_what_was_made_twice_is_deleted(mlflow, new_study):
    """F38: a second run of a trial goes, even days later; a trial that only a copy of the study knows stays."""
    study = new_study("copied")
    persist(study, mlflow.uri)
    state = json.loads(state_file(study.folder, "mlflow").read_text())["state"]
    store = Store(study.home, mlflow.uri)
    store.prepare()
    made = [
        store.client.create_run(state["experiment"], tags={**state["tags"], "hpsearch.kind": kind, **more}).info.run_id
        for kind, more in (("study", {}), ("trial", {"hpsearch.trial": "1"}), ("trial", {"hpsearch.trial": "77"}))
    ]
    persist(study, mlflow.uri)
    assert [store.tags(run_id) is None for run_id in made] == [True, True, False]


# ------------------------------------------------------------------------------------- F35 to F37: in real processes


@pytest.fixture
def search(tmp_path, mlflow):
    """A folder with a study that real processes search, and what they are started with."""
    for name in ("train", "valid"):
        (tmp_path / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    blank.home(tmp_path / "home")
    made = Search(tmp_path)
    yield made
    for process in made.processes:
        end(process)


class Search:
    def __init__(self, cwd):
        self.cwd, self.processes = cwd, []

    def start(self, study, uri, *, trials=3, **extra):
        """Starts `hpsearch run` with the toy that notes the time of its steps."""
        (self.cwd / "space.yaml").write_text(TIMED.format(study=study, uri=uri, trials=trials))
        self.folder, self.began = self.cwd / "home" / study, time.monotonic()
        extra |= {"STEPS_FILE": str(self.cwd / f"{study}.steps")}
        extra |= {"TOY_STEP": "0.01", "PYTHONPATH": str(Path(__file__).parents[2])}
        process = started("run", "space.yaml", "--home", "home", "--workers", "1", cwd=self.cwd, **extra)
        self.processes.append(process)
        return process

    def measured(self, count=1):
        """Waits for some evaluations."""
        wait_for(lambda: len(events(self.folder / "journal.jsonl", "evaluation")) >= count)

    def longest_gap(self):
        return longest_gap(self.cwd / f"{self.folder.name}.steps")

    def sync(self):
        return hpsearch("sync", self.folder.name, "--home", "home", cwd=self.cwd)


def ended(process):
    """The output of a search that must succeed."""
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), out + err
    return out


def named_run(folder):
    """The run that a study's best.yaml names, beside the one that MLflow has of that trial."""
    known = Experiment.load(folder / "best.yaml").provenance
    return known["mlflow_run_id"], run_ids(folder.parent, folder.name).get(known["trial"])


@pytest.mark.slow
def test_f35_f36_down_from_start_to_end(search, mlflow, reference):
    """F35, F36: no server at the start, nor at any time; the search is as quick as ever; sync ships all later."""
    figures = {}
    for study, uri in (("with", mlflow.uri), ("without", f"http://127.0.0.1:{free_port()}")):
        process = search.start(study, uri, trials=2)
        search.measured()
        figures[f"{study} server: seconds to the first evaluation"] = round(time.monotonic() - search.began, 2)
        said = ended(process)
        figures[f"{study} server: seconds in all"] = round(time.monotonic() - search.began, 2)
        figures[f"{study} server: longest step (ms)"] = round(1000 * search.longest_gap())
    print(figures)
    assert said.count("training continues") == 1
    assert "hpsearch sync" in said
    assert named_run(search.folder) == (None, None)
    with Proxy(mlflow.uri) as proxy:  # the server comes up at last, where it was to be
        (search.cwd / "space.yaml").write_text(SPACE.format(study="without", uri=proxy.uri, trials=3))
        done = hpsearch("sync", "space.yaml", "--home", "home", cwd=search.cwd)
        assert (done.returncode, done.stdout.count(": has everything")) == (0, 2)
    assert runs(mlflow.database, "without") == reference.of(search.folder)[0]
    named, known = named_run(search.folder)
    assert named == known is not None


def outage(search, mlflow, seconds):
    """Runs a search whose server is killed at the 3rd evaluation and comes back after some seconds."""
    process = search.start(f"outage-{seconds}", mlflow.uri, trials=max(4, seconds // 2))
    try:
        search.measured(3)
        mlflow.down()
        began, count = time.monotonic(), len(events(search.folder / "journal.jsonl"))
        wait_for(lambda: time.monotonic() > began + seconds)
        during = len(events(search.folder / "journal.jsonl")) - count
    finally:
        mlflow.up()
    out = ended(process)
    return out, during


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_f36_down_midway(search, mlflow, reference, seconds):
    """F36: the server is killed midway and comes back: no step waits, all arrives, once."""
    out, during = outage(search, mlflow, seconds)
    print({"longest step (ms)": round(1000 * search.longest_gap()), "events while it was down": during})
    assert during > 5
    done = search.sync()
    assert (done.returncode, done.stdout.count(": has everything")) == (0, 2), out
    assert runs(mlflow.database, search.folder.name) == reference.of(search.folder)[0]
    named, known = named_run(search.folder)
    assert named == known is not None


@pytest.mark.slow
def test_f37_a_server_that_hangs_for_a_whole_search(search, mlflow, reference):
    """F37: no request is ever answered; the search takes no longer, its end waits a little and says what is lacking."""
    with Proxy(mlflow.uri, lambda path, body: "hang") as proxy:
        process = search.start("hanging", proxy.uri, MLFLOW_HTTP_REQUEST_TIMEOUT="2")
        out = ended(process)
        print({"longest step (ms)": round(1000 * search.longest_gap())})
        assert "hpsearch sync" in out
        proxy.rule = lambda path, body: None
        assert search.sync().returncode == 0
    assert runs(mlflow.database, "hanging") == reference.of(search.folder)[0]


@pytest.mark.slow
def test_f36_a_backlog_of_ten_thousand_points(search, mlflow, reference, tmp_path):
    """F36: what was recorded while the server was down is shipped in seconds."""
    study, figures = backlog(tmp_path / "home", "backlog", points=10_000), {}
    with measured(figures, "seconds to a server"):
        assert ship(study, "mlflow", uri=mlflow.uri) == {"mlflow": 0}
    found = runs(mlflow.database, "backlog")
    figures["rows"] = sum(len(run[-1]) for run in found.values())
    state_file(study.folder, "mlflow").unlink()
    with measured(figures, "seconds to the home's own database"):
        assert ship(study, "mlflow") == {"mlflow": 0}
    print(figures)
    assert figures["rows"] >= 10_000


def backlog(home, name, *, points):
    """A study of ten finished trials whose curves have so many points in all."""
    study = Small(home, name)
    first = [event for event in study.events if "trial" not in event]
    trial = [event for event in study.events if event.get("trial") == 1]
    study.events, each = first, points // 10 // 3  # metrics of a point: two losses and a learning rate
    for number in range(10):
        for event in trial:
            event = json.loads(json.dumps({**event, "trial": number}))
            if event["event"] == "evaluation":
                at = event["evaluation"]["tokens"]
                event["evaluation"]["points"] = [
                    {
                        "step": at + i,
                        "tokens": at + i - each // 3,
                        "time": event["time"] + i / 1000,
                        "metrics": {"train/loss": 3 - i / 1000, "learning_rate": i / 1e6, "grad_norm": 1.0},
                    }
                    for i in range(each // 3)
                ]
            study.events.append(event)
    (study.folder / "journal.jsonl").write_bytes(b"")
    study.add(*study.events)
    return study


# ----------------------------------------------------------------------------------------- a server that asks who it is


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A real server with users and passwords."""
    server = GuardedMlflow(tmp_path_factory.mktemp("guarded")).up()
    yield server
    server.down()


@pytest.fixture
def pause(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


def nowhere(cwd, *outputs):
    """No file or output has the password, plain or encoded."""
    known = base64.b64encode(f"{GuardedMlflow.NAME}:{GuardedMlflow.PASSWORD}".encode())
    for form in (b"S3CRET", known):
        assert not [path for path in cwd.glob("home/**/*") if path.is_file() and form in path.read_bytes()]
        assert not [output for output in outputs if form in output.encode()]


@pytest.mark.slow
def test_a_study_on_a_server_with_users(search, guarded, reference, pause):
    """With the name and password of the environment everything arrives, pictures and texts included."""
    process = search.start(
        "with-users", guarded.uri, MLFLOW_TRACKING_USERNAME=guarded.NAME, MLFLOW_TRACKING_PASSWORD=guarded.PASSWORD
    )
    out = ended(process)
    assert "training continues" not in out
    assert runs(guarded.database, "with-users") == reference.of(search.folder)[0]
    assert list(guarded.folder.glob("artifacts/**/space.yaml"))
    nowhere(search.cwd, out)


@pytest.mark.slow
def test_a_wrong_password_is_one_line_and_sync_ships_all_later(search, guarded, reference, pause):
    """401: one line says what to set; the search continues; sync with the right password ships everything."""
    wrong = {"MLFLOW_TRACKING_USERNAME": guarded.NAME, "MLFLOW_TRACKING_PASSWORD": "S3CRETbut-wrong"}
    out = ended(search.start("wrong-password", guarded.uri, **wrong))
    lines = [line for line in out.splitlines() if "training continues" in line]
    assert len(lines) == 1
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN" in lines[0]
    assert runs(guarded.database, "wrong-password") == {}
    right = {**wrong, "MLFLOW_TRACKING_PASSWORD": guarded.PASSWORD}
    done = hpsearch("sync", "wrong-password", "--home", "home", cwd=search.cwd, **right)
    assert (done.returncode, done.stdout.count(": has everything")) == (0, 2)
    assert runs(guarded.database, "wrong-password") == reference.of(search.folder)[0]
    nowhere(search.cwd, out, done.stdout, done.stderr)


@pytest.mark.slow
def test_no_password_at_all_says_what_to_set(new_study, guarded, pause):
    study, said = new_study("nobody"), []
    assert ship(study, "mlflow", uri=guarded.uri, say=said.append)["mlflow"] > 0
    assert [line for line in said if "; set MLFLOW_TRACKING_USERNAME and" in line]


def test_a_token_goes_with_every_request_and_nowhere_else(mlflow, reference, new_study, monkeypatch):
    """MLFLOW_TRACKING_TOKEN: a gate before the server lets only its bearer in."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "S3CRETtoken4242")
    study, said = new_study("token"), []
    with Gate(mlflow.uri, "Bearer S3CRETtoken4242") as gate:
        assert persist(study, gate.uri, say=said.append) == 1
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "S3CRETold-token")
        study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
        assert ship(study, "mlflow", uri=gate.uri, say=said.append)["mlflow"] > 0
        assert [line for line in said if "or MLFLOW_TRACKING_TOKEN)" in line]
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "S3CRETtoken4242")
        assert persist(study, gate.uri) == 1
    assert gate.refused > 0
    assert runs(mlflow.database, "token") == reference.of(study.folder)[0]
    assert not [line for line in said if "S3CRET" in line]
    nowhere(study.home.parent)
