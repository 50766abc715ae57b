"""Deletes a study from MLflow: in the home's own store for good, as `mlflow gc` does; elsewhere into MLflow's trash."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from hpsearch.output.redaction import redact
from hpsearch.system import failpoints
from hpsearch.views.follower import Say
from hpsearch.views.mlflow.store import Store
from hpsearch.views.sqlite import BUSY_TIMEOUT

COUNT = "SELECT count(*) FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ?"

REGISTERED = (
    "SELECT name, version FROM model_versions WHERE substr(source, 1, ?) = ? AND current_stage != 'Deleted_Internal' "
    "ORDER BY name, version"
)


def count(home: Path, study: str) -> int | None:
    """The number of runs that the home's own store has of a study; None if the store cannot be read. Waits for none."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(home / "mlflow.db")) as connection:
        return int(connection.execute(COUNT, (study,)).fetchone()[0])
    return None


def registered(home: Path, study: str) -> list[str]:
    """The registered models whose files are among the study's artifacts in the home: NAME version N."""
    place = f"{(home / 'artifacts' / study).as_uri()}/"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(home / "mlflow.db")) as connection:
        rows = connection.execute(REGISTERED, (len(place), place)).fetchall()
        return [f"{name} version {version}" for name, version in rows]
    return []


def remove(home: Path, tracking: str | None, study: str, created: float | None, *, say: Say) -> None:
    """Deletes the study's runs and its experiment; does nothing if they are gone. Raises what MLflow raises.

    created: the time of the study's creation, by which its runs are known on a server that other homes use too; None:
    unknown. Runs of the experiment that are not hpsearch's stay, and keep the experiment.
    """
    if tracking is None and not (home / "mlflow.db").exists():
        return
    store = Store(home, tracking, say=say)
    try:
        store.prepare()
        experiment = store.client.get_experiment_by_name(study)
        if experiment is not None and store.own:
            _remove_for_good(store, experiment, study, say)
        elif experiment is not None and experiment.lifecycle_stage == "active":
            _remove_into_trash(store, experiment, study, created, say)
    finally:
        store.close()
    if tracking is None:
        shutil.rmtree(home / "artifacts" / study, ignore_errors=True)


def _remove_for_good(store: Store, experiment: Any, study: str, say: Say) -> None:
    """Hides the experiment with all its runs at once, then deletes them one by one, with their artifacts."""
    runs = runs_of(store, experiment, "ALL")
    ours = [run for run in runs if run.data.tags.get("hpsearch.study") == study]
    tracking = store.client._tracking_client.store
    if len(ours) == len(runs) and experiment.lifecycle_stage == "active":
        store.client.delete_experiment(experiment.experiment_id)
    failpoints.hit("runs_hidden")
    for run in ours:
        _delete_artifacts(run.info.artifact_uri)
        tracking._hard_delete_run(run.info.run_id)
    if len(ours) == len(runs):
        tracking._hard_delete_experiment(experiment.experiment_id)
    else:
        say(f"MLflow: experiment '{study}' stays: {len(runs) - len(ours)} of its runs are not of hpsearch")


def _remove_into_trash(store: Store, experiment: Any, study: str, created: float | None, say: Say) -> None:
    """Deletes the study's runs on a server, where they can be restored until its `mlflow gc`."""
    runs = runs_of(store, experiment, "ACTIVE_ONLY")
    made = None if created is None else f"{created:.3f}"
    others = {run.data.tags.get("hpsearch.created") for run in runs} - {None, made}
    ours = [run for run in runs if _is_of(run.data.tags, study, made, alone=not others)]
    for run in ours:
        store.client.delete_run(run.info.run_id)
    if len(ours) == len(runs):
        store.client.delete_experiment(experiment.experiment_id)
    say(f"MLflow: {len(ours)} runs deleted; {redact(store.uri)} keeps them in its trash until `mlflow gc` is run there")


def _is_of(tags: dict[str, str], study: str, created: str | None, *, alone: bool) -> bool:
    """Whether a run is of this study; one of a final training has no time of creation: only if no other is there."""
    if tags.get("hpsearch.study") != study:
        return False
    return tags["hpsearch.created"] == created if "hpsearch.created" in tags else alone


def runs_of(store: Store, experiment: Any, kind: str) -> list[Any]:
    """The runs of an experiment; kind: a name of MLflow's ViewType."""
    from mlflow.entities import ViewType

    found, page = list[Any](), None
    while True:
        runs = store.client.search_runs([experiment.experiment_id], "", getattr(ViewType, kind), page_token=page)
        found += runs
        page = runs.token
        if not page:
            return found


def _delete_artifacts(uri: str) -> None:
    """Deletes a run's artifacts, wherever they are; missing ones are ignored."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with contextlib.suppress(FileNotFoundError):
        repository: Any = get_artifact_repository(uri)
        repository.delete_artifacts()


def _opened(path: Path) -> sqlite3.Connection:
    """Opens a database for reading; raises sqlite3.Error if it is missing."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=min(1.0, BUSY_TIMEOUT))
