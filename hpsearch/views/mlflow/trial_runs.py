"""The child runs of a study, one per trial: config, params, curves, outcome."""

from __future__ import annotations

from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal import Entry
from hpsearch.journal.trial_history import number
from hpsearch.outcome import Outcome
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.rows import best_rows, rows_of
from hpsearch.views.mlflow.runs import Handler, Runs


class TrialRuns:
    """Writes the runs of the trials."""

    def __init__(self, runs: Runs, artifacts: Artifacts) -> None:
        self._runs, self._artifacts = runs, artifacts
        self.handlers: dict[str, Handler] = {
            "driver_started": self.interrupt_running,
            "driver_stopped": self.interrupt_running,
            "trial_asked": self._asked,
            "trial_started": self._started,
            "evaluation": self._evaluated,
            "trial_interrupted": self._interrupted,
            "trial_paused": self._paused,
            "trial_resumed": self._resumed,
            "trial_finished": self._finished,
        }

    def run_id(self, trial: int) -> str:
        """The id of a trial's run; made here if the journal line that asked for the trial is damaged."""
        if str(trial) not in self._runs.state["runs"]:
            self._asked({"trial": trial, "time": self._runs.history.trials[trial].asked})
        return str(self._runs.state["runs"][str(trial)])

    def interrupt_running(self, event: Entry) -> list[int]:
        """Marks the running trials as interrupted: workers die with their driver. Returns these trials."""
        trials = list(self._runs.state["running"])
        for trial in trials:
            self._interrupted({**event, "trial": trial, "time": self._runs.history.trials[trial].last})
        return trials

    # ----------------------------------------------------------------------------------------------------------- events

    def _asked(self, event: Entry) -> None:
        trial, state = event["trial"], self._runs.state
        tags = {
            **{key: value for key, value in state["tags"].items() if key not in ("objective", "direction")},
            "hpsearch.kind": "trial",
            "hpsearch.trial": str(trial),
            "mlflow.parentRunId": self._runs.parent,
            "outcome": "running",
        }
        tags["seed"] = str(event.get("config", {}).get("seed", state["tags"].get("seed", "")))
        run_id = self._runs.store.run(
            state["experiment"],
            name=f"trial-{trial:04d}",
            tags=tags,
            began=event["time"],
            identity=("hpsearch.study", "hpsearch.created", "hpsearch.trial"),
        )
        state["runs"][str(trial)] = run_id
        self._mark_running(trial)
        self._describe(run_id, event)

    def _describe(self, run_id: str, event: Entry) -> None:
        pending = self._runs.pending(run_id)
        pending.tags["mlflow.parentRunId"] = self._runs.parent  # a new one, if the former was lost
        pending.params |= event.get("params") or {}
        if "config" in event:
            self._runs.store.yaml(run_id, "config.yaml", event["config"])

    def _started(self, event: Entry) -> None:
        known = str(event["trial"]) in self._runs.state["runs"]
        run_id = self.run_id(event["trial"])
        if not known:  # the line that asked for the trial is damaged; this one has the same facts
            self._describe(run_id, event)
        tags = {"attempt": event.get("attempt", 1), "device": event.get("device"), "worker": event.get("worker")}
        self._runs.pending(run_id).tags |= {**tags, "outcome": "running"}
        if event.get("attempt", 1) > 1:  # a new run is RUNNING from its creation
            self._runs.store.running(run_id)
        self._mark_running(event["trial"])

    def _mark_running(self, trial: int) -> None:
        self._runs.state["running"] = sorted({*self._runs.state["running"], trial})

    def _evaluated(self, event: Entry) -> None:
        evaluation, trial, history = Evaluation.from_dict(event["evaluation"]), event["trial"], self._runs.history
        stored = history.trials[trial].evaluations[evaluation.index]
        if stored.time != event["time"]:
            return  # measured again after a resume: each (metric, step) keeps its first value
        pending = self._runs.pending(self.run_id(trial))
        pending.rows += rows_of(evaluation, event["time"])
        if evaluation.precision:
            pending.tags["precision"] = evaluation.precision
        if history.best_evaluation(trial, until=evaluation.index) is stored:
            value = number(evaluation.metrics[history.metric])
            pending.rows.append((f"best/{history.metric}", value, event["time"], int(evaluation.tokens)))

    def _interrupted(self, event: Entry) -> None:
        self._end(event, Outcome.INTERRUPTED.mlflow_status, {"outcome": Outcome.INTERRUPTED})

    def _paused(self, event: Entry) -> None:
        tags = {"outcome": Outcome.PAUSED, "reason": event.get("reason")}
        self._end(event, Outcome.PAUSED.mlflow_status, tags)

    def _resumed(self, event: Entry) -> None:
        run_id = self.run_id(event["trial"])
        self._runs.pending(run_id).tags |= {"outcome": Outcome.RUNNING, "reason": ""}
        self._runs.store.running(run_id)
        self._mark_running(event["trial"])

    def _finished(self, event: Entry) -> None:
        history = self._runs.history
        trial = history.trials[event["trial"]]
        run_id = self.run_id(trial.number)
        signatures = {f"signature.{name}": text for name, text in (event.get("signatures") or {}).items()}
        self._artifacts.curves(run_id, history, trial.number)
        trial.training.clear()  # drawn: a study of a thousand trials need not keep them in memory
        best = history.best_evaluation(trial.number)
        if best is not None:
            self._runs.pending(run_id).rows += best_rows(best, history.metric, event["time"])
        tags = {"outcome": event["outcome"], "reason": event.get("reason"), **signatures}
        self._end(event, Outcome.of(event["outcome"]).mlflow_status, tags)

    def _end(self, event: Entry, status: str, tags: dict[str, Any]) -> None:
        run_id = self.run_id(event["trial"])
        self._runs.pending(run_id).tags |= tags
        self._runs.flush(run_id)
        asked = self._runs.history.trials[event["trial"]].asked
        self._runs.store.ended(run_id, status, at=max(event["time"], asked))
        self._runs.state["running"] = [trial for trial in self._runs.state["running"] if trial != event["trial"]]
