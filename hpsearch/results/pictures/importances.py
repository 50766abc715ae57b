"""Importance of the hyperparameters: Optuna's fANOVA over the final values of the trials, expected ones included.

The value of a trial that was cut short says how long it was trained before it says anything else: over best values
fANOVA finds `epochs` important for that alone. Of trained-out trials there are few, and all are good, because the
pruner has kept them for what fANOVA looks for. So a trial that was cut short counts by what is expected at its end: its
best value plus the median of what the trained-out trials gained from that place on; one that the end of the budget had
cool down counts likewise, by its curve before that. (Of nine ways to compute the shares
of simulated pruned studies of 40 trials, this one had the smallest mean error; that of trained-out trials alone was 1.4
to 1.8 times as large.) Values worse than nine tenths of all count as that: a few exploded losses would be all of the
variance.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from matplotlib.ticker import PercentFormatter

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.results.pictures.drawing import MOST_AXES, count_of, picture

FEWEST_FOR_IMPORTANCES = 4  # trials
FEW = 5  # trials for each hyperparameter, below which the shares are rough
MOST_FOR_IMPORTANCES = 300
WORST = 0.9  # share of the values, in order, beyond which they are equal
SPENT = {Outcome.COMPLETED, Outcome.OVERFIT, Outcome.SHORT}  # outcomes of trials that were trained out

Place = tuple[float, float]  # horizon, progress


@dataclass(frozen=True)
class Importances:
    """The share of each hyperparameter in the differences between trials, and what they rest on."""

    shares: Mapping[str, float]  # the largest first
    trials: int
    cut: int  # trials of these that were cut short: pruned, paused, diverged, out of memory, by the budget

    @property
    def basis(self) -> str:
        """What the shares rest on, in words."""
        said = f"{count_of(self.trials, 'trial')}, {self.cut} of them cut short, which count by their expected end"
        return said if self.cut else f"{count_of(self.trials, 'trial')}, all trained out"

    @property
    def caution(self) -> str:
        """A warning if the trials are few; empty if they are not."""
        few = self.trials < FEW * len(self.shares)
        return f"few trials for {len(self.shares)} hyperparameters: the shares are rough" if few else ""


def importances(history: History) -> bytes | None:
    """Draws each hyperparameter's share of the differences between trials (fANOVA); None for fewer than 4 trials."""
    found = importances_of(history)
    if found is None:
        return None
    ordered = sorted(found.shares.items(), key=lambda item: item[1])[-MOST_AXES:]
    with picture(6.5, 1.1 + 0.34 * len(ordered)) as drawn:
        axis = drawn.figure.subplots()
        names, lengths = zip(*ordered, strict=True)
        bars = axis.barh(names, lengths, color=Outcome.COMPLETED.colour, height=0.62)
        axis.bar_label(bars, fmt="{:.0%}", padding=3, fontsize=8)
        axis.set(xlim=(0, 1.1 * max(*lengths, 0.01)), xlabel=f"share of the differences in {history.metric}")
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.grid(axis="y", visible=False)
        below = "\n".join(filter(None, [found.basis, found.caution]))
        axis.set_title(f"{history.study}: importance of the hyperparameters\n{below}", fontsize=9)
    return drawn.png


def warm_up(trials: int) -> None:
    """Imports what the importances of so many trials need (1 s); nothing if they are too few for any."""
    if trials >= FEWEST_FOR_IMPORTANCES:
        import sklearn.ensemble  # noqa: F401  (used by Optuna's fANOVA)


def importances_of(history: History) -> Importances | None:
    """The importances of a study (fANOVA, Hutter et al. 2014); None for fewer than 4 trials, or equal ones.

    Hyperparameters that only some trials have, or that never changed, are skipped. Of more than 300 trials every n-th
    is used: the time grows faster than their number (20 s at 1,000), and the shares hardly change.
    """
    import optuna

    compared = _compared(history)
    trials, known = [one.last for one in compared], distributions(history.space)
    everywhere = [name for name in known if all(name in trial.params for trial in trials)]
    shared = [name for name in everywhere if len({_value(trial, name) for trial in trials}) > 1]
    if len(trials) < FEWEST_FOR_IMPORTANCES or not shared:
        return None
    cut = sum(not _is_spent(trial) or trial.horizon < 1 for trial in trials)
    values = _finals(compared)
    if not values:
        return None
    if len(set(values)) < 2:
        return Importances(dict.fromkeys(shared, 0.0), len(trials), cut)
    study = optuna.study.Study("importances", _empty_storage())
    for trial, value in zip(trials, values, strict=True):
        params = {name: _nearest(known[name], _value(trial, name)) for name in shared}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions={n: known[n] for n in shared}, value=value)
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, max_depth=16, seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return Importances({name: float(share) for name, share in found.items()}, len(trials), cut)


def importance_shares(history: History) -> dict[str, float]:
    """Hyperparameter -> its share of the differences between trials; empty if there are too few of them."""
    found = importances_of(history)
    return {} if found is None else dict(found.shares)


# --------------------------------------------------------------------------------------------------- expected values


@dataclass(frozen=True)
class _Config:
    """A config that was tried, with its values at the places that its trainings have reached."""

    last: TrialHistory  # its training at the longest horizon
    places: Sequence[Place]  # ascending
    values: Sequence[float]  # the best one up to each place, lower is better; infinite: it diverged, or is not a number

    def at(self, place: Place) -> float:
        """Its value at the last of its places up to this one; infinite if it was not measured at this horizon."""
        index = bisect_right(self.places, place) - 1
        return self.values[index] if index >= 0 and self.places[index][0] == place[0] else math.inf


def _compared(history: History) -> list[_Config]:
    """The configs to compare: those of which a training has ended or was paused, and was evaluated."""
    of_config: dict[int, list[TrialHistory]] = {}
    for trial in history.trials.values():
        if (trial.outcome is not None and trial.outcome is not Outcome.FAILED) or trial.paused:
            of_config.setdefault(trial.number if trial.of is None else trial.of, []).append(trial)
    found = [_config(history, trials) for trials in of_config.values()]
    found = [one for one in found if one.places]
    return found[:: math.ceil(len(found) / MOST_FOR_IMPORTANCES) or 1]


def _config(history: History, trials: list[TrialHistory]) -> _Config:
    """The values of the trainings of one config, each at its horizon; better ones are lower."""
    sign = 1 if history.direction == "minimize" else -1
    places: list[Place] = []
    values: list[float] = []
    for trial in sorted(trials, key=lambda trial: trial.horizon):
        best = math.inf
        for progress, value in [*zip(*trial.curve(history.metric), strict=True), *_end(trial)]:
            best = min(best, sign * value if math.isfinite(value) else math.inf)
            places.append((trial.horizon, progress))
            values.append(best)
        if trial.outcome in (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY) and values:
            values[-1] = math.inf
    return _Config(max(trials, key=lambda trial: trial.horizon), places, values)


def _end(trial: TrialHistory) -> list[tuple[float, float]]:
    """(1, value) of a training that was trained out, whatever its best evaluation; none of another one."""
    return [(1.0, number(trial.value))] if _is_spent(trial) else []


def _is_spent(trial: TrialHistory) -> bool:
    """Whether a trial was trained out."""
    return trial.outcome in SPENT and not _is_cut(trial)


def _is_cut(trial: TrialHistory) -> bool:
    """Whether the end of the budget has cut a trial short, so that its value is of another length."""
    return trial.counts and not trial.is_whole


def _finals(compared: Sequence[_Config]) -> list[float]:
    """The value of each config at the furthest place that any has reached, expected where it was cut short.

    Empty if none is finite.
    """
    furthest = max(one.places[-1] for one in compared)
    ends = [one for one in compared if one.places[-1] == furthest and math.isfinite(one.values[-1])]
    gains = {place: _gain(ends, place) for place in {one.places[-1] for one in compared}}
    found = [one.values[-1] + gains[one.places[-1]] for one in compared]
    finite = sorted(filter(math.isfinite, found))
    if not finite:
        return []
    worst = finite[math.ceil(WORST * (len(finite) - 1))]
    return [min(value, worst) for value in found]


def _gain(ends: Sequence[_Config], place: Place) -> float:
    """The median of what the trained-out configs gained from a place to their ends, negative; 0 if none was there."""
    gains = [gain for one in ends if math.isfinite(gain := one.values[-1] - one.at(place))]
    return median(gains) if gains else 0.0


def _value(trial: TrialHistory, name: str) -> Any:
    """The value of a hyperparameter that the trial's value is of; of a shorter training, that of the whole one."""
    return trial.params[name] if trial.horizon < 1 or _is_cut(trial) else trial.trained_params[name]


def _nearest(distribution: Any, value: Any) -> Any:
    """The value of the range that is nearest: a cool-down may end before the fewest epochs of a range."""
    if not hasattr(distribution, "low"):
        return value
    clipped = min(max(value, distribution.low), distribution.high)
    if distribution.step:
        clipped = distribution.low + round((clipped - distribution.low) / distribution.step) * distribution.step
    return min(clipped, distribution.high)


def _empty_storage() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "importances")
    return storage


def distributions(space: Mapping[str, Any]) -> dict[str, Any]:
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
