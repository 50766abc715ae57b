"""optuna-dashboard on the Optuna view, as a program that `hpsearch ui` starts: it serves this machine alone.

optuna-dashboard's own command would take requests with any Host, so that a page of another site could read the study
(DNS rebinding), and its address of the database stands in a command line that everybody can read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from hpsearch.views import postgres
from hpsearch.views.follower import read_state, state_file
from hpsearch.views.optuna import file_storage

HOST = "127.0.0.1"
HOME = "HPSEARCH_DASHBOARD_HOME"  # environment variable: the home whose optuna.db is shown
SAFE = ("GET", "HEAD", "OPTIONS")  # methods that change nothing

Answer = Iterable[bytes]
Application = Callable[[dict[str, Any], Callable[..., Any]], Answer]


def command(home: Path, port: int) -> tuple[list[str], dict[str, str]] | None:
    """Returns the command of the dashboard and additions to its environment.

    None if optuna-dashboard is not installed or there is nothing to show.
    """
    if find_spec("optuna_dashboard") is None:
        return None
    if postgres.address() is None and not (home / "optuna.db").exists():
        return None
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return [sys.executable, "-P", "-m", __name__, str(port)], {HOME: str(home.resolve()), "PYTHONPATH": paths}


def link(study_folder: Path, port: int) -> str:
    """The address of a study in the dashboard; of the list of studies if it has not been written yet."""
    number = read_state(state_file(study_folder, "optuna"))["state"].get("study")
    return f"http://{HOST}:{port}/dashboard/" + (f"studies/{number}" if number is not None else "")


def guarded(application: Application, port: int) -> Application:
    """The application for requests to this machine's own names, and changes by its own pages alone; else HTTP 403."""
    hosts = {f"{host}:{port}" for host in (HOST, "localhost")}
    origins = {f"http://{host}" for host in hosts}

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        foreign = environ.get("HTTP_ORIGIN", "") not in {"", *origins}
        if environ.get("HTTP_HOST") in hosts and not (foreign and environ["REQUEST_METHOD"] not in SAFE):
            return application(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"this server answers pages of its own alone\n"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the terminal is for the links."""


def _storage(home: Path) -> Any:
    url = postgres.address()
    if url is None:
        return file_storage(home / "optuna.db")
    from optuna.storages import RDBStorage

    creator = partial(postgres.connected, url, "hpsearch dashboard")
    return RDBStorage(postgres.DIALECT, engine_kwargs={"creator": creator, "pool_pre_ping": True})


def main() -> None:
    """Serves until it is signalled."""
    os.umask(0o077)
    port = int(sys.argv[1])
    from optuna_dashboard import wsgi

    application = guarded(wsgi(_storage(Path(os.environ[HOME]))), port)
    with make_server(HOST, port, application, server_class=_Server, handler_class=_Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
