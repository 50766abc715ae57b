"""A study in MLflow: an experiment with a parent run for the study and a child run per trial.

Every write can be repeated: a run is searched by its tags before it is made, metric rows carry the journal's time
stamps, and artifacts replace those of the same name.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from hpsearch.journal import Entry, iterate
from hpsearch.journal.history import History
from hpsearch.results import pictures
from hpsearch.views.follower import Say, describe
from hpsearch.views.mlflow import former
from hpsearch.views.mlflow.arrangement import Arrangement
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.final_run import end_killed
from hpsearch.views.mlflow.runs import Handler, Runs
from hpsearch.views.mlflow.store import Store
from hpsearch.views.mlflow.study_run import LAYOUT, StudyRun
from hpsearch.views.mlflow.trial_runs import TrialRuns
from hpsearch.views.mlflow.winner import Winner
from hpsearch.views.refusals import status_of

CREDENTIALS = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


class MlflowView:
    """Writes one study's events to MLflow."""

    name = "mlflow"

    def __init__(self, study_folder: Path, store: Store, *, say: Say) -> None:
        self.store, self._folder, self._runs = store, study_folder, Runs(store)
        artifacts = Artifacts(store, say=say)
        self._trials = TrialRuns(self._runs, artifacts, study_folder)
        self._study = StudyRun(self._runs, artifacts, study_folder, say=say)
        winner = Winner(self._runs, self._trials, artifacts, study_folder)
        exported: dict[str, Handler] = {"study_exported": winner.exported}
        self._arrangement = Arrangement(self._runs, option=home_option(study_folder.parent))
        self._handlers = (self._trials.handlers, self._study.handlers, exported, self._arrangement.handlers)

    @property
    def state(self) -> dict[str, Any]:
        """What is kept beside the journal's offset; see runs.py."""
        return self._runs.state

    def prepare(self) -> None:
        """Connects; makes the database if it is missing (seconds)."""
        self.store.prepare()

    def open(self, state: dict[str, Any]) -> int | None:
        """Continues from `state`; returns the offset noted in the study's run, None if the store has lost that run."""
        self._runs.restart(state)
        self._arrangement.refresh()
        offset = self._study.offset()
        if offset != state.get("noted"):
            self._arrangement.forget()
        if offset is not None and self._runs.has_parent:
            self._runs.history = History.of(iterate(self._folder / "journal.jsonl"))
            if self.state.get("layout") != LAYOUT:
                self._adopt()
                return 0
        return offset

    def _adopt(self) -> None:
        """Prepares runs that an older version wrote: the whole journal is shipped into them again."""
        if self.store.own:
            former.remove(self.store.home / "mlflow.db", self.state["runs"].values())

    def note(self, offset: int) -> None:
        """Writes the journal offset into the study's run; raises if that run is lost."""
        self._study.note(offset)
        self.state["noted"] = offset

    def gone(self) -> bool:
        """Whether the database's file was deleted or replaced."""
        return self.store.gone()

    def ship(self, events: list[Entry]) -> None:
        """Stores the events; raises what MLflow raises. The same events may be shipped again.

        The pages are arranged at the end of a search, before the export is written: a person may look at them now.
        """
        ends = [place for place, event in enumerate(events) if event["event"] == "driver_stopped"]
        for place, event in enumerate(events):
            self._runs.history.add(event)
            for handlers in self._handlers:
                if event["event"] in handlers:
                    handlers[event["event"]](event)
            if place in ends[-1:]:
                self._runs.flush_all()
                self._arrange()
        self._runs.flush_all()

    def caught_up(self) -> bool:
        """Arranges the pages, or draws the study's pictures, if that is due: not during a backlog, which nobody sees.

        The pages come first: they cost some requests, the pictures seconds. Then they also name the pictures' files.
        """
        if self._arrange():
            return True
        if self._study.draw():
            self._arrangement.refresh()
            return True
        pictures.warm_up(len(self._runs.history.trials))  # during the search: at its end a person waits
        return False

    def _arrange(self, *, running: bool | None = None) -> bool:
        """Arranges the pages; `running`: whether the study has a driver, if that is known."""
        return self._arrangement.arrange(running=self._runs.history.stopped is None if running is None else running)

    def abandon(self) -> list[int]:
        """Ends the runs marked as running, since the study has no driver; returns their trials."""
        trials = self._trials.interrupt_running({"event": "abandoned"})
        self._study.abandoned()
        self._arrangement.refresh()
        self._arrange(running=False)
        self._study.delete_doubles()
        if "experiment" in self.state:
            end_killed(self.store, self.state["experiment"])
        return trials

    def runs(self) -> dict[str, dict[str, str]]:
        """The ids and tags of all runs that the store has of this study; each should be in `state`."""
        return self._study.all_runs()

    def describe(self, error: Exception) -> str:
        """The error in one line; for an HTTP 401 with the variables that hold credentials."""
        return describe(error) + (f"; {CREDENTIALS}" if status_of(error) == 401 else "")

    def close(self) -> None:
        """Closes the store."""
        self.store.close()


def home_option(home: Path) -> str:
    """What a command needs to find the home; nothing for one with the default name."""
    return "" if home.name == "mlruns" else f" --home {shlex.quote(str(home))}"
