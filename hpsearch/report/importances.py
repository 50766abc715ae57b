"""Importance of the parameters, by Optuna's fANOVA over the trials' ranks."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from matplotlib.ticker import PercentFormatter

from hpsearch.journal.history import History
from hpsearch.outcome import Outcome
from hpsearch.report.drawing import MOST_AXES, count_of, picture, score, valued

FEWEST_FOR_IMPORTANCES = 4  # trials
MOST_FOR_IMPORTANCES = 300


def importances(history: History) -> bytes | None:
    """Draws each parameter's share of the differences between trials (fANOVA); None for fewer than 4 trials."""
    shares = importance_shares(history)
    if not shares:
        return None
    ordered = sorted(shares.items(), key=lambda item: item[1])[-MOST_AXES:]
    with picture(6.5, 0.9 + 0.34 * len(ordered)) as drawn:
        axis = drawn.figure.subplots()
        names, lengths = zip(*ordered, strict=True)
        bars = axis.barh(names, lengths, color=Outcome.COMPLETED.colour, height=0.62)
        axis.bar_label(bars, fmt="{:.0%}", padding=3, fontsize=8)
        axis.set(xlim=(0, 1.1 * max(*lengths, 0.01)), xlabel=f"share of the differences in {history.metric}")
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.grid(axis="y", visible=False)
        axis.set_title(f"importance of parameters ({count_of(len(valued(history)), 'trial')})")
    return drawn.png


def warm_up() -> None:
    """Imports what the importances need (1 s)."""
    import sklearn.ensemble  # noqa: F401  (used by Optuna's fANOVA)


def importance_shares(history: History) -> dict[str, float]:
    """Parameter -> share of the variance of the trials' ranks that it explains (fANOVA, Hutter et al. 2014).

    Ranks, because a few diverged trials would dominate the variance of the values. Stopped trials count by their best
    value. Parameters that only some trials have, or that never changed, are skipped. Of more than 300 trials every
    n-th is used: the time grows faster than their number (20 s at 1,000), and the shares hardly change.
    """
    import optuna

    known, trials = distributions(history.space), valued(history)
    trials = trials[:: math.ceil(len(trials) / MOST_FOR_IMPORTANCES) or 1]
    everywhere = [name for name in known if all(name in trial.params for trial in trials)]
    shared = [name for name in everywhere if len({trial.params[name] for trial in trials}) > 1]
    if len(trials) < FEWEST_FOR_IMPORTANCES or not shared:
        return {}
    scores = [score(history, trial) for trial in trials]
    order = {value: float(rank) for rank, value in enumerate(sorted(set(scores)))}
    study = optuna.study.Study("report", _empty_storage())
    for trial, value in zip(trials, scores, strict=True):
        params = {name: trial.params[name] for name in shared}
        rank = order[value]
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions={n: known[n] for n in shared}, value=rank)
        )
    if len(order) < 2:
        return dict.fromkeys(shared, 0.0)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, max_depth=16, seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _empty_storage() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "report")
    return storage


def distributions(space: dict[str, Any]) -> dict[str, Any]:
    """Converts the journal's space to Optuna's distributions over the values themselves."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, limits in space.items():
        if "choices" in limits:
            found[name] = CategoricalDistribution(tuple(limits["choices"]))
        elif isinstance(limits["low"], int) and isinstance(limits["high"], int):
            found[name] = IntDistribution(
                limits["low"], limits["high"], limits.get("log") or False, limits.get("step") or 1
            )
        else:
            found[name] = FloatDistribution(
                limits["low"], limits["high"], limits.get("log") or False, limits.get("step")
            )
    return found


def local_time(seconds: float) -> datetime:
    """Converts unix seconds to Optuna's times: local, without a zone."""
    return datetime.fromtimestamp(seconds)
