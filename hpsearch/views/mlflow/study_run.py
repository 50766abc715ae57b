"""The parent run of a study: its space, its state, its best value, its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.journal import Entry
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.views.follower import Say
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.rows import describe_range, provenance
from hpsearch.views.mlflow.runs import Handler, Runs

SHIPPED = "hpsearch.shipped"  # tag of the study's run: bytes of the journal that the store has
STATUS = {"finished": "FINISHED", "failed": "FAILED"}  # by the reason of the driver's end; interrupted: KILLED


class StudyRun:
    """Writes the study's own run."""

    def __init__(self, runs: Runs, artifacts: Artifacts, folder: Path, *, say: Say) -> None:
        self._runs, self._artifacts, self._folder, self._say = runs, artifacts, folder, say
        self.handlers: dict[str, Handler] = {
            "study_created": self._created,
            "driver_started": self._started,
            "driver_stopped": self._stopped,
            "trial_finished": self._trial_finished,
        }

    # ---------------------------------------------------------------------------------------------- its place in MLflow

    def tags(self) -> dict[str, str] | None:
        """The run's tags; a run that a person deleted is restored. None if the store has lost it."""
        store, parent = self._runs.store, self._runs.parent
        tags = store.tags(parent)
        if tags is None and store.restore(parent):
            self._say(f"MLflow: the run of study '{self._folder.name}' was deleted, and is restored")
            tags = store.tags(parent)
        return tags

    def offset(self) -> int | None:
        """The journal offset noted in the run; 0 without a run or a note, None if the store has lost the run."""
        if not self._runs.has_parent:
            return 0
        tags = self.tags()
        if tags is None:
            return None
        noted = tags.get(SHIPPED, "")
        return int(noted) if noted.isdecimal() else 0

    def note(self, offset: int) -> None:
        """Writes the journal offset that the store has reached; raises if the run is lost."""
        if self._runs.has_parent:
            self._runs.store.client.set_tag(self._runs.parent, SHIPPED, str(offset))

    def all_runs(self) -> dict[str, dict[str, str]]:
        """The ids and tags of all runs that the store has of this study; each should be in `state`."""
        if not self._runs.has_parent:
            return {}
        identity = {tag: self._runs.state["tags"][tag] for tag in ("hpsearch.study", "hpsearch.created")}
        return self._runs.store.found(self._runs.state["experiment"], identity)

    def delete_doubles(self) -> None:
        """Deletes runs that a slow server made after the request had timed out and was sent again.

        It deletes nothing else: a trial missing in `state` may be of later events, or of a copy of the study elsewhere.
        """
        state = self._runs.state
        doubles_possible = self._runs.has_parent and not self._runs.store.own
        known = {**state["runs"], "": self._runs.parent} if doubles_possible else {}
        for run_id, tags in self.all_runs().items() if known else ():
            if known.get(tags.get("hpsearch.trial", ""), run_id) != run_id:
                self._runs.store.delete(run_id)

    # ----------------------------------------------------------------------------------------------------------- events

    def _created(self, event: Entry) -> None:
        store, environment, objective = self._runs.store, event.get("environment", {}), event["objective"]
        experiment = store.experiment(event["study"])
        identity = {
            "hpsearch.kind": "study",
            "hpsearch.study": event["study"],
            "hpsearch.created": f"{event['time']:.3f}",
        }
        tags = {**identity, "objective": objective["metric"], "direction": objective["direction"]}
        tags |= provenance(environment, event.get("data", {}), event.get("experiment", {}).get("seed"))
        parent = store.run(experiment, name=event["study"], tags=tags, identity=identity, began=event["time"])
        self._runs.state |= {"experiment": experiment, "parent": parent, "tags": tags}
        self.tags()
        store.log(parent, tags={f"space.{name}": describe_range(r) for name, r in event.get("space", {}).items()})
        store.text(parent, "space.yaml", event.get("source", ""))

    def _started(self, event: Entry) -> None:
        tags = {"device": event.get("device"), "workers": event.get("workers"), "host": event.get("host")}
        self._runs.store.log(self._runs.parent, tags={**tags, "outcome": "running"})
        self._runs.store.running(self._runs.parent)

    def _stopped(self, event: Entry) -> None:
        self._runs.state["pictures_due"] = True
        self._runs.store.log(self._runs.parent, tags={"outcome": event["reason"], **self._leader()})
        self._end(STATUS.get(event["reason"], "KILLED"), at=event["time"])

    def abandoned(self) -> None:
        """Ends the run of a study whose driver is gone without having said so."""
        if self._runs.has_parent and self._runs.history.stopped is None:
            self._runs.store.log(self._runs.parent, tags={"outcome": "interrupted"})
            self._end("KILLED", at=self._runs.history.last)

    def _end(self, status: str, *, at: float) -> None:
        self._runs.store.ended(self._runs.parent, status, at=max(at, self._runs.history.created))

    def _leader(self) -> dict[str, Any]:
        """Tags that name the best trial so far, whether it has ended or not."""
        best = self._runs.history.leader()
        if best is None:
            return {}
        tags = {"best_trial": best.number, "best_value": best.value, "best_outcome": best.outcome}
        run_id = self._runs.state["runs"].get(str(best.number))  # missing while the history is ahead of the store
        return tags | ({"best_run": run_id} if run_id else {})

    def _trial_finished(self, event: Entry) -> None:
        """Adds the best value so far to a curve over the number of trials that ended."""
        history = self._runs.history
        trial: TrialHistory = history.trials[event["trial"]]
        ended = history.finished[: history.finished.index(trial.number) + 1]
        best = history.best(among=ended)
        if best is not None:
            row = (f"best/{history.metric}", number(best.value), event["time"], len(ended))
            pending = self._runs.pending(self._runs.parent)
            pending.rows.append(row)
            pending.tags["best_trial"] = best.number

    def draw(self) -> bool:
        """Draws the study's pictures if they are due; returns whether they were."""
        if not self._runs.state.get("pictures_due"):
            return False
        self.delete_doubles()
        self._artifacts.study(self._runs.parent, self._runs.history)
        del self._runs.state["pictures_due"]
        return True
