"""The model of a final training in MLflow: a logged model with its metrics, and a version in the registry."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.views.follower import Say, describe
from hpsearch.views.mlflow import registry
from hpsearch.views.mlflow.datasets import of_metric
from hpsearch.views.mlflow.descriptions import NOTE
from hpsearch.views.mlflow.packaged import package
from hpsearch.views.mlflow.registry import Registered, Registration
from hpsearch.views.mlflow.rows import PARAM_LENGTH, Row, text
from hpsearch.views.mlflow.served_model import ServedModel
from hpsearch.views.mlflow.store import Store
from hpsearch.views.refusals import is_refusal

NAME = "model"  # of the logged model
OF_TRAINING = {  # files that say how a training went
    "final.json",
    "hpsearch.json",
    "metrics.json",
    "optimism.json",
    "README.md",
    "run.json",
    "samples.json",
    "signatures.json",
}


def has_files(folder: Path) -> bool:
    """Whether a model directory has anything beside what hpsearch says of a training."""
    return any(path.is_dir() or path.name not in OF_TRAINING for path in folder.iterdir())


@dataclass(frozen=True)
class Exported:
    """A model directory, and what is said of it."""

    folder: Path
    served: ServedModel | None  # None: hpsearch does not know how to ask it
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def has_files(self) -> bool:
        """Whether the directory has anything beside what hpsearch says of a training."""
        return has_files(self.folder)


class FinalModel:
    """Logs a model and registers it. After an error each call may be repeated: it resumes where it failed."""

    def __init__(self, store: Store, *, say: Say = lambda line: None) -> None:
        self._store, self._say = store, say
        self.registered: Registered | None = None
        self._model: Any = None  # MLflow's LoggedModel
        self._is_uploaded = self._refused = False

    def log(self, run_id: str, exported: Exported, *, also: str | None = None) -> None:
        """Logs the model with its files as the run's output; `also`: another run whose output it is.

        If the store refuses logged models, the files become artifacts of the run.
        """
        try:
            self._log(run_id, exported, also)
        except Exception as error:
            if not is_refusal(error, own=self._store.own):
                raise
            self._refused = True
            self._say(f"MLflow refuses the logged model ({describe(error)}); its files become artifacts of the run")
            self._store.files(run_id, exported.folder)

    def measured(self, run_id: str, rows: Iterable[Row], inputs: Collection[Mapping[str, str]]) -> None:
        """Ties metric rows of the run to the model, and each to the data set that it was measured on."""
        if not self._refused:
            self._store.model_metrics(run_id, self._model.model_id, [(row, of_metric(row[0], inputs)) for row in rows])

    def register(self, exported: Exported, registration: Registration | None) -> None:
        """Registers the model, if that is wanted; a refusal is said."""
        if registration is None or self._refused:
            return
        if not exported.has_files:
            self._say(f"nothing is registered as {registration.name}: the training has written no file of a model")
            return
        try:
            self.registered = registry.register(
                self._store.client,
                registration,
                self._model,
                tags=exported.tags,
                description=exported.description,
            )
        except Exception as error:
            if not is_refusal(error, own=self._store.own):
                raise
            self._say(f"MLflow refuses to register the model as {registration.name} ({describe(error)})")
        else:
            if exported.served is None:
                self._say(f"{self.registered} can be loaded as files alone: hpsearch cannot load it to answer requests")

    # ------------------------------------------------------------------------------------------------------------ steps

    def _log(self, run_id: str, exported: Exported, also: str | None) -> None:
        if self._model is None:
            self._model = self._found(run_id) or self._created(run_id, exported)
            self._is_uploaded = str(self._model.status) == "READY"
        if not self._is_uploaded:
            self._upload(run_id, exported)
            self._is_uploaded = True
        self._link(run_id)
        if also is not None and self._store.tags(also) is not None:
            self._link(also)

    def _link(self, run_id: str) -> None:
        """Notes the model as the output of a run, once."""
        from mlflow.entities import LoggedModelOutput

        model_id, outputs = self._model.model_id, self._store.client.get_run(run_id).outputs
        if outputs is None or model_id not in [one.model_id for one in outputs.model_outputs]:
            self._store.client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])

    def _found(self, run_id: str) -> Any | None:
        """The model that a call before this one has made for the run, if any: its answer was lost, or it was killed."""
        client = self._store.client
        experiment = client.get_run(run_id).info.experiment_id
        found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
        return next(iter(found), None)

    def _created(self, run_id: str, exported: Exported) -> Any:
        return self._store.client.create_logged_model(
            self._store.client.get_run(run_id).info.experiment_id,
            name=NAME,
            source_run_id=run_id,
            params={key: text(value, PARAM_LENGTH) for key, value in exported.params.items()},
            tags={key: text(value) for key, value in {**exported.tags, NOTE: exported.description}.items()},
        )

    def _upload(self, run_id: str, exported: Exported) -> None:
        model_id, client = self._model.model_id, self._store.client
        place = {"model_id": model_id, "run_id": run_id, "artifact_path": self._model.artifact_location}
        about = {**place, "metadata": {key: text(value) for key, value in exported.tags.items()}}
        try:
            with tempfile.TemporaryDirectory(prefix="hpsearch-") as into:
                package(exported.folder, Path(into), exported.served, about=about)
                client.log_model_artifacts(model_id, into)
            client.finalize_logged_model(model_id, "READY")
        except Exception:
            with contextlib.suppress(Exception):  # it says FAILED until a later try succeeds
                client.finalize_logged_model(model_id, "FAILED")
            raise
