"""The final training as an MLflow run. The next one, or `hpsearch sync`, ends the run of a killed process."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.output.digits import digits
from hpsearch.system import process
from hpsearch.views.follower import Say, describe
from hpsearch.views.mlflow.datasets import dataset_inputs
from hpsearch.views.mlflow.descriptions import NOTE, escaped
from hpsearch.views.mlflow.final_model import Exported, FinalModel
from hpsearch.views.mlflow.registry import Registered, Registration
from hpsearch.views.mlflow.rows import Row, rows_of, text
from hpsearch.views.mlflow.served_model import ServedModel
from hpsearch.views.mlflow.store import Store

MOST_TESTED = 12  # values in the description
PROCESS = "hpsearch.process"  # tag: who writes the run
RESULTS = (
    "final.json",
    "metrics.json",
    "optimism.json",
    "samples.json",
    "signatures.json",
)  # files that are artifacts of the run
ModelOf = tuple[Path, ServedModel | None, Registration | None]  # folder, how it is served, how it is registered
SLOWEST = 1e6  # bytes a second of an upload that `finish` waits for


class FinalRun:
    """The final training as a run named `final` in the study's experiment; MLflow's errors never reach the training.

    Methods return at once: a thread executes the calls in order. `finish` retries failed calls once.
    """

    def __init__(self, home: Path, tracking: str | None, study: str, *, say: Say = lambda message: None) -> None:
        self._store, self._study, self._say = Store(home.resolve(), tracking, say=say), study, say
        self._model = FinalModel(self._store, say=say)
        self._inputs: list[dict[str, str]] = []  # the data sets
        self._params: dict[str, Any] = {}
        self._tags: dict[str, Any] = {}  # of the model
        self._rows: dict[str, list[Row]] = {}  # of the evaluations, by metric
        self.fault = ""  # of the latest call that failed
        self.run_id: str | None = None  # set once MLflow has created the run
        self._calls: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue()
        self._failed: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._of_trial: str | None = None  # the run of the trial that is trained again
        self._trial: int | None = None
        self._curves: set[str] = set()  # metrics of the evaluations, which include the best one
        self._thread = threading.Thread(target=self._work, name="mlflow-final", daemon=True)
        self._thread.start()

    def start(
        self,
        config: dict[str, Any],
        provenance: dict[str, Any],
        tags: dict[str, Any] | None = None,
        *,
        name: str = "final",
        began: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Creates the run: settings as params, the config and its provenance as artifacts, the data sets as inputs.

        began: the unix time of the training's first call, if this one resumes it: the run of that time continues.
        data: the facts about the data that a trainer's `prepare` returns.
        """
        at = time.time() if began is None else began
        self._calls.put((self._start, (config, provenance, tags or {}, name, data or {}, at)))

    def evaluation(self, evaluation: Evaluation) -> None:
        """Adds an evaluation to the run's curves."""
        self._calls.put((self._evaluation, (evaluation, evaluation.time or time.time())))

    def finish(
        self,
        metrics: dict[str, float],
        folder: Path | None = None,
        *,
        served: ServedModel | None = None,
        registration: Registration | None = None,
        status: str = "FINISHED",
        ended: float | None = None,
        timeout: float = 60,
    ) -> None:
        """Adds final metrics (test scores) and the model in a folder, ends the run.

        served: how the model answers requests; None: in a way that hpsearch does not know. registration: how the model
        is registered; None: it is logged alone. ended: the unix time of the end (default: now). Waits at most `timeout`
        seconds, and longer for a large model.
        """
        model = None if folder is None else (folder, served, registration)
        self._calls.put((self._finish, (metrics, model, status, time.time() if ended is None else ended)))
        self._calls.put(None)
        self._thread.join(timeout + (size_of(folder) / SLOWEST if folder is not None else 0))
        if self._thread.is_alive() or self._failed:
            self._say("MLflow lacks part of the final training's log; the model is complete")

    @property
    def registered(self) -> Registered | None:
        """The version in the registry that `finish` has made; None without one."""
        return self._model.registered

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._try(call)
        again, self._failed = self._failed, []
        for call in again:
            self._try(call)

    def _try(self, call: tuple[Callable[..., None], tuple[Any, ...]]) -> None:
        if self._failed:
            self._failed.append(call)  # keeps the order for the retry
            return
        try:
            call[0](*call[1])
        except Exception as error:
            self.fault = describe(error)
            self._say(f"the final training cannot be logged to MLflow; training continues ({describe(error)})")
            self._failed.append(call)

    def _start(
        self,
        config: dict[str, Any],
        provenance: dict[str, Any],
        tags: dict[str, Any],
        name: str,
        data: Mapping[str, Any],
        at: float,
    ) -> None:
        self._store.prepare()
        experiment = self._store.experiment(self._study)
        end_killed(self._store, experiment)
        self._trial = provenance.get("trial")
        self._of_trial = provenance.get("mlflow_run_id") or self._run_of_trial(experiment)
        self._tags = {"hpsearch.study": self._study, **({} if self._trial is None else {"hpsearch.trial": self._trial})}
        self._tags |= tags
        names = {"hpsearch.kind": "final", "hpsearch.study": self._study, "hpsearch.started": f"{at:.3f}", **tags}
        names[PROCESS] = process.mark(os.getpid())
        self.run_id = self._store.run(
            experiment,
            name=name,
            tags={k: text(v) for k, v in names.items()},
            began=at,
            identity=("hpsearch.kind", "hpsearch.started"),
        )
        self._store.running(self.run_id)  # one that was stopped or killed continues
        self._params, self._inputs = params_of(config), dataset_inputs(data, config.get("data"))
        self._store.log(self.run_id, params=self._params, tags={PROCESS: names[PROCESS]})
        self._store.inputs(self.run_id, self._inputs)
        self._store.yaml(self.run_id, "config.yaml", config)
        named = {**provenance, "mlflow_run_id": self._of_trial} if self._of_trial else provenance
        self._store.text(self.run_id, "provenance.json", json.dumps(named, indent=2, ensure_ascii=False))

    def _run_of_trial(self, experiment: str) -> str | None:
        """The run of the trial, of a config that was exported while MLflow lacked it; None unless there is one."""
        wanted = {"hpsearch.kind": "trial", "hpsearch.study": self._study, "hpsearch.trial": str(self._trial)}
        found = [] if self._trial is None else list(self._store.found(experiment, wanted))
        return found[0] if len(found) == 1 else None

    def _evaluation(self, evaluation: Evaluation, at: float) -> None:
        rows = rows_of(evaluation, at)
        self._store.log(self._made(), rows=rows)
        self._tokens = evaluation.tokens
        self._curves |= evaluation.metrics.keys()
        for row in rows:
            self._rows.setdefault(row[0], []).append(row)

    def _finish(self, metrics: dict[str, float], model: ModelOf | None, status: str, at: float) -> None:
        run_id = self._made()
        said = self._described(metrics, status)
        step = getattr(self, "_tokens", 0)
        rows = [(name, value, at, step) for name, value in metrics.items() if name not in self._curves]
        self._store.log(run_id, rows=rows, tags={NOTE: said})
        if model is not None:
            self._log_model(*model, [*rows, *self._best_rows(metrics)], said)
        self._store.ended(run_id, status, at=at)

    def _best_rows(self, metrics: Mapping[str, float]) -> list[Row]:
        """The rows of the best evaluation: for each final metric of the curves, the last one with its value."""
        found = ([row for row in self._rows.get(name, ()) if row[1] == value] for name, value in metrics.items())
        return [rows[-1] for rows in found if rows]

    def _log_model(
        self,
        folder: Path,
        served: ServedModel | None,
        registration: Registration | None,
        rows: list[Row],
        said: str,
    ) -> None:
        run_id = self._made()
        tags = {**self._tags, "hpsearch.folder": folder.resolve()}
        exported = Exported(folder.resolve(), served, self._params, tags, said)
        for name in RESULTS:
            if (folder / name).is_file():
                self._store.file(run_id, folder / name)
        self._model.log(run_id, exported, also=self._of_trial)
        self._model.measured(run_id, rows, self._inputs)
        self._model.register(exported, registration)

    def _described(self, metrics: dict[str, float], status: str) -> str:
        """How the training ended, in a sentence."""
        of = "" if self._trial is None else f" of trial {self._trial}'s config"
        how = {"FINISHED": "trained to its end, tested once", "KILLED": "stopped"}.get(status, "failed")
        tested = [f"{escaped(name)} {digits(value)}" for name, value in metrics.items() if name.startswith("test/")]
        return f"The final training{of}: {how}. {', '.join(tested[:MOST_TESTED])}".rstrip(" ,")

    def _made(self) -> str:
        if self.run_id is None:
            raise ConnectionError("the run is not created yet")
        return self.run_id


def size_of(folder: Path) -> int:
    """The bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def params_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the seed and the values of flat sections, by key, or by section.key if two sections have the key."""
    sections = {name: one for name, one in config.items() if isinstance(one, Mapping) and name != "objective"}
    found = [
        (name, key, value)
        for name, section in sections.items()
        if not any(isinstance(value, Mapping) for value in section.values())
        for key, value in section.items()
        if value is not None
    ]
    count = Counter(key for _, key, _ in found)
    values = {f"{name}.{key}" if count[key] > 1 else key: value for name, key, value in found}
    return values | ({"seed": config["seed"]} if "seed" in config else {})


def end_killed(store: Store, experiment: str) -> None:
    """Ends the runs of final trainings whose process was killed, at the time of their last evaluation."""
    for run_id in store.found(experiment, {"hpsearch.kind": "final"}):
        run = store.client.get_run(run_id)
        if run.info.status == "RUNNING" and process.is_gone(run.data.tags.get(PROCESS, "")):
            times = [run.info.start_time, *(at for _, _, at, _ in store.rows(run_id, ["progress"]))]
            store.ended(run_id, "KILLED", at=max(times) / 1000)
