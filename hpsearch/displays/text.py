"""Formats trials, values and messages for a terminal."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape

from hpsearch.displays.live.state import telling
from hpsearch.journal.confirmation import Confirmation, Finalist
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact
from hpsearch.results.evidence import band_lines, bands
from hpsearch.results.evidence.caveats import at_chance
from hpsearch.results.evidence.comparisons import against_default, beaten, unbeaten, unmeasured
from hpsearch.results.evidence.pruning_audit import Audit, Audited, audit_of
from hpsearch.results.evidence.short_budgets import short_budgets

SHOWN = 5  # trial numbers in a line


def plain(text: str) -> str:
    """Returns text that prints as it is: markup escaped, control characters removed."""
    return escape(printable(redact(text)))


def cell(text: str) -> str:
    """Returns text for a cell of a table: without control characters and secrets."""
    return printable(redact(text))


def inline(text: str) -> str:
    """Returns text for a part of a line: without line breaks, control characters and secrets."""
    return printable(redact(text), keep="")


def error_file(folder: Path, trial: TrialHistory) -> str:
    """The file with what failed in a trial, from the working folder if it is below; empty: there is none.

    folder: the study's.
    """
    path = folder / "checkpoints" / f"{trial.number:04d}" / "error.txt"
    if trial.outcome is not Outcome.FAILED or not path.is_file():
        return ""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def params(trial: TrialHistory) -> str:
    """A trial's params in one line; the sampled value beside another one that its value is of."""
    return " ".join(f"{name}={shown(value)}" for name, value in trial.told_params.items())


def short_params(trial: TrialHistory, default: TrialHistory | None) -> str:
    """A trial's params by their short names, those that differ from the default config's first."""
    return " ".join(f"{name}={shown(value)}" for name, value in telling(trial.told_params, default).items())


def named(trial: TrialHistory) -> str:
    """Names a trial, and its horizon in a search over horizons: "trial 5 (trial 2 at horizon 1/9)"."""
    return f"{trial.name} ({trial.stage})" if trial.stage else trial.name


def equals(history: History, best: TrialHistory) -> str | None:
    """A line about the trials with the same value as the best one; None if there are none."""
    tied = history.tied(best)
    if not tied or history.confirmation is not None:  # fresh seeds have decided
        return None
    others = ", ".join(map(str, tied[:SHOWN])) + (", ..." if len(tied) > SHOWN else "")
    kind = "trial has" if len(tied) == 1 else "trials have"
    return (
        f"tie: {len(tied)} other {kind} the same {history.metric} {digits(best.value or 0.0)} ({others}); "
        f"the first of them, trial {best.number}, is the winner"
    )


def confirmed(history: History) -> list[str]:
    """Lines that say what trainings with fresh seeds made of the best trials; none if there were none."""
    found = history.confirmation
    if found is None:
        return []
    default = history.default()
    finalists = _finalists(found, default=None if default is None else default.number)
    return [_winner(found, history.metric), *finalists, _noise(found, history)]


def _winner(found: Confirmation, metric: str) -> str:
    seeds = sorted({len(one.values) for one in found.finalists})
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    ties = f"; a tie with {_listed(found.tied)}" if found.tied else ""
    value = f"trial {found.winner.trial}, {metric} {_mean(found, found.winner)}"
    how = "trained again with 1 fresh seed" if each == "1" else f"confirmed with {each} fresh seeds"
    return f"{how} each: the winner is {value}{ties}"


def _finalists(found: Confirmation, *, default: int | None) -> Iterator[str]:
    for one in found.finalists:
        tie = ", tie" if one.trial in found.tied else ""
        name = f"trial {one.trial}{' (the default config)' * (one.trial == default)}"
        yield f"  {name}: {_mean(found, one)}{tie} (in the search {digits(one.searched)})"


def _noise(found: Confirmation, history: History) -> str:
    gap = "the search's best value is the winner's mean"
    if digits(found.searched) != digits(found.winner.mean):
        by = f"{digits(abs(found.optimism))} {'better' if found.optimism > 0 else 'worse'}"
        gap = f"the search's best value is {by} than the winner's mean"
    if found.sigma is None:
        return f"{unmeasured(history)}; {gap}"
    freedom = f"{found.freedom} degree{'s' * (found.freedom > 1)} of freedom"
    return f"seed noise of {history.metric}: sigma {found.sigma:.2g} ({freedom}), {_tie(found)}; {gap}"


def _tie(found: Confirmation) -> str:
    """Below which difference two means are a tie, where all have as many seeds."""
    seeds = {len(one.values) for one in found.finalists}
    margin = found.margin_between(*found.finalists[:2]) if len(seeds) == 1 and len(found.finalists) > 1 else None
    return "± is a 95% interval" + ("" if margin is None else f", means within {margin:.2g} are a tie")


def _mean(found: Confirmation, one: Finalist) -> str:
    """A mean and half of its 95% interval."""
    if not math.isfinite(one.mean):
        return "diverged with a fresh seed"
    margin = found.margin(one)
    return digits(one.mean) + ("" if margin is None else f" ± {margin:.2g}")


def _listed(trials: tuple[int, ...]) -> str:
    return f"trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))}"


def audited(history: History) -> list[str]:
    """Lines that say what the trials that were stopped early would have come to; none if there was no audit."""
    found = audit_of(history)
    return [] if found is None else list(_audit(history, found, bands.sigma_of(history)))


def _audit(history: History, found: Audit, sigma: float | None) -> Iterator[str]:
    count, metric = len(found.audited), history.metric
    yield f"audit: {count} of the {found.stopped} trials that were pruned or are paused, trained to their end"
    for one in found.audited:
        ended = f"{one.outcome} with {digits(one.final)}" if math.isfinite(one.final) else "diverged"
        value = f" with {digits(one.value)}" if math.isfinite(one.value) else ""
        better = (
            f", better than the winner by {_by(found, one, sigma, bands.standard_errors(history))}"
            if one.better
            else ""
        )
        yield f"  trial {one.trial}: {one.stopped} at {one.progress:.0%}{value}; at its end {ended}{better}"
    seeds = f"{found.seeds} fresh seed{'s' * (found.seeds > 1)}"
    kind = f"its mean over {seeds}" if found.seeds else "its value in the search, which is flattered"
    low, high = found.interval
    share = (
        f"{low:.0%}" if low == high else f"{found.share:.0%} of all such trials (95% interval: {low:.0%} to {high:.0%})"
    )
    winner = f"the winner, trial {found.winner} ({metric} {digits(found.value)}, {kind})"
    yield f"{found.better} of {count} would have beaten {winner}: {share}"
    if (rank := found.rank_correlation) is not None:
        yield f"rank correlation of the values where they were stopped with the final ones: {rank:.2f}"
    yield f"stopping trials early saved about {_duration(found.saved)} of device time"
    if found.better:
        yield _use(history, found)


def _by(found: Audit, one: Audited, sigma: float | None, errors: float) -> str:
    """By how much an audited trial is better than the winner, and half of the 95% interval of that."""
    gap = f"{abs(one.final - found.value):.2g}"
    if sigma is None:
        return f"{gap} (the seed noise is not measured)"
    margin = errors * sigma * math.sqrt(1 + 1 / max(found.seeds, 1))
    noise = ", within the seed noise" if abs(one.final - found.value) < margin else ""
    return f"{gap} ± {margin:.2g}{noise}"


def _use(history: History, found: Audit) -> str:
    """How the best audited trial can be used."""
    sign = 1 if history.direction == "minimize" else -1
    best = min((one for one in found.audited if one.better), key=lambda one: sign * one.final)
    what = (
        f"an audit changes no winner; to use trial {best.trial}: hpsearch export {history.study} --trial {best.trial}"
    )
    return f"{what}, or put its params into search.first of a new study"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} s"


def about_winner(history: History) -> list[str]:
    """Lines that compare the winner with the default config and the baselines; the last ones may be warnings."""
    good = [line for line in (against_default(history), beaten(history)) if line]
    return [*good, *(f"warning: {line}" for line in [*at_chance(history), *unbeaten(history)])]


def about_values(history: History) -> list[str]:
    """Lines about the values of good trials, and about values at the edge of a range; some are warnings."""
    return [*band_lines.lines(bands.of(history)), *short_budgets(history)]


def shown(value: Any) -> str:
    """Formats a param's value."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def quoted(path: Path | str) -> str:
    """Quotes a path for a shell."""
    return shlex.quote(str(path))
