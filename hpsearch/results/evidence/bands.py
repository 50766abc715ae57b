"""A band, not a point: for each hyperparameter the values of the trials that are about as good as the best one.

A trial is about as good if its value is within two sigma of the best, where sigma is the noise between seeds. Until a
study measures it, it is assumed to be 0.5% of the best value: what one run of a small language model varies by. (Seed
noise spans a factor of ten between models, so the band is a rough one, and its lines say that sigma is assumed.) Where
one fresh seed each has moved the finalists by more, it is what these shifts show (journal/confirmation.py).

The recommended value is the middle of the band, or of the half that is away from a cliff (cliffs.py).

Values in, values out; `of` reads them from a history. Pruned, paused and interrupted trials do not count, nor do those
that the end of the budget has cut short (`TrialHistory.is_whole`): their values are not final, and sigma is that of
whole trainings. One that has not ended may only show that there is no cliff: what works already does not fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hpsearch import quantiles
from hpsearch.journal.branch_labels import read_names
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.results.evidence.cliffs import CLIFF, Cliff, Other, cliff_beside
from hpsearch.results.evidence.range_scale import RangeScale

LOSSES = ("loss", "bits_per_byte")  # ends of the names of metrics whose sigma may be assumed
ASSUMED = 0.005  # sigma, as a share of the best value
SIGMAS = 2.0
NARROW = 2.0  # the ends of a range differ by this factor or less: that its values are alike says little
WIDE = 0.8  # share of a range that a band of a hyperparameter that does not matter has
FEW_GOOD, FEWEST = 4, 8  # good trials, and trials, below which nothing is said about what matters


@dataclass(frozen=True)
class Sample:
    """A trial: its params and its value."""

    params: Mapping[str, Any]
    value: float
    final: bool = True  # False: the trial has not ended, or the budget has cut it short: whole it may be better


@dataclass(frozen=True)
class Band:
    """The values that one hyperparameter has in the good trials."""

    name: str
    best: Any  # in the best trial
    values: tuple[Any, ...]  # in all good trials: numbers ascending, other choices in the order of the range
    share: float  # of the range that lies between them, 0 to 1; of other choices the share that occurs
    edge: str = ""  # lower or upper: the best value is at this end of its range, and better ones may lie beyond
    recommended: Any = None  # the middle of the band; the best trial's value of choices without an order
    cliff: Cliff | None = None  # beside the band, on the side that is nearer to the best value if there are two
    narrow: tuple[Any, Any] | None = None  # the ends of its range, if that is a narrow one


@dataclass(frozen=True)
class Bands:
    """The bands of a study."""

    bands: tuple[Band, ...]
    sigma: float
    assumed: bool  # whether sigma is assumed, not measured
    good: int  # trials within two sigma of the best, which is one of them
    trials: int  # with a final value
    idle: tuple[str, ...]  # hyperparameters that seem not to matter
    searched: int = 0  # hyperparameters with a range, those that the best trial does not have included
    repeats: int = 0  # trainings with fresh seeds that have raised the assumed sigma
    names: Mapping[str, str] = field(default_factory=dict)  # by which people know those that are no choice of branches

    @property
    def few(self) -> bool:
        """Whether there are too few trials to say which hyperparameters matter."""
        return self.trials < fewest(self.searched)


@dataclass(frozen=True)
class Near:
    """The trials within two sigma of the best one."""

    trials: tuple[TrialHistory, ...]  # the best first, unfinished ones with their best evaluation as their value
    sigma: float
    assumed: bool
    repeats: int = 0  # as in Bands


def of(history: History, *, sigma: float | None = None) -> Bands:
    """The bands of a study so far; sigma: the noise between seeds (default: that of its confirmation, if measured)."""
    ranked, sigma = _ranked(history), _measured(history) if sigma is None else sigma
    if sigma is None and not history.metric.endswith(LOSSES):
        return bands((), history.space)  # nothing can be assumed of other metrics
    samples = [Sample(_trained(trial, history.space), number(trial.value), trial.is_whole) for trial in ranked]
    return bands(samples, history.space, sigma=sigma, diverged=_diverged(history), shifts=_shifts(history))


def _diverged(history: History) -> list[Mapping[str, Any]]:
    """The params of the trials that diverged; at a shorter horizon a trial has other rates than its params say."""
    found = (trial for trial in history.trials.values() if trial.outcome is Outcome.DIVERGED)
    return [trial.params for trial in found if trial.horizon == 1]


def near(history: History) -> Near | None:
    """The good trials of a study; None if sigma is neither measured nor may be assumed, or no trial has a value."""
    ranked, sigma = _ranked(history), _measured(history)
    if not ranked or (sigma is None and not history.metric.endswith(LOSSES)):
        return None
    best = number(ranked[0].value)
    width, repeats = _assumed(best, _shifts(history)) if sigma is None else (sigma, 0)
    good = (trial for trial in ranked if abs(number(trial.value) - best) <= SIGMAS * width)
    return Near(tuple(good), width, sigma is None, repeats)


def sigma_of(history: History) -> float | None:
    """The seed noise of a study: measured, else assumed of a loss; None if neither is possible."""
    found = near(history)
    return None if found is None else found.sigma


def standard_errors(history: History, *, comparisons: int = 1) -> float:
    """How many standard errors an interval has on each side: Student's t if the seed noise is measured."""
    found = history.confirmation
    if found is not None and found.sigma is not None:
        return quantiles.student(found.freedom, comparisons)
    return quantiles.ASSUMED if comparisons <= 1 else quantiles.student(comparisons=comparisons)


def _ranked(history: History) -> list[TrialHistory]:
    """All trials with a value, the winner first."""
    ranked, found = history.ranked(unfinished=True), history.confirmation
    if found is not None:
        ranked.sort(key=lambda trial: trial.number != found.winner.trial)
    return ranked


def _measured(history: History) -> float | None:
    """Sigma as the confirmation measured it; None without one."""
    return None if history.confirmation is None else history.confirmation.sigma


def _shifts(history: History) -> tuple[float, int]:
    """What sigma is at least by the repeats, and how many they are."""
    return (0.0, 0) if history.confirmation is None else history.confirmation.shifts


def _assumed(best: float, shifts: tuple[float, int]) -> tuple[float, int]:
    """Sigma where it is not measured, and how many repeats have raised it."""
    return max((ASSUMED * abs(best), 0), shifts)


def source(assumed: bool, repeats: int) -> str:
    """Where an unmeasured sigma comes from; empty if it is measured."""
    return f"from {repeats} repeats" if repeats else "assumed" * assumed


def _trained(trial: TrialHistory, space: Mapping[str, Any]) -> dict[str, Any]:
    """The params of the training that has the trial's value; a choice stays the one that was drawn."""
    trained, numbers = trial.trained_params, {name for name, limits in space.items() if "low" in limits}
    return {name: trained[name] if name in numbers else value for name, value in trial.params.items()}


def bands(
    samples: Sequence[Sample],
    space: Mapping[str, Any],
    *,
    sigma: float | None = None,
    diverged: Sequence[Mapping[str, Any]] = (),
    shifts: tuple[float, int] = (0.0, 0),
) -> Bands:
    """The bands of samples, the best one first; space: low, high and log, or choices, of each hyperparameter.

    diverged: the params of trials that diverged. shifts: what sigma is at least where it is not given, and of how many
    repeats.
    """
    final = [sample for sample in samples if sample.final]
    if not final:
        return Bands((), 0.0, sigma is None, 0, 0, ())
    best = final[0]
    width, repeats = _assumed(best.value, shifts) if sigma is None else (sigma, 0)
    good = [sample for sample in final if abs(sample.value - best.value) <= SIGMAS * width]
    others = [
        *(other for one in samples if one not in good and (other := _beside(one, best, CLIFF * width)) is not None),
        *(Other(params, True, diverged=True) for params in diverged),
    ]
    searched = sum(map(_varies, space.values()))
    if len(final) < fewest(searched):  # on a handful of trials a bad value may have any reason; divergence has one
        others = [other for other in others if other.diverged or not other.fails]
    found = tuple(_band(name, space[name], best, good, others) for name in best.params if _varies(space.get(name)))
    enough = len(final) >= fewest(searched) and FEW_GOOD <= len(good) < len(final)
    idle = tuple(band.name for band in found if enough and _is_idle(band, good))
    return Bands(found, width, sigma is None, len(good), len(final), idle, searched, repeats, read_names(space))


def _beside(one: Sample, best: Sample, far: float) -> Other | None:
    """A trial beside the good ones; None if it is far worse, but has not ended: it may become better."""
    fails = abs(one.value - best.value) > far
    return Other(one.params, fails) if one.final or not fails else None


def fewest(n: int) -> int:
    """The number of trials that may say something about `n` hyperparameters."""
    return max(FEWEST, n + 2)


def as_dict(found: Bands) -> dict[str, Any]:
    """The bands as JSON-able data."""
    each = {
        band.name: {
            "best": band.best,
            "values": list(band.values),
            "edge": band.edge,
            "recommended": band.recommended,
            "cliff": None if band.cliff is None else asdict(band.cliff),
        }
        for band in found.bands
    }
    counts = {"good": found.good, "trials": found.trials, "no_effect": list(found.idle)}
    return {
        "sigma": found.sigma,
        "sigma_assumed": found.assumed,
        "sigma_repeats": found.repeats,
        **counts,
        "params": each,
    }


# ------------------------------------------------------------------------------------------------------ one parameter


def _varies(limits: Mapping[str, Any] | None) -> bool:
    if limits is None:
        return False
    return len(limits["choices"]) > 1 if "choices" in limits else bool(limits["low"] < limits["high"])


def _band(name: str, limits: Mapping[str, Any], best: Sample, good: Sequence[Sample], others: Sequence[Other]) -> Band:
    there = [sample.params[name] for sample in good if name in sample.params]
    choices = limits.get("choices")
    if choices is not None and not all(is_number(choice) for choice in choices):
        values = tuple(choice for choice in choices if choice in there)
        return Band(name, best.params[name], values, len(values) / len(choices), recommended=best.params[name])
    place = RangeScale(limits)
    values = tuple(sorted(set(there)))
    share = place(values[-1]) - place(values[0])
    edges = {place.edge(sample.params[name]) for sample in good if _ties(sample, best) and name in sample.params}
    edge, cliff = edges.pop() if len(edges) == 1 else "", cliff_beside(name, place, best.params[name], values, others)
    cliff = None if cliff is not None and cliff.side == edge else cliff  # beyond a winner at the edge: nothing is known
    return Band(name, best.params[name], values, share, edge, _middle(place, values, cliff), cliff, _narrow(limits))


def _narrow(limits: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The ends of a range of numbers that is narrow; None of another."""
    choices = limits.get("choices")
    low, high = (limits["low"], limits["high"]) if choices is None else (min(choices), max(choices))
    return (low, high) if low > 0 and high <= NARROW * low else None


def _middle(place: RangeScale, values: Sequence[float], cliff: Cliff | None) -> float:
    """The middle of a band, or of the half of it that is away from a cliff."""
    at = 0.5 if cliff is None else 0.25 if cliff.side == "upper" else 0.75
    low, high = place(values[0]), place(values[-1])
    return values[0] if low == high else place.value(low + at * (high - low))


def _ties(sample: Sample, best: Sample) -> bool:
    return sample is best or sample.value == best.value


def _is_idle(band: Band, good: Sequence[Sample]) -> bool:
    return band.share >= WIDE and sum(band.name in sample.params for sample in good) >= FEW_GOOD


def is_number(value: Any) -> bool:
    """Whether a value of a hyperparameter has an order."""
    return isinstance(value, int | float) and not isinstance(value, bool)
