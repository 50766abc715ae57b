"""F54: passwords and tokens of the environment appear nowhere, whatever goes wrong while a study runs."""

import base64
import http.server
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from tests import blank
from tests.cli.conftest import SPACE
from tests.cli.processes import descendants, end, events, hpsearch, started

MARK = "S3CRET"
SECRETS = {
    "MLFLOW_TRACKING_PASSWORD": "S3CRETpw/d+123",
    "MLFLOW_TRACKING_TOKEN": "S3CRETtoken123",
    "HF_TOKEN": "S3CREThub12345",
    "AWS_SECRET_ACCESS_KEY": "S3CRETaws" * 8,
    "PGPASSWORD": "S3CRETpg%4012",
    "DATABASE_URL": "postgresql://u:S3CRETurl123@host/db",
    "HPSEARCH_NOTIFY": "http://127.0.0.1:1/services/T00000000/B00000000/S3CRETwebhook",
}
FORMS = [MARK, base64.b64encode(f"u:{SECRETS['MLFLOW_TRACKING_PASSWORD']}".encode()).decode(), b"S3CRET".hex()]

LEAKY = """
import logging, os, warnings
from hpsearch.testing import toy

ALL = " ".join(value for name, value in sorted(os.environ.items()) if "S3CRET" in value)
if os.environ.get("LEAK") == "import":
    raise ImportError(f"cannot log in with {ALL}")

class Leaky(toy.Toy):
    def train(self, config, handle):
        logging.getLogger("hpsearch.training.loop").warning("logged %s", ALL)
        logging.getLogger("some.library").error("logged %s", ALL)
        warnings.warn(f"warned of {ALL}")
        for i, evaluation in enumerate(super().train(config, handle)):
            yield evaluation
            if i == 3:
                try:
                    raise ValueError(f"refused: http://u:{os.environ['MLFLOW_TRACKING_PASSWORD']}@host {ALL}")
                except ValueError as error:
                    raise RuntimeError(f"{ALL}\\nand on {ALL}") from error

def data():
    raise ConnectionError(f"401 for {ALL}")
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """An MLflow server that refuses everything and repeats what it was sent, in JSON or in HTML."""

    def do_GET(self):
        self._refuse()

    def do_POST(self):
        self._refuse()

    def _refuse(self):
        server, header = self.server, self.headers.get("Authorization", "")
        server.headers_seen.add(header)
        known = header.partition(" ")[2]
        known = base64.b64decode(known).decode() if header.startswith("Basic") else known
        url = f"http://{known}@127.0.0.1:{server.server_port}{self.path}"
        said = f"cannot serve {url}: Authorization: {header}, {dict(self.headers)}, password={known.partition(':')[2]}"
        status = 403 if header.startswith("Basic") else 401
        body = json.dumps({"error_code": "PERMISSION_DENIED", "message": said})
        content = body if status == 403 else f"<html>{said}</html>"
        self.send_response(status, f"Refused {known}".replace("\n", " "))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *arguments):
        """Says nothing."""


@pytest.fixture(scope="module")
def echo():
    """The server, and what it has seen."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.headers_seen = set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Tried:
    """One command that has run: what it returned, said and left, and which command lines its processes had."""

    folder: Path
    code: int
    out: str
    err: str
    lines: set[str] = field(default_factory=set)

    def leaks(self):
        """The places that contain one of the secrets, in any of its forms."""
        texts = {"stdout": self.out, "stderr": self.err, "command lines": "\n".join(self.lines)}
        for path in sorted((self.folder / "left").rglob("*")):
            if path.is_file():
                texts[str(path.relative_to(self.folder))] = path.read_bytes().decode("utf-8", errors="replace")
            texts["name of " + str(path.relative_to(self.folder))] = path.name
        return [(place, form) for place, text in texts.items() for form in FORMS if form in text]

    def text(self, pattern):
        """The contents of the files of a name."""
        return "".join(path.read_text() for path in sorted((self.folder / "left").rglob(pattern)))


VARIANTS = {
    "ok": {"space": "# log in with S3CRETtoken123", "fresh": True},
    "refused by MLflow, with a password": {"space": "tracking: {{uri: 'http://127.0.0.1:{port}'}}"},
    "refused by MLflow, with a token": {
        "space": "tracking: {{uri: 'http://127.0.0.1:{port}'}}",
        "environment": {"MLFLOW_TRACKING_USERNAME": "", "MLFLOW_TRACKING_PASSWORD": ""},
    },
    "unreachable": {"space": "tracking: {{uri: 'http://127.0.0.1:1'}}"},
    "the trainer raises": {"trainer": "leaky:Leaky"},
    "the trainer cannot be imported": {"trainer": "leaky:Leaky", "environment": {"LEAK": "import"}},
    "the data function raises": {"data": "{a: {task: text, source: 'python:leaky:data'}}"},
    "a value of the space": {"space": "seed: S3CRETpw/d+123"},
    "a key of the space": {"space": "S3CRETtoken123: 1"},
    "the address in the space": {"space": "tracking: {{uri: 'http://u:S3CRETpw123@host'}}"},
    "a webhook in the space": {
        "space": "notify: http://127.0.0.1:1/services/T1/B1/S3CRETwebhook?token=S3CRETpw1",
        "fresh": True,
    },
    "a webhook that is none": {"space": "notify: ftp://host/S3CRETwebhook"},
    "a comment of the space": {"space": "# tracking: {{uri: 'postgresql://u:S3CRETpg%4012@host'}}"},
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory, echo):
    """All variants at once, each in a folder, HOME and TMPDIR of its own; their command lines are looked at.

    Those that are `fresh` have command lines of their own, and import everything with the secrets in the environment.
    """
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("reads /proc")
    fresh = [name for name, given in VARIANTS.items() if given.get("fresh")]
    names = [*(name for name in VARIANTS if name not in fresh), *fresh]  # these are looked at from their start on
    processes = {name: begun(tmp_path_factory.mktemp("variant"), echo, **VARIANTS[name]) for name in names}
    try:
        found = {name: Tried(folder, 0, "", "") for name, (folder, _, _) in processes.items()}
        threads = [threading.Thread(target=collect, args=(processes[name][1], found[name])) for name in processes]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 600
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            for name in fresh:
                found[name].lines |= set(command_lines(processes[name][1].pid))
            time.sleep(0.05)
        for thread in threads:
            thread.join(timeout=1)
        folder, _, variables = processes["ok"]  # with all at once MLflow may lag
        hpsearch("sync", "story", "--home", "left/home", cwd=folder, pictures=True, **variables)
        yield found
    finally:
        for _, process, _ in processes.values():
            end(process)


def begun(folder, echo, *, space="", data=None, trainer="hpsearch.testing.toy:Toy", environment=None, fresh=False):
    """A run that was started: its folder, its process, its environment."""
    text = SPACE.replace("trials: 4", "trials: 2").replace("seed: 2", "" if "seed:" in space else "seed: 2")
    text = text.replace("hpsearch.testing.toy:Toy", trainer)
    if data is not None:
        text = "\n".join(f"data: {data}" if line.startswith("data:") else line for line in text.splitlines())
    (folder / "space.yaml").write_text(text + "\n" + space.format(port=echo.server_port) + "\n")
    (folder / "leaky.py").write_text(LEAKY)
    for name in ("train", "valid"):
        (folder / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    for name in ("home", "user", "tmp"):
        (folder / "left" / name).mkdir(parents=True)
    blank.home(folder / "left" / "home")
    variables = {"MLFLOW_TRACKING_USERNAME": "u", **SECRETS, "HOME": str(folder / "left" / "user")}
    variables |= {"TMPDIR": str(folder / "left" / "tmp"), "PYTHONPATH": os.pathsep.join([str(folder), *python_path()])}
    variables |= environment or {}
    run = ("run", "space.yaml", "--home", "left/home", "--workers", "1")
    process = started(*run, cwd=folder, fresh=fresh, **variables)
    return folder, process, variables


def python_path():
    """Where a process finds this package when the tests run in a checkout that was never installed."""
    return [str(Path(__file__).parents[2]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def collect(process, tried):
    tried.out, tried.err = process.communicate()
    tried.code = process.returncode


def command_lines(pid):
    """The command lines of a process and all that it started."""
    for one in [pid, *descendants(pid)]:
        try:
            yield Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


@pytest.mark.parametrize("name", VARIANTS)
def test_f54_no_secret_is_said_or_stored(tried, name):
    """0 hits in stdout, stderr, journal, error.txt, both databases, artifacts, HOME, TMPDIR and command lines."""
    found = tried[name]
    assert found.leaks() == []
    assert "Traceback" not in found.out + found.err
    print(f"{name}: exit {found.code}, {len(found.lines)} command lines, {found.err.strip().splitlines()[-1:]}")


def test_f54_the_runs_did_come_to_what_could_leak(tried, echo):
    """What the search for the secrets is worth: each variant met its trouble, and said so with *** in its place."""
    assert tried["ok"].code == 0
    assert any("hpsearch.views.shipping" in line for line in tried["ok"].lines)
    assert any("spawn_main" in line for line in tried["ok"].lines)
    assert {header.split()[0] for header in echo.headers_seen} == {"Basic", "Bearer"}
    assert any(FORMS[1] in header for header in echo.headers_seen)
    for name in ("refused by MLflow, with a password", "refused by MLflow, with a token", "unreachable"):
        assert tried[name].code == 0
        assert "mlflow cannot be written" in tried[name].out
    for name in ("refused by MLflow, with a password", "refused by MLflow, with a token"):
        assert "cannot serve http://***@127.0.0.1:" in tried[name].out
    raised = tried["the trainer raises"]
    failed = events(*raised.folder.rglob("journal.jsonl"), "trial_finished")
    assert failed[0]["reason"] == f"RuntimeError: {HIDDEN}"
    assert raised.text("error.txt").count("ValueError: refused: http://***@host") == 2
    assert "logged ***" in raised.out


HIDDEN = "*** postgresql://***@host/db *** *** *** *** ***"  # ALL, as it may be shown
MISTAKES = {
    "the data function raises": (
        2,
        "error: space.yaml:5:11: data.a: python:leaky:data: raised ConnectionError: 401 for ***",
    ),
    "a value of the space": (2, "seed: must be an integer, not '***'"),
    "a key of the space": (2, "***: unknown key; "),
    "the address in the space": (
        2,
        "tracking.uri: a URL with a password or token does not belong in this file; set MLF",
    ),
    "a webhook that is none": (2, "notify: must be an http:// or https:// URL"),
    "a comment of the space": (2, ":20: a URL with a password or token does not belong in this file; set MLFLOW_TRACK"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_f54_mistakes_are_told_without_the_secret(tried, name):
    code, words = MISTAKES[name]
    found = tried[name]
    assert (found.code, len(found.err.splitlines())) == (code, 1)
    assert words in found.err
    assert list((found.folder / "left" / "home").rglob("journal.jsonl")) == []


def test_f54_a_word_of_the_environment_in_a_comment_is_hidden_in_what_is_kept(tried):
    """In the study's folder, in its journal and in MLflow's artifact."""
    found = tried["ok"]
    assert found.text("space.yaml").count("# log in with ***") == 2
    assert "# log in with ***" in found.text("journal.jsonl")


URLS = {
    "http://u:S3CRET@host": True,
    "https://S3CRET@host:5000/path": True,
    "postgresql://u:S3CRET@host/db": True,
    "postgresql+psycopg2://u:S3CRET%40x@host/db": True,
    "mysql://host/db?user=u&password=S3CRET": True,
    "postgresql://u@host/db": False,
    "http://host:5000": False,
    "sqlite:///some/where.db": False,
    "databricks://profile": False,
}


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "place", ["tracking: {uri: 'URL'}", "tracking: {uri: {in: 'URL'}}", "study: x  # URL", "'URL': 1"]
)
def test_f54_a_password_in_a_space_file_is_refused_with_its_place(url, place):
    text = f"data: {{a: {{task: text, files: {{train: a.txt}}}}}}\n{place.replace('URL', url)}\n"
    if URLS[url]:
        with pytest.raises(ConfigError, match=r"^some\.yaml:2:\d+: ") as caught:
            Experiment.loads(text, path="some.yaml")
        if "in:" not in place and "': 1" not in place:
            assert "MLFLOW_TRACKING_PASSWORD" in str(caught.value)
            assert "~/.pgpass" in str(caught.value)
            assert MARK not in str(caught.value)
    elif place.startswith(("tracking: {uri: '", "study")):
        assert Experiment.loads(text, path="some.yaml").source == text


@pytest.mark.slow
def test_f54_the_final_training_says_no_secret_either(tmp_path, echo):
    """`hpsearch train`: MLflow is called in its own process."""
    folder, process, variables = begun(tmp_path, echo, space="tracking: {{uri: 'http://127.0.0.1:{port}'}}")
    end(process)
    text = (folder / "space.yaml").read_text().partition("training:")[0]
    tiny = (
        "tokenizer: {kind: bytes}\nmodel: {n_layers: 1, width: 16, n_heads: 2, context: 32}\nevaluation: {times: 2}\n"
    )
    (folder / "best.yaml").write_text(text + tiny + f"tracking: {{uri: 'http://127.0.0.1:{echo.server_port}'}}\n")
    train = ("train", "best.yaml", "--home", "left/home", "-o", "left/model")
    done = hpsearch(*train, cwd=folder, pictures=True, **variables)
    found = Tried(folder, done.returncode, done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    assert "the final training cannot be logged to MLflow" in found.out
    assert found.leaks() == []
