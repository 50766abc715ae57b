"""Whether short trainings have penalised larger models: their curves still fell when they were stopped.

A larger model learns more slowly at first. If every trial that is larger than all that were trained out was stopped
before half of its training, while the objective still fell by more than two sigma from one evaluation to the next, the
search cannot say that the smaller ones are better. Which hyperparameters make a model larger, its trainer says
(`Trainer.sizes`).
"""

from __future__ import annotations

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.results.evidence.bands import SIGMAS, sigma_of

FEWEST = 2  # larger trials
EARLY = 0.5  # share of a training


def short_budgets(history: History) -> list[str]:
    """A warning for each size that may have been penalised; none if nothing is known of the seed noise."""
    sigma = sigma_of(history)
    if sigma is None:
        return []
    return [line for name in history.origin.sizes if (line := _penalised(history, name, SIGMAS * sigma))]


def _penalised(history: History, name: str, least: float) -> str:
    trials = [trial for trial in history.trials.values() if isinstance(trial.params.get(name), int | float)]
    trials = [trial for trial in trials if trial.is_whole or not trial.counts]  # the budget has cut the others short
    whole = [trial.params[name] for trial in trials if trial.counts]
    larger = [trial for trial in trials if whole and trial.params[name] > max(whole)]
    stopped = [trial for trial in larger if _fell(history, trial, least)]
    if len(larger) < FEWEST or len(stopped) < len(larger):
        return ""
    fell = "fell" if history.direction == "minimize" else "rose"
    early = f"all {len(larger)} trials above {max(whole):g} were stopped early, while {history.metric} {fell} steeply"
    return f"warning: {name}: {early}: short trainings penalise larger models; search longer, or with pruner: none"


def _fell(history: History, trial: TrialHistory, least: float) -> bool:
    """Whether a trial was stopped early while its objective became better by more than `least` at an evaluation."""
    if trial.outcome is not Outcome.PRUNED and not trial.paused:
        return False
    best, gain = history.best_place(trial.number), history.latest_gain(trial)
    return best is not None and best.progress < EARLY and gain is not None and gain > least
