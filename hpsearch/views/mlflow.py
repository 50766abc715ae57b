"""The door to MLflow: a store of runs that can be written twice without harm, the final training's run, its UI.

Only `MlflowClient` with explicit run ids is used: the fluent API hides its current run and ends pruned ones FAILED.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hpsearch.history import number
from hpsearch.views import sqlite
from hpsearch.views.follower import Say, describe, locked, read_state, state_file

ROWS_PER_BATCH = 900  # metrics; MLflow takes 1,000 entities at a time
TAG_LENGTH, PARAM_LENGTH = 5000, 6000  # characters that every MLflow >= 3 store takes

UI_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
QUIET_AND_QUICK = {
    **UI_ENVIRONMENT,
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # MLflow's own 7 tries block for 246 s; we try again later ourselves
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds
}
PERMANENT = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "PERMISSION_DENIED", "NOT_FOUND")
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # opens the runs in the UI, not the traces

Row = tuple[str, float, float, int]  # metric name, value, unix seconds, step


class Store:
    """An MLflow tracking store: HOME/mlflow.db with its artifacts in HOME/artifacts, or what `tracking` names."""

    def __init__(self, home: Path, tracking: str | None, *, say: Say = lambda message: None) -> None:
        self.home, self.uri = home, tracking or f"sqlite:///{home / 'mlflow.db'}"
        self._own, self._say = tracking is None, once(say)

    def prepare(self) -> None:
        """Imports MLflow (1-3 s) and makes the database where there is none (seconds), one process at a time."""
        for name, value in QUIET_AND_QUICK.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if not self._own:
            self.client = MlflowClient(tracking_uri=self.uri)
            return
        with locked(self.home / ".views.lock", timeout=120):
            warning = sqlite.make_ready(self.home / "mlflow.db")
            self.client = MlflowClient(tracking_uri=self.uri)
            self.client.search_experiments(max_results=1)  # connects, and makes the tables
        if warning:
            self._say(warning)

    def experiment(self, name: str) -> str:
        """The id of the experiment of this name; made, or restored when somebody deleted it."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            folder = self.home / "artifacts" / name
            place = folder.as_uri() if self._own else None
            return str(self.client.create_experiment(name, artifact_location=place, tags=EXPERIMENT_TAGS))
        if found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def run(self, experiment: str, *, name: str, tags: dict[str, str], identity: Iterable[str], began: float) -> str:
        """The id of the run whose tags named in `identity` are those given, found or made.

        Looking first makes creation repeatable: a process that died before it stored the id makes no second run.
        """
        wanted = " and ".join(f"tags.`{key}` = '{tags[key]}'" for key in identity)
        found = self.client.search_runs([experiment], filter_string=wanted, max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {key: text(value) for key, value in tags.items()}
        run = self.client.create_run(experiment, start_time=milliseconds(began), tags=tags, run_name=name)
        return str(run.info.run_id)

    def is_there(self, run_id: str) -> bool:
        """Whether the store has this run, undeleted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if is_permanent(error):
                return False
            raise

    def log(
        self,
        run_id: str,
        *,
        rows: Iterable[Row] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
    ) -> None:
        """Stores metrics, params and tags; the same ones again change nothing (a row is its own key).

        Rows that the store refuses for what they are get set aside with a message; the others are stored.
        """
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(key, number(value), milliseconds(at), step) for key, value, at, step in rows]
        self._batch(
            run_id,
            params=[Param(key, text(value, PARAM_LENGTH)) for key, value in (params or {}).items()],
            tags=[RunTag(key, text(value)) for key, value in (tags or {}).items()],
        )
        for first in range(0, len(metrics), ROWS_PER_BATCH):
            self._batch(run_id, metrics=metrics[first : first + ROWS_PER_BATCH])

    def _batch(self, run_id: str, **entities: list[Any]) -> None:
        if not any(entities.values()):
            return
        try:
            self.client.log_batch(
                run_id, entities.get("metrics", ()), entities.get("params", ()), entities.get("tags", ())
            )
        except Exception as error:
            if not is_permanent(error):
                raise
            self._halve(run_id, entities, error)

    def _halve(self, run_id: str, entities: dict[str, list[Any]], error: Exception) -> None:
        """Finds the entities that the store refuses, and stores the rest."""
        flat = [(kind, entity) for kind, group in entities.items() for entity in group]
        there = self.is_there(run_id)
        if len(flat) == 1 or not there:
            what = flat[0][1].key if there else "what belongs to a deleted run"
            self._say(f"MLflow refuses {what} of run {run_id}, left out ({describe(error)})")
            return
        for half in (flat[: len(flat) // 2], flat[len(flat) // 2 :]):
            self._batch(run_id, **{kind: [e for k, e in half if k == kind] for kind in entities})

    def running(self, run_id: str) -> None:
        """Marks a run as going on."""
        self._tolerant(self.client.update_run, run_id, status="RUNNING")

    def ended(self, run_id: str, status: str, *, at: float) -> None:
        """Marks a run as FINISHED, KILLED or FAILED at a time (unix seconds)."""
        self._tolerant(self.client.set_terminated, run_id, status, end_time=milliseconds(at))

    def untag(self, run_id: str, key: str) -> None:
        """Takes a tag off a run that may have it."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.delete_tag(run_id, key)
        except MlflowException as error:
            if not is_permanent(error):
                raise

    def text(self, run_id: str, name: str, content: str) -> None:
        """Stores a text as an artifact, in place of the one of the same name."""
        self._tolerant(self.client.log_text, run_id, content, name)

    def yaml(self, run_id: str, name: str, content: dict[str, Any]) -> None:
        """Stores a mapping as a YAML artifact."""
        self._tolerant(self.client.log_dict, run_id, content, name)

    def files(self, run_id: str, folder: Path) -> None:
        """Stores the files of a folder as artifacts."""
        self._tolerant(self.client.log_artifacts, run_id, str(folder))

    def _tolerant(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls; what can never succeed is said and passed over, the rest is raised, to be tried again."""
        try:
            call(*arguments, **options)
        except Exception as error:
            if not is_permanent(error):
                raise
            self._say(f"MLflow refuses {call.__name__} ({describe(error)}); it was left out")


def is_permanent(error: Exception) -> bool:
    """Whether asking the store again would give the same refusal."""
    status = getattr(getattr(error, "response", None), "status_code", None)  # of a requests.HTTPError
    if status is not None:
        return 400 <= status < 500 and status not in (408, 429)
    return isinstance(error, PermissionError) or getattr(error, "error_code", None) in PERMANENT


def rows_of(evaluation: dict[str, Any], at: float) -> list[Row]:
    """One evaluation and the training points before it as metric rows over the tokens seen, each (name, step) once."""
    tokens = int(evaluation["tokens"])
    values = {**evaluation["metrics"], **{key: evaluation[key] for key in ("epoch", "progress", "step")}}
    rows = {(name, tokens): (name, number(value), at, tokens) for name, value in values.items()}
    for point in evaluation.get("points", ()):
        for name, value in point["metrics"].items():
            key = (name, int(point["tokens"]))
            rows.setdefault(key, (name, number(value), point.get("time", at), key[1]))
    return list(rows.values())


def once(say: Say) -> Say:
    """Passes on each message the first time only."""
    said: set[str] = set()

    def say_new(message: str) -> None:
        if message not in said:
            said.add(message)
            say(message)

    return say_new


def milliseconds(seconds: float) -> int:
    """Unix seconds as MLflow's integer milliseconds."""
    return round(1000 * seconds)


def text(value: Any, length: int = TAG_LENGTH) -> str:
    """A value as a tag or param shows it."""
    shown = f"{value:.10g}" if isinstance(value, float) else "" if value is None else str(value)
    return shown[:length]


def run_ids(home: Path, study: str) -> dict[int, str]:
    """The MLflow run of each trial shipped so far (without importing MLflow)."""
    runs = read_state(state_file(home / study, "mlflow"))["state"].get("runs", {})
    return {int(trial): run_id for trial, run_id in runs.items()}


def ui_command(home: Path, tracking: str | None, port: int) -> tuple[list[str], dict[str, str]]:
    """The command of MLflow's UI for this machine alone (127.0.0.1), and what to add to its environment.

    The store's URI goes by the environment: a command line can be read by everybody, and a URI may hold a password.
    """
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    hosts = ["--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"]
    uri = tracking or f"sqlite:///{home.resolve() / 'mlflow.db'}"
    artifacts = (home.resolve() / "artifacts").as_uri()
    environment = {**UI_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts}
    return [sys.executable, "-m", "mlflow", "server", *options, *hosts], environment


# ------------------------------------------------------------------------------------------------- the final training


class FinalRun:
    """The final training as a run named `final` in the study's experiment; trouble with MLflow never reaches training.

    Calls return at once: a thread does them in order; what failed is tried once more in `finish`.
    """

    def __init__(self, home: Path, tracking: str | None, study: str, *, say: Say = lambda message: None) -> None:
        self._store, self._study, self._say = Store(home.resolve(), tracking, say=say), study, say
        self.run_id: str | None = None  # known once MLflow has made the run
        self._calls: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue()
        self._failed: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._status = "FINISHED"
        self._thread = threading.Thread(target=self._work, name="mlflow-final", daemon=True)
        self._thread.start()

    def start(self, config: dict[str, Any], provenance: dict[str, Any], tags: dict[str, Any] | None = None) -> None:
        """Makes the run: model and training settings as params, the whole config and its provenance as artifacts."""
        self._calls.put((self._start, (config, provenance, tags or {}, time.time())))

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        """Adds an evaluation (as in the journal) to the run's curves."""
        self._calls.put((self._evaluation, (evaluation, time.time())))

    def finish(
        self, metrics: dict[str, float], folder: Path | None = None, *, status: str = "FINISHED", timeout: float = 60
    ) -> None:
        """Adds final metrics (test scores) and a folder's files, ends the run; waits at most `timeout` seconds."""
        self._calls.put((self._finish, (metrics, folder, status, time.time())))
        self._calls.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive() or self._failed:
            self._say("MLflow did not take all of the final training's log; the model itself is complete")

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._try(call)
        again, self._failed = self._failed, []
        for call in again:
            self._try(call)

    def _try(self, call: tuple[Callable[..., None], tuple[Any, ...]]) -> None:
        if self._failed:
            self._failed.append(call)  # in order, at the end
            return
        try:
            call[0](*call[1])
        except Exception as error:
            self._say(f"MLflow does not take the final training's log; training goes on ({describe(error)})")
            self._failed.append(call)

    def _start(self, config: dict[str, Any], provenance: dict[str, Any], tags: dict[str, Any], at: float) -> None:
        self._store.prepare()
        experiment = self._store.experiment(self._study)
        names = {"hpsearch.kind": "final", "hpsearch.study": self._study, "hpsearch.started": f"{at:.3f}", **tags}
        self.run_id = self._store.run(
            experiment,
            name="final",
            tags={k: text(v) for k, v in names.items()},
            began=at,
            identity=("hpsearch.kind", "hpsearch.started"),
        )
        settings = {**config.get("model", {}), **config.get("training", {}), "seed": config.get("seed")}
        self._store.log(self.run_id, params={name: value for name, value in settings.items() if value is not None})
        self._store.yaml(self.run_id, "config.yaml", config)
        self._store.text(self.run_id, "provenance.json", json.dumps(provenance, indent=2, ensure_ascii=False))

    def _evaluation(self, evaluation: dict[str, Any], at: float) -> None:
        self._store.log(self._made(), rows=rows_of(evaluation, at))
        self._tokens = int(evaluation["tokens"])

    def _finish(self, metrics: dict[str, float], folder: Path | None, status: str, at: float) -> None:
        step = getattr(self, "_tokens", 0)
        self._store.log(self._made(), rows=[(name, value, at, step) for name, value in metrics.items()])
        if folder is not None:
            self._store.files(self._made(), folder)
        self._store.ended(self._made(), status, at=at)

    def _made(self) -> str:
        if self.run_id is None:
            raise ConnectionError("the run is not made yet")
        return self.run_id
