"""The exported trial in MLflow: the tag that marks its run, best.yaml, its samples."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hpsearch.journal import Entry
from hpsearch.journal.trial_history import BestEvaluation
from hpsearch.outcome import Outcome
from hpsearch.views.follower import REPORT_DUE
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.descriptions import NOTE, of_trial
from hpsearch.views.mlflow.exported import name_run
from hpsearch.views.mlflow.rows import best_rows
from hpsearch.views.mlflow.runs import Runs
from hpsearch.views.mlflow.trial_runs import TrialRuns

TAG = "hpsearch.winner"


class Winner:
    """Marks the winner's run, and adds to both runs what the export made."""

    def __init__(self, runs: Runs, trials: TrialRuns, artifacts: Artifacts, folder: Path) -> None:
        self._runs, self._trials, self._artifacts, self._folder = runs, trials, artifacts, folder

    def exported(self, event: Entry) -> None:
        """Handles the event `study_exported`."""
        trial, parent, store = event["trial"], self._runs.parent, self._runs.store
        winner = self._mark(trial)
        value = event.get("value", self._runs.history.trials[trial].value)
        outcome = event.get("outcome", self._runs.history.trials[trial].outcome)
        self._runs.state[REPORT_DUE] = True  # it contains best.yaml
        tags = {"best_trial": trial, "best_run": winner, "best_value": value, "best_outcome": outcome}
        self._runs.pending(parent).tags |= tags
        if outcome == Outcome.UNFINISHED:
            self._add_best_rows(event)
        exported = self._folder / Path(event["path"]).name  # the folder may have been moved since
        with suppress(OSError, UnicodeError):
            name_run(exported, trial, winner)
        with suppress(OSError, UnicodeError):
            store.text(parent, "best.yaml", exported.read_text(encoding="utf-8"))
        samples = self._folder / "checkpoints" / f"{trial:04d}" / "samples.json"
        self._artifacts.samples(samples, (winner, parent))

    def _mark(self, trial: int) -> str:
        """Moves the tag from the former winner's run to this trial's; returns the run's id."""
        state = self._runs.state
        winner, former = self._trials.run_id(trial), state.get("winner")
        if former is not None and former != winner:
            self._runs.store.untag(former, TAG)
            number = next((int(number) for number, run_id in state["runs"].items() if run_id == former), None)
            if number is not None:
                self._runs.pending(former).tags[NOTE] = self._note(number)
        state["winner"] = winner
        self._runs.pending(winner).tags |= {TAG: "true", NOTE: self._note(trial, winner=True)}
        return winner

    def _note(self, trial: int, *, winner: bool = False) -> str:
        history = self._runs.history
        return of_trial(history, history.trial(trial), winner=winner)

    def _add_best_rows(self, event: Entry) -> None:
        """Adds the rows about the best evaluation, which `trial_finished` would add, of a trial that has not ended."""
        trial, metric = event["trial"], self._runs.history.metric
        best = BestEvaluation.from_dict(event["best_evaluation"])
        evaluation = self._runs.history.trials[trial].at(best) if best else None
        if evaluation is not None:
            self._runs.pending(self._trials.run_id(trial)).rows += best_rows(evaluation, metric, event["time"])
        row = (f"best/{metric}", self._runs.single(event["value"]), event["time"], event["ended"])
        self._runs.pending(self._runs.parent).rows.append(row)
