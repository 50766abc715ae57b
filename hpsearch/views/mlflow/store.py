"""An MLflow tracking store, in which every write can be repeated.

It uses `MlflowClient` with explicit run ids: the fluent API has a hidden current run and ends pruned runs as FAILED.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.journal.trial_history import number
from hpsearch.system import failpoints
from hpsearch.system.file_lock import locked
from hpsearch.views import sqlite
from hpsearch.views.follower import BUSY, Say, describe, describe_loss, once, read_state, state_file
from hpsearch.views.mlflow import moved, schema
from hpsearch.views.mlflow.client import checked_id, connected, release
from hpsearch.views.mlflow.datasets import CONTEXT
from hpsearch.views.mlflow.rows import PARAM_LENGTH, Row, milliseconds, text
from hpsearch.views.mlflow.ui import UI_ENVIRONMENT
from hpsearch.views.refusals import is_refusal, status_of

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ROWS_PER_BATCH, NAMED_PER_BATCH = 900, 90  # MLflow's limits: 1,000 metrics, 100 params, 100 tags
QUIET_AND_QUICK = {
    **UI_ENVIRONMENT,
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the tracking URI may contain a password
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds
}
# MLflow's own 7 tries block for 246 s, and create a run twice if only the answer was lost: the follower retries, and
# `Store.run` searches the run first.
ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
BROKEN = 3  # HTTP 500 answers to a batch until something in it is taken to be the cause
PROOF = 5  # further HTTP 500 answers to one item until it is skipped
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens the runs, not the traces

STAYS_DELETED = "MLflow: the deleted run {} stays deleted; hpsearch repair restores it"
WRONG = "hpsearch.wrong"  # tag of a run that hpsearch itself deleted and replaced


class Store:
    """An MLflow tracking store: the one at `tracking`, else HOME/mlflow.db with artifacts in HOME/artifacts."""

    draws = True  # whether pictures are drawn for it

    def __init__(self, home: Path, tracking: str | None, *, study: str = "", say: Say = lambda message: None) -> None:
        """`study`: the study that is written to the store; named if the store has to be created again."""
        self.home, self.uri, self.study = home, tracking or sqlite.url(home / "mlflow.db"), study
        self.own, self._say = tracking is None, once(say)  # own: HOME/mlflow.db
        self._file = home / "mlflow.db"
        self._identity: tuple[int, int] | None = None  # of the open file
        self._client: MlflowClient | None = None
        self._broken: dict[str, int] = {}  # batch -> HTTP 500 answers so far

    def prepare(self) -> None:
        """Imports MLflow (1-3 s) and creates a missing database (seconds), one process at a time."""
        if self._client is not None:
            return
        for name, value in QUIET_AND_QUICK.items():
            os.environ.setdefault(name, value)
        os.environ.update(ONE_TRY)
        if not self.own:
            schema.check(self.uri)
            self._client = connected(self.uri)
            return
        with locked(self.home / ".views.lock", timeout=120, busy=BUSY):
            schema.check_home(self.home, None)  # before anything is changed; checked again once the file is readable
            found = sqlite.ensure_intact(self._file, lambda path: release(connected(sqlite.url(path), ask=True)))
            schema.check(self.uri)
            self._identity = sqlite.identity(self._file)
            followed = moved.follow(self._file, self.home)
            self._client = connected(self.uri, ask=True)
        if lost := describe_loss(found, self._file, name="mlflow", study=self.study):
            self._say(lost)
        if followed:
            self._say(followed)

    @property
    def client(self) -> MlflowClient:
        """MLflow's client; raises RuntimeError before `prepare`."""
        if self._client is None:
            raise RuntimeError("call prepare() first")
        return self._client

    def gone(self) -> bool:
        """Whether the database was deleted or replaced since it was opened."""
        return self.own and sqlite.identity(self._file) != self._identity

    def close(self) -> None:
        """Closes the store; `prepare` opens and checks it again."""
        client, self._client = self._client, None
        if client is not None:
            release(client)

    def experiment(self, name: str) -> str:
        """Returns the id of the experiment of this name; creates it, or restores a deleted one."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            folder = self.home / "artifacts" / name
            place = folder.as_uri() if self.own else None
            return checked_id(self.client.create_experiment(name, artifact_location=place, tags=EXPERIMENT_TAGS))
        if found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return checked_id(found.experiment_id)

    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        """Sets a tag of the experiment. A refusal is said and passed over: the tags only arrange what pages show."""
        try:
            self.client.set_experiment_tag(experiment, key, value)
        except Exception as error:
            if not is_refusal(error):
                raise
            self._say(f"MLflow refuses the tag {key} of experiment {experiment}, which is skipped ({describe(error)})")

    def run(self, experiment: str, *, name: str, tags: dict[str, str], identity: Iterable[str], began: float) -> str:
        """Returns the id of the run with these tags (those named in `identity`), created if missing.

        The search makes creation repeatable: a process that dies before it stores the id creates no second run. A run
        that a person deleted is found as well, and stays deleted.
        """
        wanted = {key: tags[key] for key in identity}
        if found := self.found(experiment, wanted) or self.found(experiment, wanted, deleted=True):
            return next(iter(found))
        tags = {key: text(value) for key, value in tags.items()}
        run = self.client.create_run(experiment, start_time=milliseconds(began), tags=tags, run_name=name)
        failpoints.hit("run_made")
        return checked_id(run.info.run_id)

    def found(self, experiment: str, tags: dict[str, str], *, deleted: bool = False) -> dict[str, dict[str, str]]:
        """Returns id -> tags of the experiment's runs that have these tags, the newest first.

        deleted: returns deleted runs instead, but not those deleted by `delete`.
        """
        from mlflow.entities import ViewType

        kind = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found, page = dict[str, dict[str, str]](), None
        while True:
            runs = self.client.search_runs([experiment], wanted, kind, page_token=page)
            found |= {checked_id(run.info.run_id): run.data.tags for run in runs if WRONG not in run.data.tags}
            page = runs.token
            if not page:
                return found

    def tags(self, run_id: str) -> dict[str, str] | None:
        """Returns a run's tags; None if the run is missing or deleted."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return dict(run.data.tags) if run.info.lifecycle_stage == "active" else None

    def delete(self, run_id: str) -> None:
        """Deletes a run that should not exist."""
        self.client.set_tag(run_id, WRONG, "true")
        self.client.delete_run(run_id)

    def restore(self, run_id: str) -> bool:
        """Restores a run that a person deleted, alone or with its experiment; returns False if there is no such run."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        if WRONG in run.data.tags:
            return False
        if self.client.get_experiment(run.info.experiment_id).lifecycle_stage != "active":
            self.client.restore_experiment(run.info.experiment_id)
            run = self.client.get_run(run_id)
        if run.info.lifecycle_stage != "active":
            self.client.restore_run(run_id)
        return True

    def rows(self, run_id: str, names: Iterable[str]) -> Iterator[tuple[str, float, int, int]]:
        """Yields a run's metric rows: name, value, milliseconds, step."""
        for name in names:
            for found in self.client.get_metric_history(run_id, name):
                yield name, found.value, found.timestamp, found.step

    def log(
        self,
        run_id: str,
        *,
        rows: Iterable[Row] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
    ) -> None:
        """Stores metrics, params and tags; storing the same ones again changes nothing.

        Items that the store refuses are reported and skipped; the others are stored.
        """
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(key, number(value), milliseconds(at), step) for key, value, at, step in rows]
        named: list[Any] = [Param(key, text(value, PARAM_LENGTH)) for key, value in (params or {}).items()]
        named += [RunTag(key, text(value)) for key, value in (tags or {}).items()]
        names = [named[i : i + NAMED_PER_BATCH] for i in range(0, len(named), NAMED_PER_BATCH)]
        values = [metrics[i : i + ROWS_PER_BATCH] for i in range(0, len(metrics), ROWS_PER_BATCH)]
        for some, others in zip_longest(names, values):
            self._batch(run_id, [*(some or ()), *(others or ())])

    def _batch(self, run_id: str, entities: list[Any], *, insist: bool = False) -> None:
        """Stores params, tags and metrics in one request; `insist`: treats HTTP 500 as a refusal of something in it."""
        kinds: dict[str, list[Any]] = {}
        for entity in entities:
            kinds.setdefault(type(entity).__name__, []).append(entity)
        batch = (run_id, kinds.get("Metric", []), kinds.get("Param", []), kinds.get("RunTag", []))
        mark = f"{run_id} {entities[0]!r}"
        try:
            self.client.log_batch(*batch)
        except Exception as error:
            self._broken[mark] = self._broken.get(mark, 0) + (status_of(error) == 500)
            insist = insist or self._broken[mark] >= BROKEN
            if not is_refusal(error) and not (insist and status_of(error) == 500):
                raise
            if self.tags(run_id) is None:
                self._say(STAYS_DELETED.format(run_id))
            elif len(entities) == 1:
                self._skip(run_id, entities[0].key, error, lambda: self.client.log_batch(*batch))
            else:  # bisects to find what the store refuses
                self._batch(run_id, entities[: len(entities) // 2], insist=insist)
                self._batch(run_id, entities[len(entities) // 2 :], insist=insist)
        self._broken.pop(mark, None)
        failpoints.hit("batch_sent")

    def _skip(self, run_id: str, what: str, error: Exception, again: Callable[[], Any]) -> None:
        """Skips an item that the store refuses while it accepts another one for the same run; else raises the error.

        A server that refuses everything (a wrong address, an expired token, a damaged database) does not object to
        this item: it is retried later. HTTP 500 must repeat several times.
        """
        if self.tags(run_id) is None:
            self._say(STAYS_DELETED.format(run_id))
            return
        for _ in range(0 if is_refusal(error) else PROOF):
            with contextlib.suppress(Exception):
                again()
                return
        try:
            self.client.set_tag(run_id, "hpsearch.left_out", text(what))
        except Exception:
            raise error from None
        self._say(f"MLflow refuses {what} of run {run_id}, which is skipped ({describe(error)})")

    def inputs(self, run_id: str, datasets: Iterable[dict[str, str]]) -> None:
        """Notes data sets as inputs of a run, as `datasets.dataset_inputs` describes them."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for one in datasets:
            fields = {key: value for key, value in one.items() if key != CONTEXT}
            inputs.append(DatasetInput(Dataset(**fields), [InputTag("mlflow.data.context", one[CONTEXT])]))
        if not inputs:
            return
        try:
            self.client.log_inputs(run_id, inputs)
        except Exception as error:
            if not is_refusal(error, own=self.own):
                raise
            self._tolerant(run_id, self.client.log_inputs, inputs)  # another process may just have made the data sets

    def model_metrics(self, run_id: str, model_id: str, rows: Iterable[tuple[Row, Mapping[str, str] | None]]) -> None:
        """Stores metric rows of a run as those of a model too, each with the data set that it was measured on."""
        from mlflow.entities import Metric

        found = []
        for (key, value, at, step), one in rows:
            of = {"dataset_name": one["name"], "dataset_digest": one["digest"]} if one and one["digest"] else {}
            found.append(Metric(key, number(value), milliseconds(at), step, model_id=model_id, **of))
        for start in range(0, len(found), ROWS_PER_BATCH):
            self._tolerant(run_id, self.client.log_batch, found[start : start + ROWS_PER_BATCH])

    def running(self, run_id: str) -> None:
        """Marks a run as RUNNING."""
        self._tolerant(run_id, self.client.update_run, status="RUNNING")

    def ended(self, run_id: str, status: str, *, at: float) -> None:
        """Marks a run as FINISHED, KILLED, FAILED or SCHEDULED (paused) at a time (unix seconds)."""
        self._tolerant(run_id, self.client.set_terminated, status, end_time=milliseconds(at))
        failpoints.hit("run_ended")

    def untag(self, run_id: str, key: str) -> None:
        """Deletes a tag of a run, if it has it."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.delete_tag(run_id, key)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def text(self, run_id: str, name: str, content: str) -> None:
        """Stores a text as an artifact, replacing one of the same name."""
        self._tolerant(run_id, self.client.log_text, content, name)

    def yaml(self, run_id: str, name: str, content: dict[str, Any]) -> None:
        """Stores a mapping as a YAML artifact."""
        self._tolerant(run_id, self.client.log_dict, content, name)

    def file(self, run_id: str, path: Path) -> None:
        """Stores a file as an artifact."""
        self._tolerant(run_id, self.client.log_artifact, str(path))

    def files(self, run_id: str, folder: Path) -> None:
        """Stores the files of a folder as artifacts."""
        self._tolerant(run_id, self.client.log_artifacts, str(folder))

    def artifacts(self, run_id: str) -> list[str]:
        """Returns the names of a run's artifacts that are in no folder; none if they cannot be listed."""
        try:
            return [found.path for found in self.client.list_artifacts(run_id) if not found.is_dir]
        except Exception as error:
            if not is_refusal(error, own=self.own):
                raise
            return []

    def _tolerant(self, run_id: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Makes a call; a refusal by the store is reported and skipped, other errors are raised."""
        try:
            call(run_id, *arguments, **options)
        except Exception as error:
            if not is_refusal(error, own=self.own and not self._is_elsewhere(error)):
                raise
            self._skip(run_id, call.__name__, error, lambda: None)

    def _is_elsewhere(self, error: Exception) -> bool:
        """Whether the error is about a file outside the home, in an artifact folder that somebody chose."""
        place = error.filename if isinstance(error, OSError) else None
        return isinstance(place, str) and not Path(place).is_relative_to(self.home)


def run_ids(home: Path, study: str) -> dict[int, str]:
    """Returns trial number -> MLflow run id for the trials shipped so far, without importing MLflow."""
    runs = read_state(state_file(home / study, "mlflow"))["state"].get("runs", {})
    return {int(trial): run_id for trial, run_id in runs.items()}


def layout(home: Path, study: str) -> int | None:
    """Returns the number of the layout in which a study was written; None: an older one, or not written yet."""
    found = read_state(state_file(home / study, "mlflow"))["state"].get("layout")
    return found if isinstance(found, int) else None


def experiment_id(home: Path, study: str) -> str | None:
    """Returns the id of a study's experiment, without importing MLflow; None if MLflow does not have the study yet."""
    found = read_state(state_file(home / study, "mlflow"))["state"].get("experiment")
    return None if found is None else str(found)
