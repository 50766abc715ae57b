"""The parent run of a study: its space, its state, its best value, its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hpsearch.journal import Entry
from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.output.digits import digits
from hpsearch.results.evidence.pruning_audit import audit_of
from hpsearch.views.follower import PICTURES_DUE, REPORT_DUE, Say
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.rows import describe_range, provenance, source
from hpsearch.views.mlflow.runs import Handler, Runs

SHIPPED = "hpsearch.shipped"  # tag of the study's run: bytes of the journal that the store has
METRIC_NAME = re.compile(r"[^\w\-. ]")  # what a metric's name may not contain
LAYOUT = 2  # of what is written; a study written by another layout is written again, into the same runs
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
            "baselines_measured": self._baselines_measured,
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
        seed, data = event.get("experiment", {}).get("seed"), event.get("data", {})
        shared = {**identity, **source(environment), "seed": "" if seed is None else str(seed)}
        tags = {**shared, "objective": objective["metric"], "direction": objective["direction"]}
        tags |= provenance(environment, data, seed)
        parent = store.run(experiment, name=event["study"], tags=tags, identity=identity, began=event["time"])
        self._runs.state |= {"experiment": experiment, "parent": parent, "tags": shared, "layout": LAYOUT}
        self.tags()
        store.inputs(parent, self._runs.datasets())
        ranges = {f"space.{name}": describe_range(r) for name, r in unfolded_space(event.get("space", {})).items()}
        store.log(parent, tags=ranges | ({"priors": event["priors"]} if event.get("priors") else {}))
        store.text(parent, "space.yaml", event.get("source", ""))

    def _started(self, event: Entry) -> None:
        tags = {"device": event.get("device"), "workers": event.get("workers"), "host": event.get("host")}
        self._runs.store.log(self._runs.parent, tags={**tags, "outcome": "running"})
        self._runs.store.running(self._runs.parent)

    def _stopped(self, event: Entry) -> None:
        self._runs.state[PICTURES_DUE] = True
        self._runs.store.log(self._runs.parent, tags={"outcome": event["reason"], **self._leader(), **self._audited()})
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
        tags: dict[str, Any] = {"best_trial": best.number, "best_value": best.value, "best_outcome": best.outcome}
        default = self._runs.history.default()
        value = None if default is None else self._runs.history.best_place(default.number)
        if default is not None and value is not None:
            tags |= {"default_trial": default.number, "default_value": value.value}
        run_id = self._runs.state["runs"].get(str(best.number))  # missing while the history is ahead of the store
        return tags | ({"best_run": run_id} if run_id else {}) | self._confirmed()

    def _confirmed(self) -> dict[str, Any]:
        """Tags that say what the repeats came to; none without repeats of the best trial."""
        found = self._runs.history.confirmation
        if found is None:
            return {}
        tags: dict[str, Any] = {"confirmed_mean": found.winner.mean, "confirmed_seeds": len(found.winner.values)}
        tags |= {"confirmed_margin": found.margin(found.winner), "seed_sigma": found.sigma}
        tags |= {"seed_sigma_df": found.freedom, "optimism": found.optimism, "tied_trials": listed(found.tied)}
        return {name: value for name, value in tags.items() if value not in (None, "")}

    def _audited(self) -> dict[str, Any]:
        """Tags that say what the audits came to; none without audits."""
        found = audit_of(self._runs.history)
        if found is None:
            return {}
        low, high = found.interval
        tags = {"audited": len(found.audited), "audited_of": found.stopped, "audited_better": found.better}
        return tags | {"audited_better_95": f"{low:.3g} to {high:.3g}", "audited_saved_seconds": found.saved}

    def _trial_finished(self, event: Entry) -> None:
        """Adds the best value so far to a curve over the number of trials that ended."""
        history = self._runs.history
        if event["trial"] not in history.trials:
            return  # a repeat
        trial: TrialHistory = history.trials[event["trial"]]
        ended = history.finished[: history.finished.index(trial.number) + 1]
        best = history.best(among=ended)
        if best is not None:
            row = (f"best/{history.metric}", self._runs.single(best.value), event["time"], len(ended))
            pending = self._runs.pending(self._runs.parent)
            pending.rows.append(row)
            pending.tags["best_trial"] = best.number

    def _baselines_measured(self, event: Entry) -> None:
        """Adds a tag for each baseline, and its metrics under `baseline/NAME/`, with one row each."""
        pending = self._runs.pending(self._runs.parent)
        for baseline in event["baselines"]:
            name, metrics = METRIC_NAME.sub("_", baseline["name"]), baseline["metrics"]
            pending.tags[f"baseline.{name}"] = ", ".join(f"{key} {digits(value)}" for key, value in metrics.items())
            rows = ((f"baseline/{name}/{key}", self._runs.single(value)) for key, value in metrics.items())
            pending.rows += [(*row, event["time"], 0) for row in rows]

    def draw(self) -> bool:
        """Draws the study's pictures and its report if they are due; returns whether they were."""
        state = self._runs.state
        if not state.get(PICTURES_DUE) and not state.get(REPORT_DUE):
            return False
        if state.get(PICTURES_DUE):
            self.delete_doubles()
            self._artifacts.study(self._runs.parent, self._runs.history)
            del state[PICTURES_DUE]
        self._artifacts.page(self._runs.parent, self._runs.history, self._folder)
        state.pop(REPORT_DUE, None)
        return True


def listed(trials: tuple[int, ...]) -> str:
    """The numbers of trials as a tag."""
    return ", ".join(map(str, trials))
