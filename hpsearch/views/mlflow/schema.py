"""Which MLflow made a database: one of another version is refused, for MLflow migrates it when it is opened.

The revisions that the installed MLflow knows are read from its migration scripts: importing it takes seconds.
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
from hpsearch.redaction import redact
from hpsearch.views import sqlite

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # schemes of MLflow's own stores; the others are servers
THERE = {"experiments", "runs"}  # tables that every MLflow makes


def check_home(home: Path, tracking: str | None) -> None:
    """Raises UserError when the home's store, or the SQLite file that `tracking` names, is another MLflow's.

    A damaged or locked file passes: whoever opens it later finds out. No server is asked.
    """
    from sqlalchemy.exc import DBAPIError

    url = sqlite.url(home.resolve() / "mlflow.db") if tracking is None else tracking
    if scheme(url) == "sqlite":
        with contextlib.suppress(DBAPIError, sqlite3.Error):
            check(url, timeout=0.5)


def check(url: str, *, timeout: float = sqlite.BUSY_TIMEOUT) -> None:
    """Raises UserError when the database has tables that the installed MLflow would migrate, or does not know.

    Raises what SQLAlchemy or SQLite raises when it cannot be read; an SQLite file that is locked is waited for.
    """
    if scheme(url) not in DATABASES:
        return
    tables, revision = _read(url, timeout)
    revisions, head = known()
    if not tables or head is None or revision == head or _is_damaged(url):
        return
    if not tables >= THERE:
        raise UserError(f"{_named(url)}: is a database, but not one of MLflow's; {_ELSEWHERE}")
    if revision is None or revision in revisions:
        raise UserError(
            f"{_named(url)}: is of an older MLflow than the installed {_version()}, and hpsearch upgrades no database; "
            f"back it up and run: mlflow db upgrade {shlex.quote(_shown(url))}  ({_ELSEWHERE})"
        )
    raise UserError(
        f"{_named(url)}: is of a newer MLflow than the installed {_version()}; install that one, or {_ELSEWHERE}"
    )


def scheme(url: str) -> str:
    """What kind of store a tracking URI names."""
    return re.split(r"[+:]", url, maxsplit=1)[0]


def _is_damaged(url: str) -> bool:
    """Whether what was read of an SQLite file means nothing."""
    return scheme(url) == "sqlite" and bool(sqlite.damage_of(_file(url)))


def _file(url: str) -> Path:
    from sqlalchemy.engine import make_url

    return Path(make_url(url).database or "")


_ELSEWHERE = "to leave it as it is, use another --home"


@cache
def known() -> tuple[frozenset[str], str | None]:
    """The revisions of MLflow's tables that the installed MLflow can upgrade, and the one that it makes.

    The latter is None where its scripts are not where they have been since MLflow 1.0.
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
    """The tables of a database, and the revision that Alembic has noted in it."""
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
    """The URL as a person writes it: with an SQLite file's own path where that is plain."""
    plain = scheme(url) == "sqlite" and not re.search(r"[?#%]", str(_file(url)))
    return f"sqlite:///{_file(url)}" if plain else redact(url)


def _named(url: str) -> str:
    return str(_file(url)) if scheme(url) == "sqlite" else redact(url)


def _version() -> str:
    return metadata.version("mlflow")
