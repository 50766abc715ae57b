"""The child runs of a study, one per trial: config, params, curves, outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.contract import ARTIFACTS, Evaluation
from hpsearch.journal import Entry
from hpsearch.journal.horizons import shown
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.datasets import SEARCHED
from hpsearch.views.mlflow.descriptions import NOTE, of_trial
from hpsearch.views.mlflow.rows import best_rows, rows_of, text
from hpsearch.views.mlflow.runs import Handler, Runs

GROUP, AUDIT = "confirmation", "audit"  # tags of the runs of repeats, and of audits


class TrialRuns:
    """Writes the runs of the trials."""

    def __init__(self, runs: Runs, artifacts: Artifacts, folder: Path) -> None:
        self._runs, self._artifacts, self._folder = runs, artifacts, folder
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
            self._asked({"trial": trial, "time": self._runs.history.trial(trial).asked})
        return str(self._runs.state["runs"][str(trial)])

    def interrupt_running(self, event: Entry) -> list[int]:
        """Marks the running trials as interrupted: workers die with their driver. Returns these trials."""
        trials = list(self._runs.state["running"])
        for trial in trials:
            self._interrupted({**event, "trial": trial, "time": self._runs.history.trial(trial).last})
        return trials

    # ----------------------------------------------------------------------------------------------------------- events

    def _asked(self, event: Entry) -> None:
        trial, state = event["trial"], self._runs.state
        known = self._runs.history.trial(trial)
        tags = {
            "outcome": "running",
            **state["tags"],
            "hpsearch.trial": str(trial),
            **_kind(known),
            "mlflow.parentRunId": self._runs.parent,
        }
        if event.get("label"):
            tags["label"] = event["label"]
        if known.horizon < 1:
            tags["horizon"] = shown(known.horizon)
        tags["seed"] = str(event.get("config", {}).get("seed", state["tags"].get("seed", "")))
        run_id = self._runs.store.run(
            state["experiment"],
            name=run_name(known),
            tags=tags,
            began=event["time"],
            identity=("hpsearch.study", "hpsearch.created", "hpsearch.trial"),
        )
        state["runs"][str(trial)] = run_id
        self._runs.store.inputs(run_id, self._runs.datasets(SEARCHED))
        self._mark_running(trial)
        self._describe(run_id, event)

    def _describe(self, run_id: str, event: Entry) -> None:
        pending = self._runs.pending(run_id)
        pending.tags["mlflow.parentRunId"] = self._runs.parent  # a new one, if the former was lost
        pending.tags |= _kind(self._runs.history.trial(event["trial"]))  # of an older version's run, too
        pending.params |= self._runs.params(event.get("params") or {})
        if "config" in event:
            self._runs.store.yaml(run_id, "config.yaml", event["config"])

    def _started(self, event: Entry) -> None:
        known = str(event["trial"]) in self._runs.state["runs"]
        run_id = self.run_id(event["trial"])
        if not known:  # the line that asked for the trial is damaged; this one has the same facts
            self._describe(run_id, event)
        tags = {"attempt": event.get("attempt", 1), "device": event.get("device"), "outcome": "running"}
        self._runs.pending(run_id).tags |= tags
        if event.get("attempt", 1) > 1:  # a new run is RUNNING from its creation
            self._runs.store.running(run_id)
        self._mark_running(event["trial"])

    def _mark_running(self, trial: int) -> None:
        self._runs.state["running"] = sorted({*self._runs.state["running"], trial})

    def _evaluated(self, event: Entry) -> None:
        evaluation, trial, history = Evaluation.from_dict(event["evaluation"]), event["trial"], self._runs.history
        known = history.trial(trial).branches if evaluation.branch else history.trial(trial).evaluations
        stored = known[evaluation.index]
        if stored.time != event["time"]:
            return  # measured again after a resume: each (metric, step) keeps its first value
        pending = self._runs.pending(self.run_id(trial))
        pending.rows += rows_of(evaluation, event["time"])
        if evaluation.precision:
            pending.tags["precision"] = evaluation.precision
        if history.best_evaluation(trial, until=None if evaluation.branch else evaluation.index) is stored:
            value = self._runs.single(evaluation.metrics[history.metric])
            # MLflow shows the value of the highest step: a branch ends at fewer tokens than the curve has reached
            step = max(e.tokens for e in history.trial(trial).measured) if evaluation.branch else evaluation.tokens
            pending.rows.append((f"best/{history.metric}", value, event["time"], int(step)))

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
        trial = history.trial(event["trial"])
        run_id = self.run_id(trial.number)
        signatures = {f"signature.{name}": text for name, text in (event.get("signatures") or {}).items()}
        self._artifacts.curves(run_id, history, trial.number)
        self._artifacts.logged(run_id, self._folder / "checkpoints" / f"{trial.number:04d}" / ARTIFACTS)
        trial.training.clear()  # drawn: a study of a thousand trials need not keep them in memory
        best = history.best_evaluation(trial.number)
        if best is not None:
            self._runs.pending(run_id).rows += best_rows(best, history.metric, event["time"])
        tags = {"outcome": event["outcome"], "reason": event.get("reason"), **signatures}
        if trial.ending:
            tags["ending"] = trial.ending
        trained = trial.read_params  # MLflow's params, logged at the beginning, cannot change: the sampled ones
        tags |= {f"trained.{name}": text(trained[name]) for name in trial.replaced}
        self._end(event, Outcome.of(event["outcome"]).mlflow_status, tags)

    def _end(self, event: Entry, status: str, tags: dict[str, Any]) -> None:
        run_id, history = self.run_id(event["trial"]), self._runs.history
        note = of_trial(history, history.trial(event["trial"]), winner=self._runs.state.get("winner") == run_id)
        self._runs.pending(run_id).tags |= {**tags, NOTE: note}
        self._runs.flush(run_id)
        asked = self._runs.history.trial(event["trial"]).asked
        self._runs.store.ended(run_id, status, at=max(event["time"], asked))
        self._runs.state["running"] = [trial for trial in self._runs.state["running"] if trial != event["trial"]]


def run_name(trial: TrialHistory) -> str:
    """The name of a trial's run: trial-0003, trial-0003-repeat-1, trial-0003-audit."""
    if trial.confirms is None:
        return f"trial-{trial.number:04d}"
    if trial.audits:
        return f"trial-{trial.confirms:04d}-audit"
    return f"trial-{trial.confirms:04d}-repeat-{trial.repeat}"


def _kind(trial: TrialHistory) -> dict[str, str]:
    """The tags that tell trials of the search from repeats and audits, which the saved view leaves out."""
    if trial.confirms is None:
        return {"hpsearch.kind": "trial"}
    if trial.audits:
        return {"hpsearch.kind": "audit", "hpsearch.group": AUDIT, "hpsearch.audits": str(trial.confirms)}
    numbers = {"hpsearch.confirms": str(trial.confirms), "hpsearch.repeat": str(trial.repeat)}
    return {"hpsearch.kind": "repeat", "hpsearch.group": GROUP, **numbers}
