"""A registered model behind HTTP: what `hpsearch train --register` made, served by MLflow's own commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import hpsearch
from tests.cli.test_ui import free_port

pytestmark = pytest.mark.slow
MLFLOW = [sys.executable, "-m", "mlflow"]
SPACE = """
study: mail
data: {mail: {task: classification, files: {train: train.tsv, valid: train.tsv, test: train.tsv}}}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 32}
training: {epochs: 25, batch_size: 8, learning_rate: 1e-2}
evaluation: {times: 2}
tracking: {uri: "URI"}
"""


@contextmanager
def running(*command: str, cwd: Path, health: str, **environment: str) -> Iterator[None]:
    """A server in a process group of its own, once it answers."""
    log = (cwd / "log.txt").open("ab")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    known = {**os.environ, "PATH": path, **environment}
    process = subprocess.Popen([*MLFLOW, *command], cwd=cwd, env=known, stdout=log, stderr=log, start_new_session=True)
    try:
        while not answers(health):
            assert process.poll() is None, (cwd / "log.txt").read_text()
            time.sleep(0.2)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(timeout=600)
        log.close()


def answers(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(address, timeout=10).status == 200)
    except OSError:
        return False


def asked(port: str, body: dict[str, Any]) -> tuple[int, Any]:
    """The status and the answer of a request to a served model."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("kind", ["home", "server"])
def test_a_served_model_answers_requests(tmp_path: Path, kind: str) -> None:
    cwd, server = tmp_path / "project", str(free_port())
    for folder in (cwd, tmp_path / "server", tmp_path / "serving"):
        folder.mkdir()
    rows = [f"{text} {i}\t{label}" for i in range(20) for text, label in (("buy cheap", "spam"), ("see you", "ham"))]
    (cwd / "train.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    store = f"sqlite:///{tmp_path}/server/mlflow.db"
    command = ("server", "--port", server, "--backend-store-uri", store, "--artifacts-destination", "artifacts")
    uri = f"http://127.0.0.1:{server}" if kind == "server" else f"sqlite:///{cwd}/home/mlflow.db"
    text = SPACE.replace('tracking: {uri: "URI"}\n', "" if kind == "home" else f'tracking: {{uri: "{uri}"}}\n')
    (cwd / "config.yaml").write_text(text)
    if kind == "home":
        trained_and_served(cwd, uri, tmp_path / "serving")
    else:
        with running(*command, cwd=tmp_path / "server", health=f"{uri}/health"):
            trained_and_served(cwd, uri, tmp_path / "serving")


def trained_and_served(cwd: Path, uri: str, serving: Path) -> None:
    done = hpsearch("train", "config.yaml", "-o", "model", "--home", "home", "--register", "mail sorter", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert "registered: mail sorter version 1, alias champion  ('models:/mail sorter/1')" in done.stdout
    assert {path.name for path in cwd.iterdir()} == {"config.yaml", "train.tsv", "model", "home"}
    shutil.rmtree(cwd / "model")  # it is served from MLflow's store
    port = str(free_port())
    options = ("-m", "models:/mail sorter@champion", "--port", port, "--env-manager", "local")
    health = f"http://127.0.0.1:{port}/ping"
    with running("models", "serve", *options, cwd=serving, health=health, MLFLOW_TRACKING_URI=uri):
        table = {"columns": ["text"], "data": [["buy cheap 3"], ["see you 7"]]}
        status, answer = asked(port, {"dataframe_split": table})
        assert status == 200
        assert [row["label"] for row in answer["predictions"]] == ["spam", "ham"]
        for row in answer["predictions"]:
            assert sum(row["probabilities"].values()) == pytest.approx(1)
            assert row["probability"] == row["probabilities"][row["label"]] > 0.5
        status, answer = asked(port, {"dataframe_records": [{"text": 5}]})
        assert (status, "row 0: text must be a text, not 5" in answer["message"]) == (400, True)
    assert {path.name for path in serving.iterdir()} == {"log.txt"}
