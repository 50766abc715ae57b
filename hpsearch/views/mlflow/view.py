"""A study in MLflow: an experiment, a parent run for the study, a child run per trial, as the journal tells it.

Every write can be repeated: runs are found again by their tags before one is made, metric rows carry the journal's time
stamps, artifacts replace those of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch import report
from hpsearch.contract import Evaluation
from hpsearch.journal import Entry, iterate
from hpsearch.journal.history import History, TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.views.follower import Say, describe
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.final_run import end_killed
from hpsearch.views.mlflow.rows import Row, best_rows, describe_range, provenance, rows_of
from hpsearch.views.mlflow.store import Store
from hpsearch.views.refusals import status_of

CREDENTIALS = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
NOTE = "hpsearch.shipped"  # tag of the study's run: bytes of the journal that the store has
STUDY_STATUS = {"finished": "FINISHED", "failed": "FAILED"}  # interrupted: KILLED


@dataclass
class Pending:
    """What is to be sent of a run yet."""

    rows: list[Row] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)


class MlflowView:
    """Writes one study's events to MLflow."""

    name = "mlflow"

    def __init__(self, study_folder: Path, store: Store, *, say: Say) -> None:
        self.state: dict[str, Any] = {}  # experiment, parent, runs {trial: run id}, running [trials], winner
        self._folder, self.store, self._artifacts = study_folder, store, Artifacts(store, say=say)
        self._say = say
        self._history = History()
        self._pending: dict[str, Pending] = {}  # by run id

    def prepare(self) -> None:
        """Connects; makes the database where there is none (seconds)."""
        self.store.prepare()

    def open(self, state: dict[str, Any]) -> int | None:
        """Goes on from `state`; gives the offset noted in the study's run, None when the store has lost that."""
        self.state = {"runs": {}, "running": [], **state}
        self._history, self._pending = History(), {}
        if "parent" not in state:
            return 0
        tags = self._parent_tags()
        if tags is None:
            return None
        self._history = History.of(iterate(self._folder / "journal.jsonl"))
        noted = tags.get(NOTE, "")
        return int(noted) if noted.isdecimal() else 0

    def _parent_tags(self) -> dict[str, str] | None:
        """The tags of the study's run, which is restored when somebody deleted it; None when it is gone for good."""
        tags = self.store.tags(self._parent)
        if tags is None and self.store.restore(self._parent):
            self._say(f"MLflow: the run of study '{self._folder.name}' was deleted, and is restored")
            tags = self.store.tags(self._parent)
        return tags

    def note(self, offset: int) -> None:
        """Writes into the study's run how far into the journal the store goes; raises when that run is lost."""
        if "parent" in self.state:
            self.store.client.set_tag(self._parent, NOTE, str(offset))

    def gone(self) -> bool:
        """Whether the database's file was deleted or replaced."""
        return self.store.gone()

    def ship(self, events: list[Entry]) -> None:
        """Stores the events; raises whatever MLflow raises, with nothing lost: they come again."""
        for event in events:
            self._history.add(event)
            handler: Callable[[Entry], None] | None = getattr(self, "_" + event["event"], None)
            if handler is not None:
                handler(event)
        for run_id in list(self._pending):
            self._flush(run_id)

    def caught_up(self) -> bool:
        """Draws the study as it stands; on the way through a backlog nobody would see the pictures in between."""
        if not self.state.get("pictures_due"):
            report.warm_up()  # while a search goes on: at its end a person waits
            return False
        self._delete_doubles()
        self._artifacts.study(self._parent, self._history)
        del self.state["pictures_due"]
        return True

    def abandon(self) -> list[int]:
        """Ends the runs of the study and of its trials that claim to be going on; gives the trials."""
        trials = list(self.state["running"])
        self._orphans_interrupted({"event": "abandoned"})
        if "parent" in self.state and self._history.stopped is None:
            self.store.log(self._parent, tags={"outcome": "interrupted"})
            self.store.ended(self._parent, "KILLED", at=max(self._history.last, self._history.created))
        self._delete_doubles()
        if "experiment" in self.state:
            end_killed(self.store, self.state["experiment"])
        return trials

    def describe(self, error: Exception) -> str:
        """The error in one line; where the server wants to know who asks, the variables that say so."""
        return describe(error) + (f"; {CREDENTIALS}" if status_of(error) == 401 else "")

    def close(self) -> None:
        """Lets go of the store."""
        self.store.close()

    # ------------------------------------------------------------------------------------------------------ the study

    def _study_created(self, event: Entry) -> None:
        environment, objective = event.get("environment", {}), event["objective"]
        experiment = self.store.experiment(event["study"])
        identity = {
            "hpsearch.kind": "study",
            "hpsearch.study": event["study"],
            "hpsearch.created": f"{event['time']:.3f}",
        }
        tags = {**identity, "objective": objective["metric"], "direction": objective["direction"]}
        tags |= provenance(environment, event.get("data", {}), event.get("experiment", {}).get("seed"))
        parent = self.store.run(experiment, name=event["study"], tags=tags, identity=identity, began=event["time"])
        self.state |= {"experiment": experiment, "parent": parent, "tags": tags}
        self._parent_tags()
        self.store.log(parent, tags={f"space.{name}": describe_range(r) for name, r in event.get("space", {}).items()})
        self.store.text(parent, "space.yaml", event.get("source", ""))

    def _driver_started(self, event: Entry) -> None:
        self._orphans_interrupted(event)
        tags = {"device": event.get("device"), "workers": event.get("workers"), "host": event.get("host")}
        self.store.log(self._parent, tags={**tags, "outcome": "running"})
        self.store.running(self._parent)

    def _driver_stopped(self, event: Entry) -> None:
        self._orphans_interrupted(event)
        self.state["pictures_due"] = True
        self.store.log(self._parent, tags={"outcome": event["reason"], **self._leader()})
        status = STUDY_STATUS.get(event["reason"], "KILLED")
        self.store.ended(self._parent, status, at=max(event["time"], self._history.created))

    def _leader(self) -> dict[str, Any]:
        """Tags that name the best trial of all that was measured, unfinished ones included."""
        best = self._history.leader()
        if best is None:
            return {}
        tags = {"best_trial": best.number, "best_value": best.value, "best_outcome": best.outcome}
        run_id = self.state["runs"].get(str(best.number))  # none yet, where the history is ahead of what is shipped
        return tags | ({"best_run": run_id} if run_id else {})

    def _orphans_interrupted(self, event: Entry) -> None:
        """No run may claim to go on when its driver does not: a worker dies with its driver."""
        for trial in list(self.state["running"]):
            self._trial_interrupted({**event, "trial": trial, "time": self._history.trials[trial].last})

    def runs(self) -> dict[str, dict[str, str]]:
        """All runs that the store has of this study and its trials, and their tags; each ought to be in `state`."""
        if "parent" not in self.state:
            return {}
        identity = {tag: self.state["tags"][tag] for tag in ("hpsearch.study", "hpsearch.created")}
        return self.store.found(self.state["experiment"], identity)

    def _delete_doubles(self) -> None:
        """Deletes runs that a slow server made after all, when the request had been given up and sent again.

        Nothing else: a trial that `state` does not know may be of what comes yet, or of a copy of the study elsewhere.
        """
        known = {} if self.store.own or "parent" not in self.state else {**self.state["runs"], "": self._parent}
        for run_id, tags in self.runs().items() if known else ():
            if known.get(tags.get("hpsearch.trial", ""), run_id) != run_id:
                self.store.delete(run_id)

    # ------------------------------------------------------------------------------------------------------ the trials

    def _trial_asked(self, event: Entry) -> None:
        trial, names = event["trial"], self.state["tags"]
        tags = {
            **{key: value for key, value in names.items() if key not in ("objective", "direction")},
            "hpsearch.kind": "trial",
            "hpsearch.trial": str(trial),
            "mlflow.parentRunId": self._parent,
            "outcome": "running",
        }
        tags["seed"] = str(event.get("config", {}).get("seed", names.get("seed", "")))
        run_id = self.store.run(
            self.state["experiment"],
            name=f"trial-{trial:04d}",
            tags=tags,
            began=event["time"],
            identity=("hpsearch.study", "hpsearch.created", "hpsearch.trial"),
        )
        self.state["runs"][str(trial)] = run_id
        self._goes_on(trial)
        self._describe(run_id, event)

    def _describe(self, run_id: str, event: Entry) -> None:
        self._of(run_id).tags["mlflow.parentRunId"] = self._parent  # another one, where the former is gone for good
        self._of(run_id).params |= event.get("params") or {}
        if "config" in event:
            self.store.yaml(run_id, "config.yaml", event["config"])

    def _trial_started(self, event: Entry) -> None:
        known = str(event["trial"]) in self.state["runs"]
        run_id = self._run(event["trial"])
        if not known:  # the line that asked for it is damaged; what it said stands here too
            self._describe(run_id, event)
        tags = {"attempt": event.get("attempt", 1), "device": event.get("device"), "worker": event.get("worker")}
        self._of(run_id).tags |= {**tags, "outcome": "running"}
        if event.get("attempt", 1) > 1:  # a new one is running since it was made
            self.store.running(run_id)
        self._goes_on(event["trial"])

    def _goes_on(self, trial: int) -> None:
        self.state["running"] = sorted({*self.state["running"], trial})

    def _evaluation(self, event: Entry) -> None:
        evaluation, trial = Evaluation.from_dict(event["evaluation"]), event["trial"]
        stored = self._history.trials[trial].evaluations[evaluation.index]
        if stored.time != event["time"]:
            return  # measured again after a resume: each (metric, step) stands once, as first measured
        rows = self._of(self._run(trial)).rows
        rows += rows_of(evaluation, event["time"])
        if evaluation.precision:
            self._of(self._run(trial)).tags["precision"] = evaluation.precision
        if self._history.best_evaluation(trial, until=evaluation.index) is stored:
            value = number(evaluation.metrics[self._history.metric])
            rows.append((f"best/{self._history.metric}", value, event["time"], int(evaluation.tokens)))

    def _trial_interrupted(self, event: Entry) -> None:
        self._ends(event, Outcome.INTERRUPTED.mlflow_status, {"outcome": Outcome.INTERRUPTED})

    def _trial_paused(self, event: Entry) -> None:
        tags = {"outcome": Outcome.PAUSED, "reason": event.get("reason")}
        self._ends(event, Outcome.PAUSED.mlflow_status, tags)

    def _trial_resumed(self, event: Entry) -> None:
        run_id = self._run(event["trial"])
        self._of(run_id).tags |= {"outcome": Outcome.RUNNING, "reason": ""}
        self.store.running(run_id)
        self._goes_on(event["trial"])

    def _trial_finished(self, event: Entry) -> None:
        trial = self._history.trials[event["trial"]]
        run_id = self._run(trial.number)
        signatures = {f"signature.{name}": text for name, text in (event.get("signatures") or {}).items()}
        self._artifacts.curves(run_id, self._history, trial.number)
        trial.training.clear()  # drawn; a study of a thousand trials need not keep them in memory
        best = self._history.best_evaluation(trial.number)
        if best is not None:
            self._of(run_id).rows += best_rows(best, self._history.metric, event["time"])
        tags = {"outcome": event["outcome"], "reason": event.get("reason"), **signatures}
        self._ends(event, Outcome.of(event["outcome"]).mlflow_status, tags)
        self._best_so_far(trial, event["time"])

    def _ends(self, event: Entry, status: str, tags: dict[str, Any]) -> None:
        run_id = self._run(event["trial"])
        self._of(run_id).tags |= tags
        self._flush(run_id)
        self.store.ended(run_id, status, at=max(event["time"], self._history.trials[event["trial"]].asked))
        self.state["running"] = [trial for trial in self.state["running"] if trial != event["trial"]]

    def _best_so_far(self, trial: TrialHistory, at: float) -> None:
        """The study's best value as a curve of the parent run over the number of trials that ended."""
        ended = self._history.finished[: self._history.finished.index(trial.number) + 1]
        best = self._history.best(among=ended)
        if best is not None:
            row = (f"best/{self._history.metric}", number(best.value), at, len(ended))
            self._of(self._parent).rows.append(row)
            self._of(self._parent).tags["best_trial"] = best.number

    # -------------------------------------------------------------------------------------------------- what they made

    def _study_exported(self, event: Entry) -> None:
        trial = event["trial"]
        winner, former = self._run(trial), self.state.get("winner")
        if former is not None and former != winner:
            self.store.untag(former, "hpsearch.winner")
        self.state["winner"] = winner
        value = event.get("value", self._history.trials[trial].value)
        outcome = event.get("outcome", self._history.trials[trial].outcome)
        self._of(winner).tags["hpsearch.winner"] = "true"
        tags = {"best_trial": trial, "best_run": winner, "best_value": value, "best_outcome": outcome}
        self._of(self._parent).tags |= tags
        if outcome == Outcome.UNFINISHED:
            self._unfinished_won(event)
        with suppress(OSError):
            exported = self._folder / Path(event["path"]).name  # the folder may have been moved since
            self.store.text(self._parent, "best.yaml", exported.read_text(encoding="utf-8"))
        samples = self._folder / "checkpoints" / f"{trial:04d}" / "samples.json"
        self._artifacts.samples(samples, (winner, self._parent))

    def _unfinished_won(self, event: Entry) -> None:
        """What the end of a trial says of its best evaluation, of one that has not ended, by the event alone."""
        trial, best, metric = event["trial"], event["best_evaluation"], self._history.metric
        evaluation = self._history.trials[trial].evaluations.get(best["index"])
        if evaluation is not None:
            self._of(self._run(trial)).rows += best_rows(evaluation, metric, event["time"])
        self._of(self._parent).rows.append((f"best/{metric}", number(event["value"]), event["time"], event["ended"]))

    # ---------------------------------------------------------------------------------------------------------- helpers

    @property
    def _parent(self) -> str:
        return str(self.state["parent"])

    def _run(self, trial: int) -> str:
        if str(trial) not in self.state["runs"]:  # its first line is damaged
            self._trial_asked({"trial": trial, "time": self._history.trials[trial].asked})
        return str(self.state["runs"][str(trial)])

    def _of(self, run_id: str) -> Pending:
        """What is to be sent of a run: all at once, for each request takes MLflow some 20 ms."""
        return self._pending.setdefault(run_id, Pending())

    def _flush(self, run_id: str) -> None:
        if pending := self._pending.pop(run_id, None):
            self.store.log(run_id, rows=pending.rows, params=pending.params, tags=pending.tags)
