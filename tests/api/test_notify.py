"""The webhook of a search: told once of its end, of a failure, of a first divergence; never in its way, never named."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import hpsearch
from hpsearch.api import notifications
from hpsearch.api.notifications import Told, message
from hpsearch.events import Finished, Notice, Searched
from hpsearch.home.home import Home
from hpsearch.output import redaction, webhook
from hpsearch.space.experiment import Experiment
from tests.cli.processes import events, wait_for
from tests.results.evidence.test_caveats import history
from tests.searching import experiment
from tests.webhooks import free_port, hang, redirect, served

pytestmark = pytest.mark.usefixtures("without_views")
SECRET = "S3CRETwebhook"
KEYS = {
    "text", "event", "id", "study", "time", "host", "reason", "metric", "direction", "value", "trial", "params",
    "trials", "outcomes", "seconds", "link", "commands",
}  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """No test hides the URL of another, or waits for long."""
    monkeypatch.setattr(redaction, "_hidden", set())
    monkeypatch.setattr(webhook, "PAUSES", (0.01, 0.01))
    monkeypatch.delenv("HPSEARCH_NOTIFY", raising=False)


@pytest.fixture
def run(space, tmp_path):
    """Runs the space in this process with a webhook; gives the study and what was shown."""

    def call(url, **changes):
        shown = []
        options = {"home": tmp_path / "home", "base": tmp_path, "launcher": "inline"}
        options["progress"] = changes.pop("progress", shown.append)
        options["stopping"] = changes.pop("stopping", None)
        return hpsearch.run({**space, "notify": url, **changes}, **options), shown

    return call


def warnings(shown):
    return [one.line for one in shown if isinstance(one, Notice) and "notify" in one.line]


def test_the_end_is_told_once_with_what_a_person_wants_to_know(run):
    with served() as server:
        study, shown = run(server.url)
        run(server.url)  # nothing is left to do
    assert len(server.got) == 1
    told = server.got[0]
    assert set(told) == KEYS
    assert told["text"] == (
        f"hpsearch: search of toy finished: best val/loss {study.best.value:.4f} (trial {study.best.number}); "
        f"3 trials, {told['seconds'] / 60:.1f} minutes"
    )
    assert (told["event"], told["study"], told["trials"]) == ("finished", "toy", 3)
    assert (told["value"], told["trial"], told["params"]) == (study.best.value, study.best.number, study.best.params)
    assert (told["outcomes"], told["reason"], told["link"]) == ({"completed": 3}, None, None)
    assert [line.split(" --home")[0] for line in told["commands"]] == ["hpsearch show toy", "hpsearch export toy"]
    assert warnings(shown) == []


def test_an_extended_study_tells_its_new_end(run):
    with served() as server:
        run(server.url)
        run(server.url, budget={"trials": 4})
    assert [told["trials"] for told in server.got] == [3, 4]
    assert len({told["id"] for told in server.got}) == 2


def test_a_stop_is_told(run):
    ended = []
    with served() as server:
        run(
            server.url,
            progress=lambda event: ended.append(1) if isinstance(event, Finished) else None,
            stopping=lambda: bool(ended),
        )
    assert [told["event"] for told in server.got] == ["stopped"]
    assert "toy stopped after" in server.got[0]["text"]


def test_of_the_trials_those_that_have_ended_are_told():
    study = history([{"val/loss": 3.0}], [{"val/loss": 2.5}], outcome="completed")
    assert " stopped after 2 trials, 0.0 minutes; " in notifications._text("stopped", experiment(), study, "")
    study.trials[1].outcome = None
    assert " stopped after 1 of 2 trials, 0.0 minutes; " in notifications._text("stopped", experiment(), study, "")


def test_too_many_failed_trials_are_told_with_the_error(run, space):
    model = {"model": {"dropout": 0.5}}  # the toy's fault "raise"
    with served() as server, pytest.raises(hpsearch.TrainingFailed) as caught:
        run(server.url, **model, search={**space["search"], "max_consecutive_failures": 1})
    (told,) = server.got
    assert told["event"] == "failed"
    assert told["reason"] == str(caught.value)[:500].replace("\n", "\\n")
    assert (told["value"], told["params"]) == (None, {})


def test_an_error_before_the_study_is_open_is_told_and_a_busy_study_is_not(run, space):
    files = {"train": "none.txt", "valid": "data/valid.txt"}
    with served() as server, pytest.raises(hpsearch.DataError):
        run(server.url, data={"text": {"task": "text", "files": files}})
    assert [told["event"] for told in server.got] == ["failed"]
    assert "none.txt" in server.got[0]["reason"]
    refused = []

    def again(event):
        if isinstance(event, Searched):
            with pytest.raises(hpsearch.StudyBusy) as caught:
                run(server.url)
            refused.append(caught.value)

    with served() as server:
        run(server.url, progress=again)
    assert [told["event"] for told in server.got] == ["finished"]
    assert len(refused) == 1


def test_the_first_divergence_is_told_and_no_other(run):
    with served() as server:
        study, _ = run(server.url, model={"dropout": 0.54})  # each trial's loss is NaN
    assert [trial.outcome for trial in study.trials] == ["diverged"] * 3
    assert [told["event"] for told in server.got] == ["diverged", "failed"]
    assert server.got[0]["diverged"] == 0
    assert server.got[0]["text"].startswith("hpsearch: a trial of toy diverged: trial 0: ")
    assert server.got[1]["reason"] == "no trial has a value (3 diverged)"
    assert "failed after 3 trials" in server.got[1]["text"]
    assert server.got[1]["value"] is None


def test_a_server_that_is_down_costs_one_warning_and_the_next_run_tells_the_end(run):
    port = free_port()
    study, shown = run(f"http://127.0.0.1:{port}/services/{SECRET}", model={"dropout": 0.54})
    assert len(study.trials) == 3
    assert warnings(shown) == ["warning: notify: the webhook was not told: Connection refused"]
    with served() as server:
        run(server.url, model={"dropout": 0.54})
    assert [told["event"] for told in server.got] == ["failed"]


@pytest.mark.parametrize("answers", [(hang,), (500, 500, 500), (redirect("http://127.0.0.1:1/"),)])
def test_a_server_that_fails_costs_one_warning(run, monkeypatch, answers):
    monkeypatch.setattr(webhook.Webhook.finish, "__defaults__", (0.2,))
    with served(*answers) as server:
        study, shown = run(server.url)
    assert len(study.trials) == 3
    assert len(warnings(shown)) == 1
    assert SECRET not in warnings(shown)[0]


def test_the_environment_names_the_webhook_of_every_study(run, space, tmp_path, monkeypatch):
    with served() as server, served() as own:
        monkeypatch.setenv("HPSEARCH_NOTIFY", server.url)
        run(None)
        run(own.url, study="other")
        monkeypatch.setenv("HPSEARCH_NOTIFY", "")
        run(None, study="third")
    assert [told["study"] for told in server.got] == ["toy"]
    assert [told["study"] for told in own.got] == ["other"]


def test_an_invalid_address_is_one_line_without_the_address(run, monkeypatch):
    for url in ("ftp://host/S3CRET", "S3CRET", 5):
        with pytest.raises(hpsearch.ConfigError) as caught:
            run(url)
        assert str(caught.value) == f"space: notify: {webhook.ALLOWED}"
    monkeypatch.setenv("HPSEARCH_NOTIFY", "host/S3CRET")
    with pytest.raises(hpsearch.ConfigError) as caught:
        run(None)
    assert str(caught.value) == f"HPSEARCH_NOTIFY: {webhook.ALLOWED}"


# ---------------------------------------------------------------------------------------------------------- the secret


def left(folder, secret):
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_the_address_is_stored_nowhere_and_is_no_part_of_the_study(run, space, tmp_path):
    with served() as server:
        study, _ = run(server.url)
        study.export(tmp_path / "home" / "winner.yaml")
        other, _ = run(f"http://127.0.0.1:{free_port()}/{SECRET}", budget={"trials": 4})  # the same study
        run(None, budget={"trials": 4})
    assert len(other.trials) == 4
    assert left(tmp_path / "home", SECRET) == []
    copy = tmp_path / "home" / "toy" / "space.yaml"
    assert 'notify: "***"' not in copy.read_text()  # the last run had none
    origin = events(tmp_path / "home" / "toy" / "journal.jsonl", "study_created")[0]
    assert "notify" not in json.dumps(origin["experiment"])


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_studys_own_copy_of_its_file_has_a_mark_and_can_be_run(space_file, quote):
    url = "https://hooks.example/services/T0/B0/S3CRETwebhook?token=S3CRETtoken"
    text = space_file(f"notify: {quote}{url}{quote}  # was {url}\n").read_text()
    experiment = Experiment.loads(text)
    assert experiment.settings.notify == url
    assert "S3CRET" not in experiment.source + repr(experiment.settings) + json.dumps(experiment.normalised())
    assert Experiment.loads(experiment.source).settings.notify is None
    assert experiment.identity() == Experiment.loads(space_file().read_text()).identity()


def test_an_address_that_is_written_with_escapes_is_refused_because_it_could_not_be_removed(space_file):
    with pytest.raises(hpsearch.ConfigError, match=r"space.yaml:2:9: notify: write the URL as it is, without escapes"):
        Experiment.load(space_file('notify: "https:\\/\\/host/S3CRET"\n'))


def test_the_address_is_hidden_in_whatever_is_said_while_the_search_runs(run):
    said = []
    with served() as server:
        run(server.url, progress=lambda event: said.append(redaction.redact(f"posts to {server.url}")))
        path = server.paths[0]
    assert set(said) == {"posts to ***"}
    assert redaction.redact(f"POST {path} HTTP/1.1") == "POST *** HTTP/1.1"
    os.environ["HPSEARCH_NOTIFY"] = "https://hooks.example/services/T1/B1/another"  # `forgotten` removes it
    try:
        assert redaction.redact("https://hooks.example/services/T1/B1/another failed") == "*** failed"
    finally:
        del os.environ["HPSEARCH_NOTIFY"]


def test_untrusted_text_cannot_mention_people_or_make_links(space_file, tmp_path):
    experiment = Experiment.load(space_file("study: s\n"))
    told = message("failed", experiment, None, home=Home(tmp_path), reason="<!channel> @all <http://x|y>\x1b[31m" * 99)
    assert not set("<>@|\x1b") & set(told["text"])
    assert len(told["text"]) <= 500
    assert json.loads(json.dumps(told, allow_nan=False)) == told


# -------------------------------------------------------------------------------------------------------- kill, threads


def test_what_was_told_survives_a_kill_and_a_damaged_file(tmp_path):
    told = Told(tmp_path / "notified.json")
    assert told.claim("finished", "3 3 0")
    assert not Told(told._path).claim("finished", "3 3 0")
    assert Told(told._path).claim("finished", "4 4 0")
    told._path.write_bytes(b"\xff{")
    assert told.claim("finished", "4 4 0")
    told.forget("finished")
    assert told.claim("finished", "4 4 0")


PROGRAM = """
import sys, time
import hpsearch, hpsearch.search.driver
from hpsearch.events import Shipped
from tests.faults.zygote import NoViews

def show(event):
    if isinstance(event, Shipped) and "hang" in sys.argv:
        time.sleep(600)

hpsearch.search.driver.shipper.start = NoViews
hpsearch.run("space.yaml", launcher="inline", progress=show)
"""


def test_a_search_killed_after_its_end_and_run_again_tells_it_once(space_file, tmp_path):
    """kill -9 once the end was posted."""
    trainer = 'trainer: "python:hpsearch.testing.toy:Toy"\n'
    space_file("study: killed\nbudget: {trials: 2}\nsearch: {pruner: none}\n" + trainer)
    root = str(Path(__file__).parents[2])
    with served() as server:
        settings = {"cwd": tmp_path, "env": {**os.environ, "HPSEARCH_NOTIFY": server.url, "PYTHONPATH": root}}
        killed = subprocess.Popen([sys.executable, "-c", PROGRAM, "hang"], stderr=subprocess.PIPE, **settings)
        wait_for(lambda: server.got or killed.poll() is not None)
        killed.kill()
        said = killed.communicate()[1]
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    assert [told["event"] for told in server.got] == ["finished"]
    assert SECRET.encode() not in said + done.stdout + done.stderr
    assert left(tmp_path / "mlruns", SECRET) == []


def test_no_thread_is_left_once_the_search_has_returned(run):
    before = set(threading.enumerate())  # threads of servers that hang, in other tests
    with served() as server:
        run(server.url)
    assert [one for one in set(threading.enumerate()) - before if one.name == "webhook"] == []
