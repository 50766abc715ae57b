"""`hpsearch ui`: starts the MLflow UI on the home's store."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click

from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option
from hpsearch.errors import HpsearchError, UserError

STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Variables that would give MLflow and uvicorn another address, other hosts, no checks or another store.
DROPPED = (
    *("UVICORN_", "FORWARDED_ALLOW_IPS", "_MLFLOW_", "MLFLOW_SERVER_", "MLFLOW_UVICORN_", "MLFLOW_GUNICORN_"),
    *("MLFLOW_HOST", "MLFLOW_STATIC_PREFIX", "MLFLOW_ARTIFACTS_", "MLFLOW_REGISTRY_", "MLFLOW_READ_REPLICA_"),
    "MLFLOW_TRACKING_",  # credentials for another server
)


@click.command(
    epilog="""\b
Example:
  hpsearch ui --port 5000     then open http://127.0.0.1:5000"""
)
@click.argument("space", required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@home_option
def ui(space: str | None, port: int, home_path: Path) -> None:
    """Serve the MLflow UI to this machine only. SPACE is needed only if it names another tracking store."""
    from hpsearch.home import Home, elsewhere
    from hpsearch.views.mlflow import schema
    from hpsearch.views.mlflow.ui import ui_command

    uri = study_named(space)[1] if space else None
    if uri is not None and uri.startswith(("http://", "https://")):
        click.echo(f"this study's runs are on {uri}: open that page")
        return
    if uri is None and not (home_path / "mlflow.db").exists():
        other = elsewhere(Home(home_path), "mlflow.db", space=space)
        way = f"there is one in {other}: --home {other}" if other else "`hpsearch run` creates it"
        raise UserError(f"--home {home_path}: holds no mlflow.db yet; {way}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"--port {port}: this port is in use; choose another") from None
    schema.check_home(home_path, uri)
    if uri is None:
        _follow(home_path.resolve())
    command, environment = ui_command(home_path, uri, port)
    click.echo(f"MLflow UI: http://127.0.0.1:{port}  (Ctrl-C stops it)")
    sys.exit(_serve(command, _environment(environment)))


def _follow(home: Path) -> None:
    """Updates the artifact paths in the store of a home that was moved."""
    from hpsearch.views.mlflow import moved

    try:
        followed = moved.follow(home / "mlflow.db", home)
    except sqlite3.Error as error:
        raise HpsearchError(f"{home / 'mlflow.db'}: {error}; hpsearch repair sets a damaged one aside") from None
    if followed:
        click.echo(followed)


def _serve(command: list[str], environment: dict[str, str]) -> int:
    """Runs the server; ends it with all its children when this process is signalled or dies. Returns its exit code.

    A keeper process in between holds the reading end of a pipe, which closes however this process ends.
    """
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(writing)
        _keep(command, environment, reading)

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    os.close(reading)
    for number in STOPPED_BY:
        signal.signal(number, stop)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    finally:
        os.close(writing)
        with contextlib.suppress(ChildProcessError):  # already waited for
            os.waitpid(keeper, 0)


def _keep(command: list[str], environment: dict[str, str], alive: int) -> NoReturn:
    """The keeper process: starts the server, and ends it when the pipe `alive` closes."""
    code = 1
    try:
        os.setsid()  # out of reach of a Ctrl-C in the terminal and of signals to the group
        for number in STOPPED_BY:
            signal.signal(number, lambda number, frame: None)
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_keeper
        )
        while process.poll() is None and not select.select([alive], [], [], 0.2)[0]:
            pass
        _end(process)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    finally:
        os._exit(code)


def _die_with_keeper() -> None:
    """Makes Linux send SIGTERM to the server if the keeper is killed; MLflow passes it to its children."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # man 2 prctl
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(added: dict[str, str]) -> dict[str, str]:
    """Returns this process's environment without the DROPPED variables, plus `added`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)} | added
