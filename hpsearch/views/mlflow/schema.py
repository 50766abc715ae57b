"""Refuses databases of other MLflow versions: MLflow would migrate them when it opens them.

The known revisions are read from the files of the installed MLflow: importing it takes seconds.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sqlite3
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from hpsearch.errors import UserError
from hpsearch.output.redaction import redact
from hpsearch.views import sqlite

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # schemes of MLflow's own stores; the others are servers
THERE = {"experiments", "runs"}  # tables of every MLflow version


def check_home(home: Path, tracking: str | None) -> None:
    """Raises UserError if the home's store, or the SQLite file that `tracking` names, is of another MLflow version.

    Connects to no server. A damaged or locked file passes: opening it later reports the error. SQLAlchemy (0.2 s) is
    imported only if there is a file to read.
    """
    path = home.resolve() / "mlflow.db"
    if tracking is None and not path.exists() and sqlite.is_plain(path):
        return
    from sqlalchemy.exc import DBAPIError

    url = sqlite.url(path) if tracking is None else tracking
    if scheme(url) == "sqlite":
        with contextlib.suppress(DBAPIError, sqlite3.Error):
            check(url, timeout=0.5)


def check(url: str, *, timeout: float = sqlite.BUSY_TIMEOUT) -> None:
    """Raises UserError if the installed MLflow would migrate the database, or does not know its version.

    Raises an error of SQLAlchemy or SQLite if it cannot be read; waits for a locked SQLite file.
    """
    if scheme(url) not in DATABASES:
        return
    tables, revision = _read(url, timeout)
    revisions, head = known()
    if not tables or head is None or revision == head or _is_damaged(url):
        return
    if not tables >= THERE:
        raise UserError(f"{_named(url)}: is not an MLflow database; {_ELSEWHERE}")
    if revision is None or revision in revisions:
        raise UserError(
            f"{_named(url)}: is of an older MLflow than the installed {_version()}, and hpsearch does not upgrade it; "
            f"back it up and run: mlflow db upgrade {shlex.quote(_shown(url))}  ({_ELSEWHERE})"
        )
    raise UserError(
        f"{_named(url)}: is of a newer MLflow than the installed {_version()}; install the newer one, or {_ELSEWHERE}"
    )


def scheme(url: str) -> str:
    """Returns the scheme of a tracking URI, without its driver."""
    return re.split(r"[+:]", url, maxsplit=1)[0]


def _is_damaged(url: str) -> bool:
    """Whether the database is a damaged SQLite file."""
    return scheme(url) == "sqlite" and bool(sqlite.damage_of(_file(url)))


def _file(url: str) -> Path:
    from sqlalchemy.engine import make_url

    return Path(make_url(url).database or "")


_ELSEWHERE = "to leave it unchanged, use another home"


@cache
def known() -> tuple[frozenset[str], str | None]:
    """Returns the revisions that the installed MLflow can upgrade, and the one that it creates.

    The latter is None if the migration scripts are not in their usual place (since MLflow 1.0).
    """
    found = find_spec("mlflow")
    packages = (found and found.submodule_search_locations) or ()
    files = (file for package in packages for file in Path(package, "store/db_migrations/versions").glob("*.py"))
    scripts = [file.read_text(encoding="utf-8") for file in files]
    revisions = {name for script in scripts for name in re.findall(r"""^revision = ["'](\w+)""", script, re.M)}
    former = {name for script in scripts for name in re.findall(r"""^down_revision = ["'](\w+)""", script, re.M)}
    heads = revisions - former
    return frozenset(revisions), heads.pop() if len(heads) == 1 else None


def _read(url: str, timeout: float) -> tuple[set[str], str | None]:
    """Returns the tables of a database and its Alembic revision."""
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.pool import NullPool

    is_file = scheme(url) == "sqlite"
    if is_file and not _file(url).is_file():
        return set(), None
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": timeout} if is_file else {})
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        revision = None
        if "alembic_version" in tables:
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return tables - {"alembic_version"}, revision


def _shown(url: str) -> str:
    """Formats the URL for people: an SQLite file by its path, if that needs no quoting."""
    plain = scheme(url) == "sqlite" and sqlite.is_plain(_file(url))
    return f"sqlite:///{_file(url)}" if plain else redact(url)


def _named(url: str) -> str:
    return str(_file(url)) if scheme(url) == "sqlite" else redact(url)


def _version() -> str:
    return metadata.version("mlflow")
