"""The study: its history and its journal. Every change is recorded in the journal, and a resume reads it again."""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch import failpoints
from hpsearch import journal as journals
from hpsearch.contract import Evaluation
from hpsearch.environment import environment
from hpsearch.identity import RULES, check_identity
from hpsearch.journal import Journal
from hpsearch.journal.history import DESCRIPTION, History, uncollected
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies.policy import New
from hpsearch.space.experiment import Experiment

_log = logging.getLogger(__name__)


class Study:
    """One study being searched; the driver holds the only one."""

    def __init__(self, experiment: Experiment, journal: Journal, history: History) -> None:
        """`history`: of the journal so far."""
        self.experiment, self.journal, self.history = experiment, journal, history
        history.allowed_trials = experiment.budget.trials
        self._fail_damaged()

    @classmethod
    def open(
        cls, experiment: Experiment, folder: Path, data: dict[str, Any], *, history: History | None = None
    ) -> Study:
        """Creates or resumes the study; `data` holds the "fingerprint" and the counts of the "sets".

        history: of the journal, if the caller has read it and holds the study's lock. Raises StudyMismatch, with a
        diff, if the journal belongs to another space, objective or data.
        """
        history = read_history(folder) if history is None else history
        check_identity(experiment, history, data)
        failpoints.hit("journal_read")
        journal = Journal(folder / "journal.jsonl", after=history.last)
        if not history.origin:
            history.add(journal.append("study_created", **_origin(experiment, data, folder)))
            journal.sync()
        study = cls(experiment, journal, history)
        failpoints.hit("study_rebuilt")
        return study

    # ------------------------------------------------------------------------------------------------------- its trials

    def unfinished(self) -> list[int]:
        """Returns the interrupted trials, which the search resumes first; paused trials wait for the policy."""
        return [number for number, trial in self.history.trials.items() if trial.outcome is None and not trial.paused]

    def accept(self, new: New) -> int:
        """Records a new trial and returns its number; raises ConfigError if its params are not in the space."""
        number, space = len(self.history.trials), self.experiment.space
        internal = space.internal(new.params)
        config = self.experiment.config(internal).model_dump(mode="json")
        if new.seed is not None:
            config["seed"] = new.seed
        values = space.values(internal)
        self.record("trial_asked", trial=number, params=values, internal=internal, config=config, **_until(new.until))
        return number

    def pause(self, number: int, reason: str, *, saved: bool) -> None:
        """Records that the policy paused a trial; `saved`: whether the pause wrote a checkpoint."""
        failpoints.hit("pause_begun")
        evaluation = max(self.history.trials[number].evaluations, default=0)
        self.record("trial_paused", trial=number, reason=reason, evaluation=evaluation, saved=saved)
        failpoints.hit("pause_recorded")

    def resume(self, number: int, *, until: int | None = None) -> None:
        """Records that the policy resumes a paused trial, until evaluation `until` or without limit."""
        failpoints.hit("resume_begun")
        self.record("trial_resumed", trial=number, **_until(until))
        failpoints.hit("resume_recorded")

    def start(self, number: int, *, device: str, threads: int, worker: int) -> int:
        """Records that a worker trains a trial; returns the number of the attempt (1, 2, ...)."""
        trial = self.history.trials[number]
        attempt = trial.attempt + 1
        place = {"device": device, "threads": threads, "worker": worker}
        said = {**place, **_until(trial.until), **_description(trial)}
        self.record("trial_started", trial=number, attempt=attempt, **said)
        if attempt > 1:
            failpoints.hit("retry_recorded")
        return attempt

    def report(self, number: int, evaluation: Evaluation) -> None:
        """Records an evaluation unless the journal has it from an earlier attempt."""
        failpoints.hit("report_begun")
        trial = self.history.trials[number]
        if evaluation.index not in trial.evaluations:
            self.record("evaluation", trial=number, attempt=trial.attempt, evaluation=evaluation.to_dict())

    def interrupt(self, number: int, reason: str = "", *, died: bool = False, alone: bool = False) -> None:
        """Records that a trial waits to resume from its checkpoint.

        died: its worker died, which counts against its retries; alone: from now on it gets its device alone.
        """
        only = {"alone": True} if alone else {}
        self.record("trial_interrupted", trial=number, reason=reason, died=died, **only)

    def finish(self, number: int, outcome: Outcome, reason: str = "") -> TrialHistory:
        """Finishes a trial and returns it once its end is on the disk."""
        trial = self.history.trials[number]
        best = self.history.best_place(number)
        if best is None and (outcome.counts or outcome is Outcome.DIVERGED):
            if missing := self._missing_metric(trial, outcome):
                outcome, reason = Outcome.FAILED, missing
            elif outcome.counts:
                outcome, reason = Outcome.FAILED, f"no finite {self.history.metric} was measured"
        seconds = max((e.seconds for e in trial.evaluations.values()), default=0.0) or trial.seconds_so_far(time.time())
        signatures = {k: v for e in trial.evaluations.values() for k, v in e.signatures.items()}
        event = self.journal.append(
            "trial_finished",
            trial=number,
            outcome=outcome,
            state=outcome.optuna_state,
            value=best.value if best else None,
            best_evaluation=asdict(best) if best else None,
            reason=reason,
            seconds=seconds,
            signatures=signatures,
            **_description(trial),
        )
        self.journal.sync()
        failpoints.hit("tell_begun")
        self.history.add(event)
        trial.training.clear()  # only the views need it
        failpoints.hit("tell_done")
        return trial

    # --------------------------------------------------------------------------------------------------------- inwards

    def record(self, event: str, **fields: Any) -> None:
        """Adds an event to the journal and the history."""
        self.history.add(self.journal.append(event, **fields))

    def _missing_metric(self, trial: TrialHistory, outcome: Outcome) -> str:
        """Returns one line if no evaluation of the trial has the objective's metric; empty: one has, or there is none.

        A trial whose `val/loss` diverged may have ended before another objective was due.
        """
        measured = {name for evaluation in trial.evaluations.values() for name in evaluation.metrics}
        has_diverged = outcome is Outcome.DIVERGED and "val/loss" in measured
        if not trial.evaluations or self.history.metric in measured or has_diverged:
            return ""
        names = ", ".join(sorted(measured)) or "none"
        return f"{self.history.metric} is not among the metrics that the trainer measured: {names}"

    def _fail_damaged(self) -> None:
        """Fails trials whose config is lost because all lines that had it are damaged."""
        for trial in [t for t in self.history.trials.values() if not t.config and t.outcome is None]:
            self.record(
                "trial_finished",
                trial=trial.number,
                outcome=Outcome.FAILED,
                state=Outcome.FAILED.optuna_state,
                reason="its config is lost: the line of the journal is damaged",
            )


def read_history(folder: Path) -> History:
    """Returns the history of the journal in a study's folder, empty if missing, without the training points.

    Skips damaged lines with a logged warning.
    """
    path, damaged = folder / "journal.jsonl", list[int]()
    with uncollected():
        history = History.of(journals.iterate(path, damaged=damaged, points=False)) if path.exists() else History()
        gc.freeze()
    if damaged:
        lines = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        _log.warning("%s: damaged lines were skipped (%s; %d in all); all others are used", path, lines, len(damaged))
    for number in range(max(history.trials, default=-1)):
        history.trials.setdefault(number, TrialHistory(number))  # a trial of which every line is damaged
    history.trials = dict(sorted(history.trials.items()))
    return history


def _until(evaluation: int | None) -> dict[str, int]:
    """The key `until` of an event; no key for None."""
    return {} if evaluation is None else {"until": evaluation}


def _description(trial: TrialHistory) -> dict[str, Any]:
    """The params and config of a trial, which its events repeat."""
    return {name: getattr(trial, name) for name in DESCRIPTION}


def _origin(experiment: Experiment, data: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {
        "study": experiment.study,
        "experiment": experiment.normalised(),
        "rules": RULES,
        "identity": experiment.identity(),
        "source": experiment.source,
        "base": str(experiment.base.resolve()),
        "folder": str(folder.resolve()),  # a project that is moved keeps the way from here to its base
        "objective": experiment.objective.model_dump(),
        "space": experiment.space.describe(),
        "environment": environment(experiment.base),
        "data": data,
    }
