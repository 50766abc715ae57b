"""Secrets are hidden in every form; other text is unchanged."""

import base64
import json
import logging
import subprocess
import sys
import time
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from hpsearch.output import redaction
from hpsearch.output.redaction import redact, url_with_password

SECRET = "S3CRETxyz123"


@pytest.fixture
def environment(monkeypatch):
    """Sets the only variables of the environment (pytest's own contains the name of the test)."""

    def hold(**variables):
        monkeypatch.setattr(redaction, "os", SimpleNamespace(environ=variables))

    hold()
    return hold


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://u:{SECRET}@host/db: refused", "postgresql://***@host/db: refused"),
        (f"postgresql+psycopg2://u:{SECRET}/@x@host/db", "postgresql+psycopg2://***@host/db"),
        (f"http://u:{SECRET}@127.0.0.1:5000/api, again", "http://***@127.0.0.1:5000/api, again"),
        (f"https://{SECRET}@github.com/a/b.git", "https://***@github.com/a/b.git"),
        (f"(https://s3/x?X-Amz-Signature={SECRET}&part=1)", "(https://s3/x?X-Amz-Signature=***&part=1)"),
        (f"mysql://host/db?user=u&password={SECRET}", "mysql://host/db?user=u&password=***"),
        (f"connect 'host=h password={SECRET} dbname=d'", "connect 'host=h password=*** dbname=d'"),
        (f"{{'Authorization': 'Basic {SECRET}', 'Accept': '*/*'}}", "{'Authorization': 'Basic ***', 'Accept': '*/*'}"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***"),
        (f"Authorization: {SECRET}", "Authorization: ***"),
        (f"rejected Bearer {SECRET}.a-b", "rejected Bearer ***"),
        (f"Invalid token hf_{SECRET}{SECRET} for x", "Invalid token *** for x"),
    ],
)
def test_text_that_looks_like_a_secret_is_hidden(environment, text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/someone/mlruns/mlflow.db: disk I/O error",
        "file:///home/some@one/artifacts/1",
        "postgresql://user@host/db",
        "http://127.0.0.1:5000/api/2.0/mlflow/runs/search?max_results=1",
        "no token of <|set:a|> has the key 'token: 3'; a basic tokenizer bears it",
        "space.yaml:7:18: training.learning_rate: low 0.1 is above high 0.01",
        "ask someone@example.org about http://example.org/",
    ],
)
def test_other_text_is_left_as_it_is(environment, text):
    assert redact(text) == text


NAMES = [
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"),
    *("WANDB_API_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "SECRET_KEY_BASE", "DB_PASS"),
]


@pytest.mark.parametrize("name", NAMES)
def test_values_of_the_environment_that_are_secret_by_name_are_hidden(environment, name):
    environment(**{name: SECRET, "HOME": "/home/someone"})
    assert redact(f"KeyError: {SECRET} in /home/someone") == "KeyError: *** in /home/someone"


def test_a_secret_is_hidden_in_each_encoding(environment):
    secret = 'a b/c"d\u00fc+e%f\\g'
    environment(MLFLOW_TRACKING_USERNAME="me", MLFLOW_TRACKING_PASSWORD=secret)
    forms = [secret, quote(secret), quote(secret, safe=""), json.dumps(secret)]
    forms.append(base64.b64encode(f"me:{secret}".encode()).decode())  # as in a header
    for form in forms[:1] + forms[2:]:
        assert redact(f"<{form}>") in ("<***>", '<"***">')


def test_the_password_of_a_url_in_the_environment_is_hidden_on_its_own(environment):
    environment(DATABASE_URL=f"postgresql://u:{SECRET}@host/db")
    assert redact(f"password {SECRET} is wrong") == "password *** is wrong"


def test_a_truncated_secret_is_hidden(environment):
    environment(API_TOKEN="eyJhbGciOiJIUzI1NiJ9" * 10)
    assert redact("must be an integer, not 'eyJhbGciOiJIUzI1NiJ9eyJhb...'") == "must be an integer, not '***'"


def test_short_values_and_paths_are_not_secrets(environment):
    environment(X_KEY="on", GOOGLE_APPLICATION_CREDENTIALS="/home/someone/key.json")
    assert redact("on /home/someone/key.json") == "on /home/someone/key.json"


@pytest.mark.parametrize(
    "piece", ["a", "://", "authorization:", "&password", "http://a:", "Bearer ", "password=", "x@", "?token"]
)
def test_hostile_text_takes_no_time(environment, piece):
    text = piece * (300_000 // len(piece))
    began = time.process_time()
    redact(text)
    url_with_password(text)
    assert time.process_time() - began < 10  # seconds; it takes well below one


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:pw@host/db",
        "postgresql://u:p/w@host/db",
        "mysql+pymysql://u:pw@host",
        "http://u:pw@host:5000",
        "https://token@host",
        "databricks+x://u:pw@h",
        "mssql://host/db?password=x",
        "https://host/?access_token=x",
    ],
)
def test_a_url_with_a_password_is_found_where_it_begins(text):
    assert url_with_password(f"uri: {text} # it") == 5


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/a@b",
        "postgresql://u@host/db",
        "sqlite:////a/b.db",
        "databricks://profile",
        "s3://bucket/key",
        "python:a.b:c",
        "uri: http://host  # mail a:b@c",
        "file:///a:b/c@d",
    ],
)
def test_other_urls_are_allowed(text):
    assert url_with_password(text) is None


PROGRAM = f"""
import logging, sys, threading, warnings
from hpsearch.output.redaction import guard
guard()
logging.basicConfig(format="%(message)s")
logging.warning("arguments: %s", "{SECRET}")
try:
    raise ValueError("{SECRET}")
except ValueError:
    logging.exception("caught")
warnings.warn("warned of {SECRET}")
thread = threading.Thread(target=lambda: [][{SECRET!r}])
thread.start()
thread.join()
raise KeyError("{SECRET}")
"""


def test_a_guarded_process_logs_warns_and_dies_without_its_secrets():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"HF_TOKEN": SECRET, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr
    for line in ("arguments: ***", "ValueError: ***", "warned of ***", "TypeError: list indices", "KeyError: '***'"):
        assert line in said
    assert SECRET not in said


def test_handlers_of_others_get_redacted_records(environment, caplog, monkeypatch):
    environment(HF_TOKEN=SECRET)
    before = logging.getLogRecordFactory()
    monkeypatch.setattr(redaction.sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(redaction.threading, "excepthook", redaction.threading.excepthook)
    monkeypatch.setattr(redaction.warnings, "formatwarning", redaction.warnings.formatwarning)
    redaction.guard()
    try:
        logging.getLogger("some.library").error("cannot log in with %s", SECRET)
    finally:
        logging.setLogRecordFactory(before)
    assert caplog.messages == ["cannot log in with ***"]
