"""`hpsearch ui`: listens on this machine only, and ends when signalled or killed."""

import http.client
import importlib
import json
import os
import re
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch.cli.ui import Shown, catch_up, older
from hpsearch.home.home import Home
from hpsearch.journal import encode
from hpsearch.journal.study_lock import StudyLock
from hpsearch.views.mlflow.store import experiment_id, run_ids
from tests import blank
from tests.cli.processes import alive, descendants, end, started, wait_for
from tests.cli.test_run import one_line
from tests.views.conftest import Written

# What a careless environment would make of the server, were it to be asked.
CARELESS = {
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true",
    "MLFLOW_HOST": "0.0.0.0",
    "UVICORN_HOST": "0.0.0.0",
    "UVICORN_UDS": "/nowhere",
    "MLFLOW_UVICORN_OPTS": "--host 0.0.0.0",
    "MLFLOW_STATIC_PREFIX": "/elsewhere",
}
EVIL = "http://evil.example"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path="/", *, method="GET", body=None, **headers):
    """Status, headers and text of an answer; None when nobody answers."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        found = connection.getresponse()
        return found.status, dict(found.getheaders()), found.read().decode(errors="replace")
    except (ConnectionError, TimeoutError):
        return None
    finally:
        connection.close()


@pytest.fixture(scope="module")
def ui(story):
    """The UI in an environment that would open it to others: its port and process; the last test kills it."""
    port, dashboard, before = free_port(), free_port(), os.umask(0)
    ports = ("--port", port, "--dashboard-port", dashboard)
    os.utime(story.home / "story" / "journal.jsonl")  # the newest of the studies that tests left in this home
    process = started("ui", *ports, "--home", "home", cwd=story.cwd, fresh=True, **CARELESS)
    os.umask(before)
    try:
        answer = wait_for(lambda: (ask(port) and ask(dashboard)) or process.poll() is not None)
        assert answer is not True, process.communicate()
        yield port, process, story
    finally:
        end(process)


def test_it_serves_the_runs_and_their_pictures(ui):
    port, _, story = ui
    status, _, page = ask(port)
    assert (status, "MLflow" in page) == (200, True)
    run = run_ids(story.home, "story")[0]
    status, _, text = ask(port, f"/get-artifact?path=config.yaml&run_uuid={run}")
    assert (status, "learning_rate" in text) == (200, True)


def test_only_this_machine_is_listened_to(ui):
    """F53: /proc/net/tcp and tcp6 show two listeners, MLflow and optuna-dashboard, on 127.0.0.1; none elsewhere."""
    port, process, _ = ui
    family = [process.pid, *descendants(process.pid)]
    assert len(family) >= 4
    found = listeners(family)
    assert {address for address, _ in found} == {"0100007F"}
    assert len(found) == 2
    assert ("0100007F", port) in found


def test_it_prints_both_links_of_the_newest_study(ui):
    """At once, before the servers have begun; no page is opened, since no person sees the output."""
    port, process, story = ui
    lines = [process.stdout.readline() for _ in range(3)]
    experiment = experiment_id(story.home, "story")
    assert lines[0] == (
        f"MLflow: http://hpsearch.localhost:{port}/#/experiments/{experiment}/runs?viewStateShareKey=hpsearch"
        "&workflowType=machine_learning\n"
    )
    dashboard = re.fullmatch(r"Optuna: http://127.0.0.1:(\d+)/dashboard/studies/(\d+)\n", lines[1])
    assert dashboard is not None, lines
    assert '"name": "story"' in ask(int(dashboard[1]), f"/api/studies/{dashboard[2]}")[2]
    assert lines[2] == f"Ctrl-C stops both. Where that name is not known: http://127.0.0.1:{port}\n"
    assert ask(int(dashboard[1]), "/api/studies", Host="evil.example")[0] == 403


def test_the_pages_own_name_is_answered(ui):
    """hpsearch.localhost, under which MLflow's page leaves its assistant folded, may also change what is shown."""
    port, _, _ = ui
    name = f"hpsearch.localhost:{port}"
    body = b'{"experiment_ids": ["0"]}'
    headers = {"Host": name, "Origin": f"http://{name}", "Content_Type": "application/json"}
    status, _, _ = ask(port, "/ajax-api/2.0/mlflow/runs/search", method="POST", body=body, **headers)
    assert status == 200
    headers["Origin"] = f"http://hpsearch.localhost:{port + 1}"
    assert ask(port, "/ajax-api/2.0/mlflow/runs/search", method="POST", body=body, **headers)[0] == 403


STATEFUL = ["POST", "PUT", "DELETE", "PATCH"]
PATHS = [
    "/",
    "/api/2.0/mlflow/runs/delete",
    "/ajax-api/2.0/mlflow/runs/search",
    "/graphql",
    "/v1/traces",
    "/get-artifact",
]


@pytest.mark.parametrize("method", ["GET", "OPTIONS", *STATEFUL])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "10.0.0.1:{port}", "127.0.0.1:1", ""])
def test_a_foreign_host_is_refused(ui, host, method):
    """F53: DNS rebinding; every path, every method."""
    port, _, _ = ui
    for path in PATHS:
        assert ask(port, path, method=method, Host=host.format(port=port))[0] == 403, path


@pytest.mark.parametrize("path", ["/health", "/version"])
def test_what_a_foreign_host_may_ask_says_nothing(ui, path):
    """MLflow exempts these two paths from the check: they say that it runs, and its version."""
    from importlib.metadata import version

    port, _, _ = ui
    status, _, text = ask(port, path, Host="evil.example")
    assert (status, text.strip('"')) in {(200, "OK"), (200, version("mlflow"))}


@pytest.mark.parametrize("method", STATEFUL)
@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1.evil.example", "https://localhost.evil.example"])
def test_a_foreign_page_cannot_change_anything(ui, method, origin):
    """F53: another site's page in the same browser."""
    port, _, _ = ui
    for api in ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"):
        for call in ("runs/delete", "experiments/create", "runs/log-metric", "registered-models/delete"):
            assert ask(port, api + call, method=method, body=b"{}", Origin=origin)[0] == 403, call


OTHERS = ["/graphql", "/v1/traces", "/gateway/x/mlflow/invocations", "/gateway/openai/v1/chat/completions"]


@pytest.mark.parametrize("path", OTHERS)
def test_the_paths_that_mlflow_does_not_check_take_nothing_from_a_foreign_page(ui, path):
    """What a page can send without asking (a form, plain text) is refused; asking (OPTIONS) is not granted."""
    port, _, _ = ui
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        status, headers, _ = ask(port, path, method="POST", body=b"{}", Origin=EVIL, Content_Type=kind)
        assert status >= 400, kind
        assert "access-control-allow-origin" not in {name.lower() for name in headers}
    wishes = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
    status, headers, _ = ask(port, path, method="OPTIONS", Origin=EVIL, **wishes)
    assert "access-control-allow-origin" not in {name.lower() for name in headers}


def test_no_page_may_frame_it_or_read_it(ui):
    port, _, _ = ui
    _, headers, _ = ask(port, "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", Origin=EVIL)
    found = {name.lower(): value for name, value in headers.items()}
    assert found["x-frame-options"] == "SAMEORIGIN"
    assert "access-control-allow-origin" not in found


def test_files_of_the_ui_are_private(ui):
    """F55: under umask 000, after requests that touch the store and the pictures."""
    port, _, story = ui
    body = b'{"experiment_ids": ["0", "1"]}'
    assert (
        ask(port, "/ajax-api/2.0/mlflow/runs/search", method="POST", body=body, Content_Type="application/json")[0]
        == 200
    )
    modes = {str(path): path.lstat().st_mode & 0o077 for path in [story.home, *story.home.rglob("*")]}
    assert {path: oct(mode) for path, mode in modes.items() if mode} == {}
    assert not list(story.cwd.glob("ml*"))  # nothing beside the home


@pytest.mark.parametrize("option", [("--host", "0.0.0.0"), ("--allowed-hosts", "*"), ("--dev",)])
def test_no_option_opens_the_ui_to_others(call, tmp_path, option):
    """F53: no option does."""
    one_line(call("ui", "--home", tmp_path, *option), 2, f"No such option.*{option[0]}")


def test_the_server_dies_with_a_killed_ui(ui):
    """F53: kill -9 of `hpsearch ui` alone: the keeper ends the server's group (the last test of this server)."""
    port, process, _ = ui
    family = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=600)
    wait_for(lambda: not alive(family))
    assert ask(port) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_ui_and_its_server(story, number):
    process = started("ui", "--port", free_port(), "--home", "home", cwd=story.cwd)
    try:
        family = wait_for(lambda: len(found := descendants(process.pid)) >= 3 and found)  # keeper, MLflow, dashboard
        _, err = end(process, number)
    finally:
        end(process)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    wait_for(lambda: not alive(family))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="PR_SET_PDEATHSIG is Linux's")
def test_the_server_dies_with_a_killed_ui_and_keeper(story):
    """kill -9 of both: Linux signals the server."""
    port = free_port()
    process = started("ui", "--port", port, "--home", "home", cwd=story.cwd)
    try:
        wait_for(lambda: ask(port))
        family = descendants(process.pid)
        os.kill(process.pid, signal.SIGSTOP)  # so that it does not see the keeper die
        os.kill(family[0], signal.SIGKILL)
        end(process)
    finally:
        end(process)
    wait_for(lambda: not alive(family))


def test_a_busy_port_is_one_line(story, call):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        one_line(call("ui", "--port", port, "--home", story.home), 2, rf"--port {port}: this port is in use")
        arguments = ("ui", "--port", free_port(), "--dashboard-port", port, "--home", story.home)
        one_line(call(*arguments), 2, rf"--dashboard-port {port}: this port is in use")


def test_without_a_store_there_is_nothing_to_show(call, tmp_path):
    one_line(call("ui", "--home", tmp_path), 2, r"holds no mlflow.db yet; `hpsearch run` creates it")
    one_line(call("ui", "--port", "0", "--home", tmp_path), 2, r"--port")


def test_the_ui_of_a_study_on_a_server_is_the_servers(tmp_path, call, space_file):
    """No server of ours stands between, which would lend its user's credentials to whoever asks."""
    path = space_file("tracking: {uri: 'https://mlflow.example'}")
    code, out, err = call("ui", path, "--home", tmp_path)
    assert (code, out, err) == (0, "this study's runs are on https://mlflow.example: open that page\n", "")


def lagging(folder):
    """A study of which MLflow has nothing yet."""
    study = Written(blank.home(folder / "home"), "lagging")
    study.later(event="driver_stopped", reason="finished")
    return study, Shown(Home(study.home), "lagging", None)


def test_what_could_not_be_written_in_time_is_said_with_the_command(tmp_path, capsys):
    study, shown = lagging(tmp_path)
    catch_up(shown, 0.01)
    out, err = capsys.readouterr()
    n = f"{len(study.events)} events"
    assert out == f"MLflow lacks {n} of 'lagging': written first (at most 0 s)\n"
    again = f"hpsearch sync lagging --home {study.home}"
    assert err == f"warning: MLflow lacks {n} of 'lagging'; `{again}` writes the rest\n"
    lock = StudyLock(study.folder / "lock", what="it")  # a search runs, and writes to MLflow itself
    catch_up(shown, 0.01)
    lock.release()
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_what_mlflow_lacks_is_written_before_the_page_opens(tmp_path, capsys):
    study, shown = lagging(tmp_path)
    catch_up(shown, 600)
    assert capsys.readouterr().err == ""
    assert set(run_ids(study.home, "lagging")) == {0, 1, 2, 3}
    catch_up(shown, 0.01)
    assert capsys.readouterr() == ("", "")


def test_an_unknown_study_is_one_line(story, call):
    one_line(call("ui", "stroy", "--home", story.home), 2, r"no study 'stroy' in .*; did you mean story\?")


def test_a_shipped_study_on_a_server_has_a_link(tmp_path, call, monkeypatch):
    """The address comes from the journal; the experiment from what was shipped. No browser is opened from a pipe."""
    folder = tmp_path / "remote"
    (folder / "views").mkdir(parents=True)
    event = {"time": 1.0, "event": "study_created", "study": "remote", "objective": {}, "space": {}}
    event["experiment"] = {"tracking": {"uri": "https://mlflow.example/"}}
    (folder / "journal.jsonl").write_bytes(encode(event))
    (folder / "views" / "mlflow.json").write_text(
        json.dumps({"offset": len(encode(event)), "state": {"experiment": "12"}})
    )
    monkeypatch.setattr("webbrowser.open", lambda address: pytest.fail(address))
    code, out, err = call("ui", "remote", "--charts", "--home", tmp_path)
    page = "/#/experiments/12/runs?viewStateShareKey=hpsearch&workflowType=machine_learning&compareRunsMode=CHART"
    wanted = "this study's runs are on https://mlflow.example/: open that page\n"
    assert (code, out, err) == (0, f"{wanted}MLflow: https://mlflow.example{page}\n", "")


def test_a_browser_is_opened_for_a_person_at_a_screen(monkeypatch):
    from hpsearch.cli.ui import _can_open

    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not _can_open()
    monkeypatch.setenv("DISPLAY", ":0")
    assert _can_open()
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")  # the screen is another machine's
    assert not _can_open()
    monkeypatch.delenv("SSH_CONNECTION")
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: False))
    assert not _can_open()


@pytest.mark.parametrize("opens", [True, False])
def test_a_terminal_reads_that_it_starts_until_the_server_answers(monkeypatch, *, opens):
    """Then the page is opened, if that is wanted."""
    command = importlib.import_module("hpsearch.cli.ui")  # `hpsearch.cli.ui` is the command of this name
    opened, said = [], []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("click.echo", said.append)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(command, "SAID_EVERY", 0.1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        waits = command._await("http://page", port, opens=opens)
        wait_for(lambda: len(said) >= 2)
        assert opened == []
        server.listen()
        waits.join(60)
    assert opened == ["http://page"] * opens
    assert all(re.fullmatch(r"MLflow is starting \(\d+ s\)", line) for line in said)


def listeners(pids):
    """(address in hexadecimal, port) of each TCP socket on which one of the processes listens."""
    owned = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                owned.add(os.readlink(entry))
            except OSError:
                continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in owned:
                address, _, port = fields[1].partition(":")
                found.add((address, int(port, 16)))
    return found


@pytest.mark.parametrize(("state", "said"), [({"layout": 2}, []), ({}, ["hpsearch sync old"]), (None, [])])
def test_a_study_of_an_older_version_is_said_to_be_one(tmp_path, state, said):
    """Its experiment has no view of ours, so MLflow opens another page; a study that is not there yet is not old."""
    (tmp_path / "old" / "views").mkdir(parents=True)
    if state is not None:
        written = {"offset": 1, "state": {"experiment": "1", **state}}
        (tmp_path / "old" / "views" / "mlflow.json").write_text(json.dumps(written))
    lines = older(Shown(Home(tmp_path), "old", None))
    assert [line.split("`")[1].partition(" --home")[0] for line in lines] == said
