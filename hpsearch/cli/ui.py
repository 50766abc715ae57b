"""`hpsearch ui`: starts the MLflow UI on the home's store, and optuna-dashboard beside it; opens a study's page."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option
from hpsearch.cli.serving import Server, serve
from hpsearch.errors import HpsearchError, UserError

if TYPE_CHECKING:
    from hpsearch.home.home import Home

PATIENCE = 60.0  # seconds in which a server should answer, after which no browser is opened
SAID_EVERY = 2.0  # seconds between two lines in a terminal about a server that does not answer yet
CATCHING_UP = 60.0  # seconds that are waited for what the views lack
DASHBOARD = 8080  # the dashboard's port, if it is free


@dataclass(frozen=True)
class Shown:
    """What a person wants to see: a study, and the MLflow store that has it."""

    home: Home
    study: str | None  # None: the home has none
    uri: str | None  # None: the home's own store

    @property
    def on_server(self) -> bool:
        """Whether its MLflow is a server that runs already."""
        return self.uri is not None and self.uri.startswith(("http://", "https://"))


@click.command(
    short_help="Compare the trials in MLflow and optuna-dashboard.",
    epilog="""\b
Examples:
  hpsearch ui                   the newest study of the home
  hpsearch ui reviews --charts  its curves, not the table
  hpsearch ui --port 5001 --no-browser""",
)
@click.argument("space_or_study", required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Of the MLflow UI.")
@click.option(
    "--dashboard-port",
    type=click.IntRange(1, 65535),
    help=f"Of optuna-dashboard, where it is installed.  [default: {DASHBOARD}, or a free one]",
)
@click.option("--charts", is_flag=True, help="Open the charts in place of the table.")
@click.option("-v", "--verbose", is_flag=True, help="Also print what the servers print.")
@click.option("--browser/--no-browser", default=None, help="Open the page.  [default: from a terminal with a display]")
@home_option
def ui(
    space_or_study: str | None,
    port: int,
    dashboard_port: int | None,
    charts: bool,
    verbose: bool,
    browser: bool | None,
    home_path: Path,
) -> None:
    """Serve the MLflow UI to this machine only, and open SPACE_OR_STUDY there: its trials, the best first.

    Without SPACE_OR_STUDY it opens the study that was searched last. Where optuna-dashboard is installed, it is served
    as well. Ctrl-C ends both.
    """
    shown = _shown(home_path, space_or_study)
    opens = _can_open() if browser is None else browser
    if shown.on_server:
        _say_where(shown, charts, opens)
        return
    _check(shown, space_or_study, port)
    catch_up(shown, CATCHING_UP)
    dashboard_port = _free(dashboard_port)
    servers, lines = _servers(shown, port, dashboard_port)
    servers = [replace(one, verbose=verbose) for one in servers]
    page = _page(shown, port, charts)
    click.echo("\n".join([f"MLflow: {page}", *lines, *older(shown), _ending(shown, port, len(servers))]))
    sys.exit(serve(servers, started=lambda: _await(page, port, opens=opens)))


def catch_up(shown: Shown, patience: float) -> None:
    """Writes what MLflow lacks of the study, for at most `patience` seconds; says so, and what it could not write."""
    from hpsearch.views.follower import parts_lacking

    home, study = shown.home, shown.study
    if study is None or not (parts := parts_lacking(home.study(study), "mlflow")) or _is_driven(home.study(study)):
        return
    click.echo(f"MLflow lacks {parts} of '{study}': written first (at most {patience:.0f} s)")
    command = [sys.executable, "-P", "-m", "hpsearch", "sync", study, "--home", str(home.path)]
    paths = [str(Path(__file__).resolve().parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command,
            timeout=patience,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    why = "" if done is None else "".join(f" ({line})" for line in done.stderr.strip().splitlines()[-1:])
    _say_lacking(shown, why)


def _say_lacking(shown: Shown, why: str = "") -> None:
    """Warns of what MLflow lacks of the study, with the command that writes it."""
    from hpsearch.views.follower import parts_lacking

    home, study = shown.home, shown.study
    if study is not None and (parts := parts_lacking(home.study(study), "mlflow")):
        again = f"hpsearch sync {shlex.quote(study)}{home.option}"
        click.echo(f"warning: MLflow lacks {parts} of '{study}'{why}; `{again}` writes the rest", err=True)


def _is_driven(study_folder: Path) -> bool:
    """Whether a search of the study runs, which writes to MLflow itself."""
    from hpsearch.views.shipping import undriven

    try:
        with undriven(study_folder):
            return False
    except (HpsearchError, OSError):
        return True


def _shown(home_path: Path, named: str | None) -> Shown:
    """The study that is named, or the newest one of the home; raises UserError for an unknown one."""
    from hpsearch.home.home import Home

    home = Home(home_path)
    if named is None:
        newest = max(home.path.glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime, default=None)
        return Shown(home, None, None) if newest is None else _of_journal(home, newest.parent.name, None)
    study, uri = study_named(named)
    is_space = uri is not None or os.path.isfile(named)
    return _of_journal(home, study, uri, needed=not is_space)


def _of_journal(home: Home, study: str, uri: str | None, *, needed: bool = False) -> Shown:
    """A study with the tracking URI of its journal, if it has one and none is given."""
    from hpsearch.home.home import history_of
    from hpsearch.journal import iterate

    if uri is None and (needed or home.journal(study).exists()):
        if not home.journal(study).exists():
            history_of(home, study)  # raises
        event = next(iterate(home.journal(study), points=False))
        uri = (event.get("experiment", {}).get("tracking") or {}).get("uri")
    return Shown(home, study, uri)


def _check(shown: Shown, named: str | None, port: int) -> None:
    """Raises UserError if there is nothing to show, or no port to show it on; follows a home that was moved."""
    from hpsearch.home.home import elsewhere
    from hpsearch.views.mlflow import schema

    home = shown.home
    if shown.uri is None and not (home.path / "mlflow.db").exists():
        other = elsewhere(home, "mlflow.db", space=named)
        way = f"there is one in {other}: --home {other}" if other else "`hpsearch run` creates it"
        raise UserError(f"--home {home.path}: holds no mlflow.db yet; {way}")
    if not _is_free(port):
        raise UserError(f"--port {port}: this port is in use; choose another")
    schema.check_home(home.path, shown.uri)
    if shown.uri is None:
        _follow(home.path.resolve())


def _servers(shown: Shown, port: int, dashboard_port: int) -> tuple[list[Server], list[str]]:
    """MLflow's server, then the dashboard's if there is one, and a line about it."""
    from hpsearch.views import dashboard
    from hpsearch.views.mlflow.ui import ui_command

    servers = [Server(*ui_command(shown.home.path, shown.uri, port))]
    found = dashboard.command(shown.home.path, dashboard_port)
    if found is None:
        return servers, []
    folder = shown.home.study(shown.study) if shown.study else shown.home.path
    return [*servers, Server(*found)], [f"Optuna: {dashboard.link(folder, dashboard_port)}"]


def _page(shown: Shown, port: int, charts: bool) -> str:
    """The address of the study's page, or of the list of experiments while MLflow does not have the study."""
    from hpsearch.views.mlflow.ui import NAME

    return f"http://{NAME}:{port}{_path(shown, charts)}"


def _path(shown: Shown, charts: bool) -> str:
    from hpsearch.views.mlflow.saved_view import ROOT, link
    from hpsearch.views.mlflow.store import experiment_id

    experiment = experiment_id(shown.home.path, shown.study) if shown.study else None
    return ROOT if experiment is None else link(experiment, charts=charts)


def older(shown: Shown) -> list[str]:
    """A line about a study that an older version wrote: MLflow opens it on another page."""
    from hpsearch.views.mlflow.store import experiment_id, layout
    from hpsearch.views.mlflow.study_run import LAYOUT

    home, study = shown.home, shown.study
    if study is None or experiment_id(home.path, study) is None or layout(home.path, study) == LAYOUT:
        return []
    return [f"An older version wrote this study: `hpsearch sync {study}{home.option}` arranges its page"]


def _ending(shown: Shown, port: int, servers: int) -> str:
    """The last line: how it ends, and the address for a browser that does not know the name in the first."""
    stops = "Ctrl-C stops both" if servers > 1 else "Ctrl-C stops it"
    return f"{stops}. Where that name is not known: http://127.0.0.1:{port}"


def _say_where(shown: Shown, charts: bool, opens: bool) -> None:
    """Says where the runs of a study on a server are: no server of ours would lend its user's credentials."""
    path = _path(shown, charts)
    address = f"{str(shown.uri).rstrip('/')}{path}"
    click.echo(f"this study's runs are on {shown.uri}: open that page")
    if shown.study and shown.home.journal(shown.study).exists():
        click.echo(f"MLflow: {address}")
        if not _is_driven(shown.home.study(shown.study)):
            _say_lacking(shown)
        if opens:
            webbrowser.open(address)


def _can_open() -> bool:
    """Whether a person at a screen of this machine reads the output."""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _await(page: str, port: int, *, opens: bool) -> threading.Thread:
    """Opens the page once the server answers, if that is wanted; until then a terminal reads that it starts."""

    def wait() -> None:
        began = said = time.monotonic()
        while not _answers(port) and time.monotonic() - began < PATIENCE:
            if sys.stdout.isatty() and time.monotonic() - said >= SAID_EVERY:
                said = time.monotonic()
                click.echo(f"MLflow is starting ({said - began:.0f} s)")
            time.sleep(0.2)
        if opens and _answers(port):
            webbrowser.open(page)

    thread = threading.Thread(target=wait, name="browser", daemon=True)
    thread.start()
    return thread


def _answers(port: int) -> bool:
    """Whether a server listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free(port: int | None) -> int:
    """The port, if it is free; without one the usual port, or another free one. Raises UserError."""
    if port is not None:
        if not _is_free(port):
            raise UserError(f"--dashboard-port {port}: this port is in use; choose another")
        return port
    if _is_free(DASHBOARD):
        return DASHBOARD
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _follow(home: Path) -> None:
    """Updates the artifact paths in the store of a home that was moved."""
    from hpsearch.views.mlflow import moved

    try:
        followed = moved.follow(home / "mlflow.db", home)
    except sqlite3.Error as error:
        raise HpsearchError(f"{home / 'mlflow.db'}: {error}; hpsearch repair sets a damaged one aside") from None
    if followed:
        click.echo(followed)
