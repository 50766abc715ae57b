"""The config that a trial has come to: best.yaml contains the winner's, a confirmation trains the finalists' again."""

from __future__ import annotations

from dataclasses import replace

from hpsearch.config import Config
from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.trainers import Trainer


def exported(trainer: Trainer, trial: TrialHistory) -> Config:
    """Returns the trial's config, whose training ends at the trial's best evaluation; of a branch the shorter one."""
    found: Config = trainer.export_config(trainer.config.model_validate(trial.config), best_evaluation(trial))
    return found


def best_evaluation(trial: TrialHistory) -> Evaluation:
    """Returns the best evaluation of a trial that has one, with the precision of the trial."""
    assert trial.best is not None  # of a trial with a value
    best = trial.best
    lost = Evaluation(
        best.index, best.step, best.progress, {}, tokens=best.tokens, epoch=best.epoch, branch=best.branch
    )
    return replace(trial.at(best) or lost, precision=trial.precision)
