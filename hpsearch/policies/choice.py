"""Which trial of a study is exported in place of the winner: the cheapest of the good ones, or one by its number.

Good is a trial within two sigma of the winner's value (bands.py), unless fresh seeds have shown that it is worse. What
it costs is the device time to train its exported config again, whole: the seconds until its own training had come to
where that config ends. Paces vary: of trials whose costs are within a tenth of the least one, the best is taken. Only
trials of the winner's kind of device are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.errors import UserError
from hpsearch.journal.history import History
from hpsearch.journal.horizons import shown
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.policies.finalists import PACE, cost
from hpsearch.results.evidence import bands


@dataclass(frozen=True)
class Choice:
    """A trial to export, and why it is that one."""

    trial: TrialHistory
    lines: tuple[str, ...]  # what it is and what it costs, for people
    facts: Mapping[str, Any] = field(default_factory=dict)  # the same, for the section `provenance`


def winner(history: History) -> TrialHistory:
    """Returns the trial with the best value, which may be unfinished; raises UserError if there is none yet."""
    best = history.leader()
    if best is None or best.best is None:
        raise UserError(
            f"study '{history.study}': none of its {len(history.trials)} trials has completed or measured a finite "
            f"{history.metric}; run it further first"
        )
    return best


def numbered(history: History, trial: int) -> Choice:
    """The trial of a number; one that was stopped as its audit trained it to its end, if it was audited.

    Raises UserError for an unknown trial and for one without a finite value.
    """
    known = history.trials.get(trial)
    if known is None:
        there = f"it has 0 to {len(history.trials) - 1}" if history.trials else "it has none yet"
        raise UserError(f"study '{history.study}' has no trial {trial}; {there}")
    audit = history.audits.get(trial)
    if not known.counts and audit is not None and audit.counts:
        said = f"{known.status} in the search, and trained to its end by an audit"
        found = replace(audit, number=trial, confirms=None, audits={})
        return Choice(found, (f"Trial {trial} of study {history.study}, chosen by its number: {said}.",))
    found = known if known.best is not None and known.counts else history.so_far(known)
    if found.best is None or found.value is None or not math.isfinite(number(found.value)):
        raise UserError(f"trial {trial} of study '{history.study}' is {known.status} and has no value to export")
    status = "has not ended" if found.outcome is Outcome.UNFINISHED else str(found.outcome)
    lines = [f"Trial {trial} of study {history.study}, chosen by its number: {status}."]
    if found.horizon < 1:
        lines.append(f"It is the training at horizon {shown(found.horizon)}: shorter, and shifted to that length.")
    return Choice(found, tuple(lines))


def cheapest(history: History) -> Choice:
    """The good trial whose training costs least; the winner itself if none is cheaper.

    Raises UserError if no trial has a value, or nothing is known or may be assumed of the seed noise.
    """
    best = winner(history)
    found = bands.near(history)
    if found is None:
        name = f"study '{history.study}'"
        raise UserError(
            f"{name}: the seed noise of {history.metric} is not measured, so it is unknown which trials are as good as "
            f"the best: hpsearch confirm {history.study} --seeds 2 measures it"
        )
    good = [one for one in found.trials if _is_comparable(history, best, one)]
    least = min(map(cost, good))
    chosen = next(one for one in good if cost(one) <= PACE * least)  # the best of them: the good ones are in order
    if chosen.number == best.number:
        chosen = best
    return Choice(chosen, _lines(history, best, chosen, len(good), found), _facts(history, best, chosen, found))


def _is_comparable(history: History, best: TrialHistory, one: TrialHistory) -> bool:
    """Whether a good trial may stand in for the best one."""
    if one.number == best.number:
        return True
    if _device(one) != _device(best) or one.best is None or cost(one) <= 0:
        return False
    if (found := history.confirmation) is None or (again := found.of(one.number)) is None or found.sigma is None:
        return True
    return found.is_tie(found.winner, again)


def _device(trial: TrialHistory) -> str:
    """The kind of a device: cpu of cpu@host, cuda of cuda:1."""
    return trial.device.partition("@")[0].partition(":")[0]


def _loss(history: History, best: TrialHistory, one: TrialHistory, sigma: float) -> tuple[float, float]:
    """By how much a trial is worse than the best one, by fresh seeds if both have them, and its margin."""
    sign = 1 if history.direction == "minimize" else -1
    found = history.confirmation
    again = None if found is None else found.of(one.number)
    if found is not None and again is not None and (margin := found.margin_between(found.winner, again)) is not None:
        return sign * (again.mean - found.winner.mean), margin
    return sign * (number(one.value) - number(best.value)), bands.standard_errors(history) * sigma * math.sqrt(2)


def _lines(history: History, best: TrialHistory, chosen: TrialHistory, good: int, found: bands.Near) -> tuple[str, ...]:
    how = bands.source(found.assumed, found.repeats)
    sigma = f"sigma {found.sigma:.2g}{', ' * bool(how)}{how}"
    if chosen.number == best.number:
        return (f"No good trial is cheaper than the winner, trial {best.number} ({cost(best):.3g} s to train).",)
    loses, margin = _loss(history, best, chosen, found.sigma)
    return (
        f"The cheapest of the {good} trials within two sigma of the best of study {history.study}: "
        f"trial {chosen.number}.",
        f"It costs {cost(chosen):.3g} s to train, the winner (trial {best.number}) {cost(best):.3g} s.",
        f"It is {'worse' if loses >= 0 else 'better'} by {history.metric} {abs(loses):.2g} ± {margin:.2g} ({sigma}).",
    )


def _facts(history: History, best: TrialHistory, chosen: TrialHistory, found: bands.Near) -> dict[str, Any]:
    loses, margin = _loss(history, best, chosen, found.sigma)
    return {
        "cheapest": {
            "seconds": cost(chosen),
            "winner": best.number,
            "winner_seconds": cost(best),
            "worse_by": 0.0 if chosen.number == best.number else loses,
            "margin": margin,
            "sigma": found.sigma,
            "sigma_assumed": found.assumed,
        }
    }
