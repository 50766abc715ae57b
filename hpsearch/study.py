"""The study: every change of it is in the journal, and it is rebuilt from there on resume.

Optuna proposes trials and compares them at equal evaluation indices (sampling/proposals.py); what is our own, the
overfitting and divergence rules, is in verdict.py.
"""

from __future__ import annotations

import gc
import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch import failpoints
from hpsearch import journal as journals
from hpsearch.config import Config
from hpsearch.contract import Evaluation
from hpsearch.environment import environment
from hpsearch.identity import RULES, check_identity
from hpsearch.journal import Journal
from hpsearch.journal.history import DESCRIPTION, History, TrialHistory, interval_loss, uncollected
from hpsearch.outcome import Outcome
from hpsearch.sampling.proposals import Proposals
from hpsearch.space.experiment import Experiment
from hpsearch.verdict import Phases, Point, Verdict, diverged, overfitting, stale
from hpsearch.verdict import reason as explain

_log = logging.getLogger(__name__)
OUTCOMES = {Verdict.PRUNE: Outcome.PRUNED, Verdict.OVERFIT: Outcome.OVERFIT, Verdict.DIVERGED: Outcome.DIVERGED}


class Study:
    """One study being searched; the driver holds the only one."""

    def __init__(self, experiment: Experiment, journal: Journal, history: History) -> None:
        """Rebuilds the Optuna study from the history of the journal."""
        self.experiment, self.journal, self.history = experiment, journal, history
        self.proposals = Proposals(experiment, history)
        with uncollected():
            for trial in sorted(history.trials.values(), key=lambda trial: trial.number):
                self._rebuild(trial)
            gc.freeze()  # what is known already is not looked through for garbage during the search

    @classmethod
    def open(
        cls, experiment: Experiment, folder: Path, data: dict[str, Any], *, history: History | None = None
    ) -> Study:
        """Creates the study or resumes it; `data` has its "fingerprint" and the counts of its "sets".

        `history`: what the journal says, where the caller has read it and keeps others from writing it. Raises
        StudyMismatch, with a diff, when the journal belongs to another space, objective or data.
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
        """The trials of earlier drivers that wait to be continued."""
        return [number for number, trial in self.history.trials.items() if trial.outcome is None]

    def ask(self) -> int:
        """A new trial: samples its params, writes it to the journal, gives its number."""
        failpoints.hit("before_ask")
        number = len(self.history.trials)
        internal = self.proposals.ask(number)
        config = self.experiment.config(internal)
        self.record(
            "trial_asked",
            trial=number,
            params=self.experiment.space.values(internal),
            internal=internal,
            config=config.model_dump(mode="json"),
        )
        failpoints.hit("after_ask")
        return number

    def start(self, number: int, *, device: str, threads: int, worker: int) -> int:
        """Notes that a trial is with a worker; gives the number of this attempt (1, 2, ...)."""
        trial = self.history.trials[number]
        attempt = trial.attempt + 1
        place = {"device": device, "threads": threads, "worker": worker}
        self.record("trial_started", trial=number, attempt=attempt, **place, **description(trial))
        if attempt > 1:
            failpoints.hit("retry_recorded")
        return attempt

    def config(self, number: int) -> Config:
        """The trial's whole config."""
        return self.experiment.trainer.config.model_validate(self.history.trials[number].config)

    def report(self, number: int, evaluation: Evaluation) -> tuple[Verdict, str]:
        """Takes an evaluation in and judges: what the trial is to do next, and why (one line).

        One that the journal has already (from before a crash) is not written again, and judged again only where it
        is the trial's latest: what came after the others shows how they were judged.
        """
        failpoints.hit("report_begun")
        trial = self.history.trials[number]
        index, latest = evaluation.index, max(trial.evaluations, default=0)
        if index not in trial.evaluations:
            self.record("evaluation", trial=number, attempt=trial.attempt, evaluation=evaluation.to_dict())
            self.proposals.report(number, evaluation)
        verdict = self.judge(number) if index >= latest else (Verdict.CONTINUE, "")
        failpoints.hit("report_done")
        return verdict

    def judge(self, number: int) -> tuple[Verdict, str]:
        """Diverged, overfitting or worse than its peers? From what the journal knows of the trial."""
        trial = self.history.trials[number]
        phases, curve = self.experiment.trainer.phases(self.config(number)), points(trial)
        if diverged(curve, warmup_until=phases.warmup_until):
            return Verdict.DIVERGED, explain(Verdict.DIVERGED, curve)
        if self._overfits(trial, curve, phases):
            rule = self.experiment.search.overfitting
            return Verdict.OVERFIT, explain(Verdict.OVERFIT, curve, evaluations=rule.evaluations)
        if curve[-1].progress < phases.ends_at and self.proposals.would_prune(number):
            return Verdict.PRUNE, explain(Verdict.PRUNE, curve)
        return Verdict.CONTINUE, ""

    def _overfits(self, trial: TrialHistory, curve: list[Point], phases: Phases) -> bool:
        """The rule of verdict.py; where the objective is no loss, only once the objective has turned as well."""
        rule = self.experiment.search.overfitting
        if not rule.enabled or not overfitting(
            curve,
            warmup_until=phases.warmup_until,
            cooldown_from=phases.cooldown_from,
            evaluations=rule.evaluations,
            sigmas=rule.sigmas,
        ):
            return False
        _, values = trial.curve(self.history.metric)
        return stale(values, maximize=self.history.direction == "maximize", evaluations=rule.evaluations)

    def interrupt(self, number: int, reason: str = "", *, died: bool = False, alone: bool = False) -> None:
        """Notes that a trial waits to be continued from its checkpoint; `died`: its worker's death is its own fault;
        `alone`: from now on it has its device for itself.
        """
        only = {"alone": True} if alone else {}
        self.record("trial_interrupted", trial=number, reason=reason, died=died, **only)

    def finish(self, number: int, outcome: Outcome, reason: str = "") -> TrialHistory:
        """Ends a trial; when this returns, its end is on the disk."""
        trial = self.history.trials[number]
        best = self.history.best_place(number)
        if best is None and outcome.counts:
            outcome, reason = Outcome.FAILED, f"no finite {self.history.metric} was measured"
        seconds = max((e.seconds for e in trial.evaluations.values()), default=0.0)
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
            **description(trial),
        )
        self.journal.sync()
        failpoints.hit("tell_begun")
        self.proposals.tell(number, outcome, best.value if best else None)
        self.history.add(event)
        trial.training.clear()  # the views draw it; here it would only fill the memory
        failpoints.hit("tell_done")
        return trial

    # --------------------------------------------------------------------------------------------------------- inwards

    def record(self, event: str, **fields: Any) -> None:
        """Puts an event into the journal and the history."""
        self.history.add(self.journal.append(event, **fields))

    def _rebuild(self, trial: TrialHistory) -> None:
        """Has the sampler know a trial of the journal; one whose params stood on damaged lines alone has failed."""
        self.proposals.rebuild(trial)
        if not trial.config and trial.outcome is None:
            self.record(
                "trial_finished",
                trial=trial.number,
                outcome=Outcome.FAILED,
                state=Outcome.FAILED.optuna_state,
                reason="what it was to train stood on a damaged line of the journal",
            )


def read_history(folder: Path) -> History:
    """What the journal in a study's folder says (nothing where there is none), without the training points.

    Damaged lines are passed over, with a logged warning.
    """
    path, damaged = folder / "journal.jsonl", list[int]()
    with uncollected():
        history = History.of(journals.iterate(path, damaged=damaged, points=False)) if path.exists() else History()
        gc.freeze()
    if damaged:
        lines = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        _log.warning(
            "%s: damaged lines were passed over (%s; %d in all); all others are used", path, lines, len(damaged)
        )
    for number in range(max(history.trials, default=-1)):
        history.trials.setdefault(number, TrialHistory(number))  # a trial of which every line is damaged
    history.trials = dict(sorted(history.trials.items()))
    return history


def description(trial: TrialHistory) -> dict[str, Any]:
    """What a trial is, as its events say it."""
    return {name: getattr(trial, name) for name in DESCRIPTION}


def points(trial: TrialHistory) -> list[Point]:
    """A trial's curve as the verdicts read it."""
    return [
        Point(
            index=index,
            progress=evaluation.progress,
            val_loss=evaluation.metrics.get("val/loss", math.nan),
            train_loss=interval_loss(evaluation.metrics),
            stderr=evaluation.metrics.get("val/loss_stderr", 0.0),
        )
        for index, evaluation in sorted(trial.evaluations.items())
    ]


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
