"""The command that starts MLflow's UI on a home's store."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

from hpsearch.views import sqlite

# A name of 127.0.0.1 (RFC 6761), which Chrome, Edge and Firefox resolve themselves. On a first visit of localhost or
# 127.0.0.1, MLflow's page unfolds an assistant over a quarter of the width; under another name it leaves it folded.
NAME = "hpsearch.localhost"

APP = "hpsearch"  # pages.py, as the package's metadata name it to MLflow
UI_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def ui_command(home: Path, tracking: str | None, port: int) -> tuple[list[str], dict[str, str]]:
    """Returns the command of MLflow's UI for this machine only (127.0.0.1), and additions to its environment.

    The environment carries the store's URI: a command line can be read by everybody, and a URI may contain a password.
    """
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--no-serve-artifacts",
    ]  # artifacts are read as files
    hosts = ["--allowed-hosts", ",".join(f"{host}:{port}" for host in ("127.0.0.1", "localhost", NAME))]
    hosts += ["--cors-allowed-origins", f"http://{NAME}:{port}"]  # else the page's own requests are a foreign page's
    options += ["--app-name", APP] if entry_points(group="mlflow.app", name=APP) else []  # a checkout may lack it
    uri = tracking or sqlite.url(home.resolve() / "mlflow.db")
    artifacts = (home.resolve() / "artifacts").as_uri()
    environment = {**UI_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts}
    return [sys.executable, "-m", "mlflow", "server", *options, *hosts], environment
