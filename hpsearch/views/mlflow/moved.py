"""Updates the absolute artifact paths in MLflow's tables after a home was moved or copied."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hpsearch.views.sqlite import BUSY_TIMEOUT

# Columns of MLflow 3 with artifact locations.
LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "trace_tags": ("value",),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
}


def follow(database: Path, home: Path) -> str | None:
    """Replaces the home's former path in artifact locations; returns a line about it, None if nothing changed.

    All changes are one transaction. Locations outside the home do not change.
    """
    with contextlib.closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT, isolation_level=None)) as connection:
        if not set(former_homes(connection, home)):
            return None
        connection.execute("BEGIN IMMEDIATE")
        former = sorted(set(former_homes(connection, home)))  # again under the lock: another process may have done it
        runs = [change(connection, path, home) for path in former]
        connection.execute("COMMIT")
    if not former:
        return None
    return (
        f"{home} was moved or copied from {', '.join(map(str, former))}: "
        f"{sum(runs)} MLflow runs now have their artifacts in {home / 'artifacts'}"
    )


def former_homes(connection: sqlite3.Connection, home: Path) -> Iterator[Path]:
    """Yields the former paths of this home, from the experiments created there."""
    here = f"{home.as_uri()}/"
    for name, location in connection.execute("SELECT name, artifact_location FROM experiments").fetchall():
        end = f"/artifacts/{name}"
        if location and location.startswith("file:") and location.endswith(end) and not location.startswith(here):
            former = Path(unquote(urlsplit(location.removesuffix(end)).path))
            if _is_ours(connection, home, name) and _was_here(former, home, name):
                yield former


def _is_ours(connection: sqlite3.Connection, home: Path, name: str) -> bool:
    """Whether the experiment is hpsearch's: the home has the study, or the store a run of it (a final training)."""
    runs = "SELECT 1 FROM runs JOIN tags USING (run_uuid) JOIN experiments USING (experiment_id) "
    ours = "WHERE experiments.name = ? AND tags.key = 'hpsearch.study' AND tags.value = experiments.name"
    return (home / name / "journal.jsonl").exists() or connection.execute(runs + ours, (name,)).fetchone() is not None


def _was_here(former: Path, home: Path, name: str) -> bool:
    """Whether `former` was the home's path, not a folder that somebody chose for the artifacts."""
    try:
        if former.samefile(home):  # the same folder: a link, or another mount
            return False
    except OSError:
        return True  # it is gone, or may not be read
    return (home / "artifacts" / name).exists() or (former / name / "journal.jsonl").exists()


def change(connection: sqlite3.Connection, former: Path, home: Path) -> int:
    """Changes every location below the former home; returns the number of runs changed."""
    changed = 0
    for table, wanted in LOCATIONS.items():
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for column in there.intersection(wanted):
            for old, new in ((former.as_uri(), home.as_uri()), (str(former), str(home))):
                values = (new, len(old) + 1, len(old) + 1, old + os.sep)
                statement = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
                statement += " AND key = 'mlflow.artifactLocation'" if table == "trace_tags" else ""
                found = connection.execute(statement, values).rowcount
                changed += found if table == "runs" else 0
    return changed
