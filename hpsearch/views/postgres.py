"""The PostgreSQL database that HPSEARCH_OPTUNA_URL names, for the Optuna view: its address and its connections.

Only libpq gets the address, unchanged, so PGPASSWORD, ~/.pgpass and sslmode work. SQLAlchemy gets a function that
connects, so no message or log line of SQLAlchemy can contain a password.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError

VARIABLE = "HPSEARCH_OPTUNA_URL"
ALLOWED = "allowed is postgresql://USER@HOST/DATABASE (with the password in PGPASSWORD or ~/.pgpass)"
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
DIALECT = "postgresql+psycopg://"  # the URL for SQLAlchemy
CONNECT_TIMEOUT, STATEMENT_TIMEOUT = 10, 30  # seconds
ANSWER_TIMEOUT = 40.0  # seconds until the client gives up; a live server has ended the statement by then
# The server must notice a dead client: its session holds locks that the next session waits for.
SERVER_OPTIONS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT}s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
KEEPALIVE = {
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * STATEMENT_TIMEOUT,  # milliseconds; Linux
}


def address() -> str | None:
    """Returns HPSEARCH_OPTUNA_URL in libpq's form; None if it is not set.

    Raises UserError, without the address, if it is invalid or psycopg is not installed.
    """
    url = os.environ.get(VARIABLE, "").strip()
    if not url:
        return None
    scheme, found, rest = url.partition("://")
    if not found:
        raise UserError(f"{VARIABLE} is not a URL; {ALLOWED}")
    if scheme not in SCHEMES:
        shown = f" '{scheme}://'" if re.fullmatch(r"[A-Za-z][\w+.-]{0,40}", scheme) else ""
        raise UserError(f"{VARIABLE} begins with{shown or ' something else'}; {ALLOWED}")
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise UserError(
            f"{VARIABLE} is set, but psycopg cannot be imported: pip install 'hpsearch[postgresql]'"
        ) from error
    try:
        conninfo_to_dict(f"postgresql://{rest}")
    except ProgrammingError as error:  # the message may contain any part of the URL
        option = re.match(r'invalid URI query parameter: "(\w{1,40})"', str(error))
        what = f"has an option that PostgreSQL does not know: {option[1]}" if option else "cannot be read as a URL"
        raise UserError(f"{VARIABLE} {what}; {ALLOWED}") from None
    return f"postgresql://{rest}"


def home_mark(home: Path) -> str:
    """Identifies a home, so that studies of the same name from two homes are not confused."""
    return f"{socket.gethostname()}:{home.resolve()}"


class Connector:
    """Makes SQLAlchemy's connections; once a connection was lost, it raises ConnectionError instead.

    Optuna would retry the creation of a trial after a lost connection, even if only the answer to its COMMIT was lost,
    and create the trial twice. Instead the view is closed and opened again, and looks at what the database has.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._made: list[Any] = []

    def __call__(self) -> Any:
        if any(connection.closed or connection.broken for connection in self._made):
            raise ConnectionError("the connection to the database was lost")
        self._made.append(connected(self._url, self._name))
        return self._made[-1]

    def close(self) -> None:
        """Closes all connections."""
        for connection in self._made:
            connection.close()


def connected(url: str, name: str, **options: Any) -> Any:
    """Returns a psycopg connection with timeouts; settings of the URL take precedence."""
    from psycopg.conninfo import conninfo_to_dict

    said = conninfo_to_dict(url)
    ours: dict[str, Any] = {key: value for key, value in KEEPALIVE.items() if key not in said}
    settings = " ".join(f"-c {key}={value}" for key, value in SERVER_OPTIONS.items())
    theirs = said.get("options") or os.environ.get("PGOPTIONS", "")
    ours |= {"options": f"{settings} {theirs}".rstrip(), "application_name": name}
    return patient().connect(url, prepare_threshold=None, **ours, **options)


def patient() -> Any:
    """Returns a connection class that closes the connection after ANSWER_TIMEOUT seconds without an answer.

    The server's own limit does not help if packets are dropped, and TCP's does not if a proxy acknowledges them.
    """
    from psycopg import Connection, OperationalError

    class Patient(Connection[Any]):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._limited(gen), *arguments, **options)

        def _limited(self, gen: Any) -> Generator[Any, Any, Any]:
            deadline = time.monotonic() + ANSWER_TIMEOUT
            wanted = next_of(gen, None)
            while not isinstance(wanted, StopIteration):
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise OperationalError(f"no answer for {ANSWER_TIMEOUT:g} s")
                wanted = next_of(gen, ready)
            return wanted.value

    return Patient


def next_of(gen: Any, ready: Any) -> Any:
    """Returns what a generator yields next, or the StopIteration with its result."""
    try:
        return gen.send(ready)
    except StopIteration as end:
        return end


def session_name(mark: str, study: str) -> str:
    """The application name of the sessions that write one study."""
    return "hpsearch " + hashlib.sha256(f"{mark} {study}".encode()).hexdigest()[:16]


def end_former_sessions(url: str, name: str) -> None:
    """Ends earlier sessions that lost their client, so that none commits late or keeps rows locked."""
    with connected(url, name, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = %s and usename = current_user and pid <> pg_backend_pid()",
            [name],
        )
