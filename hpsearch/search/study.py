"""The study: its history and its journal. Every change is recorded in the journal, and a resume reads it again."""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch import journal as journals
from hpsearch.contract import Evaluation
from hpsearch.final.exported import exported
from hpsearch.home.identity import RULES, check_identity
from hpsearch.journal import Journal
from hpsearch.journal.history import DESCRIPTION, FIRST_REPEAT, OF_HORIZONS, OF_REPEATS, History
from hpsearch.journal.origin import LAYOUT
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies.budget.spending import extended
from hpsearch.policies.policy import New
from hpsearch.space.budget import Budget
from hpsearch.space.experiment import Experiment
from hpsearch.space.priors import description
from hpsearch.system import failpoints
from hpsearch.system.environment import environment
from hpsearch.system.uncollected import uncollected

_log = logging.getLogger(__name__)


class Study:
    """One study being searched; the driver holds the only one."""

    def __init__(self, experiment: Experiment, journal: Journal, history: History) -> None:
        """`history`: of the journal so far."""
        self.experiment, self.journal, self.history = experiment, journal, history
        history.allowed_trials, history.closed = self.budget.trials, not experiment.searches
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
        if history.is_new:
            history.add(journal.append("study_created", **_origin(experiment, data, folder)))
            journal.sync()
        study = cls(experiment, journal, history)
        failpoints.hit("study_rebuilt")
        return study

    @property
    def budget(self) -> Budget:
        """The budget of the experiment, and what `hpsearch extend` has added to it."""
        return extended(self.experiment.budget, self.history)

    def extend(self, limits: dict[str, float]) -> None:
        """Records new limits of the budget; the search is open again."""
        self.record("budget_extended", limits=limits)
        self.journal.sync()
        failpoints.hit("extension_recorded")
        self.history.allowed_trials, self.history.closed = self.budget.trials, not self.experiment.searches

    # ------------------------------------------------------------------------------------------------------- its trials

    def unfinished(self) -> list[int]:
        """Returns the interrupted trials, which the search resumes first; paused trials wait for the policy."""
        trials = [*self.history.trials.values(), *self.history.repeats.values()]
        return [t.number for t in trials if t.outcome is None and not t.paused and self.is_open(t.number)]

    def is_open(self, number: int) -> bool:
        """Whether this run may train a trial: an audit trains audits alone, a closed search no trial of the search."""
        if number >= FIRST_REPEAT:
            return bool(self.experiment.audits) == bool(self.history.repeats[number].audits)
        return not self.history.closed

    def accept(self, new: New) -> int:
        """Records a new trial and returns its number; raises ConfigError if its params are not in the space."""
        if new.repeats is not None:
            return self._accept_repeat(new, self.history.trials[new.repeats])
        number, space = len(self.history.trials), self.experiment.space
        internal = space.internal(new.params)
        config = self.experiment.config_at(new.horizon, internal).model_dump(mode="json")
        if new.seed is not None:
            config["seed"] = new.seed
        values = space.values(internal)
        self.record("trial_asked", trial=number, params=values, internal=internal, config=config, **_asked(new))
        return number

    def _accept_repeat(self, new: New, trial: TrialHistory) -> int:
        """Records a repeat of a trial: the config that the trial came to, with another seed; or its audit."""
        failpoints.hit("repeat_begun")
        repeats = self.history.repeats
        number = max(repeats, default=FIRST_REPEAT - 1) + 1
        repeat = 1 + sum(one.confirms == trial.number and not one.audits for one in repeats.values())
        if new.audit:
            config, left = trial.config, {"audits": _left(trial, self.history.metric)}
        else:
            config, left = exported(self.experiment.trainer, trial).model_dump(mode="json") | {"seed": new.seed}, {}
        said = {"params": trial.params, "internal": trial.internal, "config": config, **left, **_until(new.until)}
        self.record("trial_asked", trial=number, confirms=trial.number, repeat=repeat, **said)
        failpoints.hit("repeat_recorded")
        return number

    def pause(self, number: int, reason: str, *, saved: bool) -> None:
        """Records that the policy paused a trial; `saved`: whether the pause wrote a checkpoint."""
        failpoints.hit("pause_begun")
        evaluation = max(self.history.trial(number).evaluations, default=0)
        self.record("trial_paused", trial=number, reason=reason, evaluation=evaluation, saved=saved)
        failpoints.hit("pause_recorded")

    def resume(self, number: int, *, until: int | None = None) -> None:
        """Records that the policy resumes a paused trial, until evaluation `until` or without limit."""
        failpoints.hit("resume_begun")
        self.record("trial_resumed", trial=number, **_until(until))
        failpoints.hit("resume_recorded")

    def start(self, number: int, *, device: str, threads: int, worker: int) -> int:
        """Records that a worker trains a trial; returns the number of the attempt (1, 2, ...)."""
        trial = self.history.trial(number)
        attempt = trial.attempt + 1
        place = {"device": device, "threads": threads, "worker": worker}
        said = {**place, **_until(trial.until), **_label(trial.label), **_description(trial)}
        self.record("trial_started", trial=number, attempt=attempt, **said)
        if attempt > 1:
            failpoints.hit("retry_recorded")
        return attempt

    def report(self, number: int, evaluation: Evaluation) -> None:
        """Records an evaluation unless the journal has it from an earlier attempt."""
        failpoints.hit("report_begun")
        trial = self.history.trial(number)
        if evaluation.index not in (trial.branches if evaluation.branch else trial.evaluations):
            self.record("evaluation", trial=number, attempt=trial.attempt, evaluation=evaluation.to_dict())
        if evaluation.branch:
            failpoints.hit("branch_recorded")

    def interrupt(self, number: int, reason: str = "", *, died: bool = False, alone: bool = False) -> None:
        """Records that a trial waits to resume from its checkpoint.

        died: its worker died, which counts against its retries; alone: from now on it gets its device alone.
        """
        only = {"alone": True} if alone else {}
        self.record("trial_interrupted", trial=number, reason=reason, died=died, **only)

    def finish(self, number: int, outcome: Outcome, reason: str = "") -> TrialHistory:
        """Finishes a trial and returns it once its end is on the disk."""
        trial = self.history.trial(number)
        best = self.history.best_place(number)
        if best is None and (outcome.counts or outcome is Outcome.DIVERGED):
            if missing := self._missing_metric(trial, outcome):
                outcome, reason = Outcome.FAILED, missing
            elif outcome.counts:
                outcome, reason = Outcome.FAILED, f"no finite {self.history.metric} was measured"
        if outcome.counts and trial.horizon < 1:
            outcome = Outcome.SHORT
        seconds = max((e.seconds for e in trial.measured), default=0.0) or trial.seconds_so_far(time.time())
        signatures = {k: v for e in trial.measured for k, v in e.signatures.items()}
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
            **({"gain": self.history.latest_gain(trial)} if outcome is Outcome.PRUNED else {}),
            **({"reached": trial.furthest} if trial.branches else {}),
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
        for trial in [t for t in self.history.everything.values() if not t.config and t.outcome is None]:
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
    history.trials, history.repeats = dict(sorted(history.trials.items())), dict(sorted(history.repeats.items()))
    return history


def _until(evaluation: int | None) -> dict[str, int]:
    """The key `until` of an event; no key for None."""
    return {} if evaluation is None else {"until": evaluation}


def _label(label: str) -> dict[str, str]:
    """The key `label` of an event; no key if it is empty."""
    return {"label": label} if label else {}


def _asked(new: New) -> dict[str, Any]:
    at = {} if new.horizon == 1 else {"horizon": new.horizon}
    return {**_until(new.until), **_label(new.label), **at, **({} if new.of is None else {"of": new.of})}


def _description(trial: TrialHistory) -> dict[str, Any]:
    """The params, config and horizon of a trial, and which one a repeat confirms: its events repeat them."""
    names = DESCRIPTION if trial.confirms is None else (*DESCRIPTION, *OF_REPEATS)
    if trial.horizon < 1 or trial.of is not None:
        names = (*names, *OF_HORIZONS)
    return {name: getattr(trial, name) for name in names if name != "audits" or trial.audits}


def _left(trial: TrialHistory, metric: str) -> dict[str, Any]:
    """Where a trial was stopped: the index and progress of its last evaluation, its value and its seconds there."""
    found = trial.evaluations[max(trial.evaluations)] if trial.evaluations else None
    if found is None:
        return {"index": 0, "progress": 0.0, "value": None, "seconds": 0.0}
    value = found.metrics.get(metric, trial.value)
    seconds = max(trial.seconds, found.seconds)
    return {"index": found.index, "progress": found.progress, "value": value, "seconds": seconds}


def _sizes(experiment: Experiment) -> list[str]:
    """The names of the params that make a model larger."""
    sizes = experiment.trainer.sizes
    return [
        name
        for name, node in experiment.space.params.items()
        if node.keys and node.keys[-1] in sizes.get(str(node.keys[0]), ())
    ]


def _origin(experiment: Experiment, data: dict[str, Any], folder: Path) -> dict[str, Any]:
    priors = description(experiment, data.get("sets", {}))
    return {
        "study": experiment.study,
        "experiment": experiment.normalised(),
        "rules": RULES,
        "layout": LAYOUT,
        "identity": experiment.identity(),
        "source": experiment.source,
        "base": str(experiment.base.resolve()),
        "folder": str(folder.resolve()),  # a project that is moved keeps the way from here to its base
        "objective": experiment.objective.model_dump(),
        "space": experiment.space.describe(),
        "sizes": _sizes(experiment),
        "environment": environment(experiment.base),
        "data": data,
        **({"priors": priors} if priors else {}),
    }
