"""What a pruner has cost: a sample of the trials that it stopped, trained to their end. Pure functions of the history.

An audit trains the config of a trial that was pruned, or is paused for good, with the trial's own seed: what the trial
would have come to. It is no trial of the search and never wins. The sample is drawn without replacement and uniformly
over all such trials, by a hash of the study's seed and the trial's number: a larger sample contains the smaller one.

share     k of n audited trials are better than the winner; the 95% interval is Wilson's (1927): with p = k / n and
          z = 1.96, its centre is (p + z^2 / 2n) / (1 + z^2 / n), its half width z * sqrt(p (1 - p) / n + z^2 / 4n^2) /
          (1 + z^2 / n). Where all were audited, the share is exact.
rank      Spearman's rank correlation of the values where the trials were stopped with their final ones.
saved     the mean device time from where a trial was stopped to its end, times the number of stopped trials.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome

TRIALS = 3  # in a sample, by default
Z = 1.959964  # of a 95% interval
FEWEST_RANKED = 3  # trials of which a rank correlation is given


@dataclass(frozen=True)
class Audited:
    """A trial that was stopped, and what it would have come to."""

    trial: int
    stopped: str  # pruned, paused
    progress: float  # share of its training when it was stopped, 0 to 1
    value: float  # there; nan: the objective was not measured yet
    final: float  # at its end; nan: it diverged
    outcome: str  # of the audit
    seconds: float  # device time from there to the end
    better: bool  # than the winner


@dataclass(frozen=True)
class Audit:
    """The trials of a study that were audited, in the order of the sample, beside its winner."""

    audited: tuple[Audited, ...]
    stopped: int  # trials that were pruned or are paused: the sample is of these
    winner: int
    value: float  # of the winner: its mean over fresh seeds if it was confirmed, else its value in the search
    seeds: int  # fresh seeds in that mean; 0: it is the value in the search

    @property
    def better(self) -> int:
        """The number of audited trials that are better than the winner."""
        return sum(one.better for one in self.audited)

    @property
    def share(self) -> float:
        """The share of audited trials that are better than the winner."""
        return self.better / len(self.audited)

    @property
    def interval(self) -> tuple[float, float]:
        """A 95% interval of that share among all stopped trials."""
        if len(self.audited) >= self.stopped:
            return self.share, self.share
        return wilson(self.better, len(self.audited))

    @property
    def rank_correlation(self) -> float | None:
        """Of the values where trials were stopped with their final ones; None of too few trials, or equal values."""
        pairs = [(one.value, one.final) for one in self.audited if math.isfinite(one.value + one.final)]
        return spearman(pairs) if len(pairs) >= FEWEST_RANKED else None

    @property
    def saved(self) -> float:
        """Seconds of device time that stopping trials saved, about."""
        return self.stopped * fmean(one.seconds for one in self.audited)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data; numbers that are not finite become None."""
        trials = [
            {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in one.items()
            }
            for one in map(asdict, self.audited)
        ]
        found: dict[str, Any] = {
            "winner": self.winner,
            "value": self.value,
            "fresh_seeds": self.seeds,
            "stopped": self.stopped,
        }
        found |= {"better": self.better, "share": self.share, "interval": list(self.interval)}
        return {**found, "rank_correlation": self.rank_correlation, "saved_seconds": self.saved, "audited": trials}


def audit_of(history: History) -> Audit | None:
    """Returns the audit of a study; None if none of its audits has ended with a value, or it has no winner.

    Left out: audits that failed for another reason than their loss, and trials that the search has trained out since.
    """
    winner = history.leader()
    if winner is None or winner.value is None:
        return None
    confirmed = history.confirmation
    value, seeds = (winner.value, 0) if confirmed is None else (confirmed.winner.mean, len(confirmed.winner.values))
    if not math.isfinite(value):
        value, seeds = winner.value, 0
    ended = (one for one in history.audits.values() if one.counts or one.outcome is Outcome.DIVERGED)
    found = tuple(_audited(history, one, value) for one in ended if _is_stopped(history, one.confirms))
    return Audit(found, len(stopped(history)), winner.number, value, seeds) if found else None


def stopped(history: History) -> list[int]:
    """The numbers of the trials that were pruned or are paused, without the winner."""
    leader = history.leader()
    return [n for n in sorted(history.trials) if _is_stopped(history, n) and (leader is None or n != leader.number)]


def sample(history: History, seed: int, size: int) -> list[int]:
    """The first `size` stopped trials in the order of the audit: those that it has begun with, then by their hashes."""
    begun = list(history.audits)
    rest = sorted(set(stopped(history)) - set(begun), key=lambda number: _key(seed, number))
    return [*begun, *rest][: max(size, len(begun))]


def wilson(k: int, n: int) -> tuple[float, float]:
    """Returns Wilson's 95% interval of a share, of which k of n draws were seen."""
    p, z2 = k / n, Z * Z / n
    centre, half = (p + z2 / 2) / (1 + z2), Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Returns Spearman's rank correlation; equal values share their mean rank. None if all values of one side are."""
    a, b = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    mean = (len(pairs) - 1) / 2
    both = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    size = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return both / size if size else None


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _is_stopped(history: History, number: int | None) -> bool:
    trial = history.trials.get(-1 if number is None else number)
    return trial is not None and (trial.outcome is Outcome.PRUNED or (trial.paused and trial.outcome is None))


def _audited(history: History, one: TrialHistory, value: float) -> Audited:
    assert one.confirms is not None  # of an audit
    final = number(one.value) if one.counts else math.nan
    left, trial = one.audits, history.trials[one.confirms]
    return Audited(
        trial.number,
        "paused" if trial.paused else "pruned",
        left.get("progress") or 0.0,
        number(left.get("value")),
        final,
        str(one.outcome),
        max(0.0, one.seconds - (left.get("seconds") or 0.0)),
        math.isfinite(final) and history.better(final, value),
    )


def _key(seed: int, trial: int) -> bytes:
    return hashlib.sha256(f"audit,{seed},{trial}".encode()).digest()
