"""Gives a study another name in MLflow: its experiment, its run, the tag of all of its runs, and its artifacts' folder.

In the home's own store that is one transaction; elsewhere one request after the other, which may be repeated.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.output.redaction import redact
from hpsearch.views.mlflow import moved
from hpsearch.views.mlflow.removal import runs_of
from hpsearch.views.mlflow.store import Store
from hpsearch.views.mlflow.study_run import SHIPPED
from hpsearch.views.sqlite import BUSY_TIMEOUT

RUNS = "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ?"
OURS = f"run_uuid IN ({RUNS})"
TAGS = ("hpsearch.study", "mlflow.runName")  # whose value may be the study's name


def check(home: Path, tracking: str | None, study: str, new: str, created: float) -> None:
    """Raises HpsearchError if the study cannot have the new name in MLflow; raises what MLflow raises."""
    with _opened(home, tracking) as store:
        taken = store.client.get_experiment_by_name(new)
        if taken is not None:
            deleted = "" if taken.lifecycle_stage == "active" else " in its trash"
            raise HpsearchError(f"MLflow has an experiment '{new}' already{deleted}; choose another name")
        experiment = store.client.get_experiment_by_name(study)
        made = {run.data.tags.get("hpsearch.created") for run in _runs(store, experiment)} - {None, f"{created:.3f}"}
        if made:
            where = redact(store.uri)
            raise HpsearchError(f"MLflow's experiment '{study}' has another study of this name, too ({where})")


def rename(home: Path, tracking: str | None, study: str, new: str) -> None:
    """Renames the study in MLflow; does nothing if it has the new name. Raises what MLflow or SQLite raises."""
    if tracking is None:
        _rename_own(home, study, new)
        return
    with _opened(home, tracking) as store:
        client = store.client
        experiment = client.get_experiment_by_name(study)
        if experiment is not None:
            client.rename_experiment(experiment.experiment_id, new)
        for run in _runs(store, client.get_experiment_by_name(new)):
            if run.data.tags.get("hpsearch.study") == study:
                if run.info.run_name == study:
                    client.update_run(run.info.run_id, name=new)
                client.set_tag(run.info.run_id, "hpsearch.study", new)


def note(home: Path, tracking: str | None, parent: str, offset: int) -> None:
    """Notes in the study's run the offset in its rewritten journal."""
    with _opened(home, tracking) as store:
        store.client.set_tag(parent, SHIPPED, str(offset))


def _rename_own(home: Path, study: str, new: str) -> None:
    """Renames it in the home's own database, and the folder of its artifacts."""
    old_folder, folder = home / "artifacts" / study, home / "artifacts" / new
    if (home / "mlflow.db").exists():
        database = sqlite3.connect(home / "mlflow.db", timeout=BUSY_TIMEOUT, isolation_level=None)
        with contextlib.closing(database) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for key in TAGS:
                statement = f"UPDATE tags SET value = ? WHERE key = ? AND value = ? AND {OURS}"
                connection.execute(statement, (new, key, study, study))
            connection.execute(f"UPDATE runs SET name = ? WHERE name = ? AND {OURS}", (new, study, study))
            moved.change(connection, old_folder, folder)
            place = "UPDATE experiments SET artifact_location = ? WHERE name = ? AND artifact_location = ?"
            connection.execute(place, (folder.as_uri(), study, old_folder.as_uri()))
            connection.execute("UPDATE experiments SET name = ? WHERE name = ?", (new, study))
            connection.execute("COMMIT")
    if old_folder.is_dir() and not folder.exists():
        os.rename(old_folder, folder)


def _runs(store: Store, experiment: Any) -> list[Any]:
    return [] if experiment is None else runs_of(store, experiment, "ALL")


@contextlib.contextmanager
def _opened(home: Path, tracking: str | None) -> Iterator[Store]:
    store = Store(home, tracking)
    try:
        store.prepare()
        yield store
    finally:
        store.close()
