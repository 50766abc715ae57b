"""A home that was moved or copied: MLflow's tables hold absolute paths of its artifacts, which have to follow."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hpsearch.views.sqlite import BUSY_TIMEOUT

# Columns in which MLflow 3 keeps where artifacts lie.
LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "trace_tags": ("value",),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
}


def follow(database: Path, home: Path) -> str | None:
    """Points the artifacts that lay in the home, where it was before, to where it is now; a line about it, or None.

    All or nothing, in one transaction. Artifacts that never lay in the home stay where they are.
    """
    with contextlib.closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT, isolation_level=None)) as connection:
        if not set(former_homes(connection, home)):
            return None
        connection.execute("BEGIN IMMEDIATE")
        former = sorted(set(former_homes(connection, home)))  # another process may have been faster
        runs = [_change(connection, path, home) for path in former]
        connection.execute("COMMIT")
    if not former:
        return None
    return (
        f"{home} was moved or copied from {', '.join(map(str, former))}: "
        f"the artifacts of {sum(runs)} MLflow runs are looked for in {home / 'artifacts'} from now on"
    )


def former_homes(connection: sqlite3.Connection, home: Path) -> Iterator[Path]:
    """Where this home was when the experiments of its studies were made, for each that does not lie here."""
    here = f"{home.as_uri()}/"
    for name, location in connection.execute("SELECT name, artifact_location FROM experiments").fetchall():
        end = f"/artifacts/{name}"
        if location and location.startswith("file:") and location.endswith(end) and not location.startswith(here):
            former = Path(unquote(urlsplit(location.removesuffix(end)).path))
            if _is_ours(connection, home, name) and _was_here(former, home, name):
                yield former


def _is_ours(connection: sqlite3.Connection, home: Path, name: str) -> bool:
    """Whether hpsearch writes the experiment: it has the study here, or a run of it (a final training)."""
    runs = "SELECT 1 FROM runs JOIN tags USING (run_uuid) JOIN experiments USING (experiment_id) "
    ours = "WHERE experiments.name = ? AND tags.key = 'hpsearch.study' AND tags.value = experiments.name"
    return (home / name / "journal.jsonl").exists() or connection.execute(runs + ours, (name,)).fetchone() is not None


def _was_here(former: Path, home: Path, name: str) -> bool:
    """Whether it was the home's place, and not a folder in which somebody wants the experiment's artifacts."""
    try:
        if former.samefile(home):  # under another name: a link, or another mount
            return False
    except OSError:
        return True  # it is no more, or nobody lets us in
    return (home / "artifacts" / name).exists() or (former / name / "journal.jsonl").exists()


def _change(connection: sqlite3.Connection, former: Path, home: Path) -> int:
    """Changes every location below the former home; gives the number of runs."""
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
