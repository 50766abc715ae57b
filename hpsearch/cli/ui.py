"""`hpsearch ui`: the MLflow UI on the home's store."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click

from hpsearch.cli.options import home_option, study_named
from hpsearch.errors import UserError


@click.command(
    epilog="""\b
Example:
  hpsearch ui --port 5000     then open http://127.0.0.1:5000"""
)
@click.argument("space", required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@home_option
def ui(space: str | None, port: int, home_path: Path) -> None:
    """Open the MLflow UI, for this machine alone. SPACE matters only where it names another tracking store."""
    from hpsearch.views.mlflow import ui_command

    uri = study_named(space)[1] if space else None
    if uri is None and not (home_path / "mlflow.db").exists():
        raise UserError(f"--home {home_path}: holds no mlflow.db yet; `hpsearch run` makes it")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"--port {port}: something listens there already; choose another") from None
    command, environment = ui_command(home_path, uri, port)
    click.echo(f"MLflow UI: http://127.0.0.1:{port}  (Ctrl-C ends it)")
    sys.exit(_serve(command, environment))


def _serve(command: list[str], environment: dict[str, str]) -> int:
    """Runs the server until it ends, or ends it and all that it started when this process is told to."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
    try:
        return process.wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the server's whole group: it has children of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
