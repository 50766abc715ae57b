"""Whether a training reproduces the trial that its config was exported from.

On a CPU, the same versions, data and number of threads repeat a training to the last bit. Elsewhere its value differs
as if by the seed: two trainings agree if their values are a tie, closer than t * sigma * sqrt(2), where sigma is the
standard deviation of one training's value over seeds, and t the 97.5% quantile of Student's t with the degrees of
freedom that sigma was measured with; 2 where sigma is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch import quantiles
from hpsearch.config import Config
from hpsearch.contract import WorkerSettings
from hpsearch.errors import TrainingFailed, UserError
from hpsearch.final.provenance import edits
from hpsearch.home.identity import of_other_rules
from hpsearch.output.digits import digits
from hpsearch.results.evidence.bands import ASSUMED, LOSSES
from hpsearch.space.experiment import Experiment
from hpsearch.system.environment import versions

CLOSE = 0.01  # relative difference; more than this is not rounding
ASSUMED_OTHERS = 0.01  # sigma of a metric that is no loss, as a share of the value


@dataclass(frozen=True)
class Verification:
    """Whether a second training of an exported config reproduces the value that the file names."""

    reproduces: bool
    exact: bool  # to the last bit
    value: float  # of the second training
    expected: float  # of the trial, in the search
    tolerance: float  # differences below it are a tie; 0: the last bit is asked for
    differences: tuple[str, ...]  # from the search: versions, commit, device, data, ...
    line: str  # the verdict in one line
    stopped: bool = False  # on request, before its end: nothing is known


@dataclass(frozen=True)
class Expected:
    """What a second training of an exported config is measured by."""

    trial: str  # "trial 3 of study 'reviews'"
    metric: str
    value: float
    sigma: float
    assumed: bool  # whether sigma is assumed, not measured
    differences: tuple[str, ...]
    minimize: bool = True
    freedom: int = 0  # degrees of freedom of sigma; 0: not known

    @property
    def to_the_bit(self) -> bool:
        """Whether nothing excuses a difference in the last bit."""
        return not self.differences

    @property
    def margin(self) -> float:
        """The difference below which two trainings of one config are a tie."""
        errors = quantiles.student(self.freedom) if self.freedom else quantiles.ASSUMED
        return errors * self.sigma * math.sqrt(2)

    def verdict(self, measured: Sequence[float]) -> Verification:
        """Judges a training by its values, one for each evaluation; raises TrainingFailed if none is finite.

        The trial's value was measured at the end or is the best one: the nearer of the two is compared.
        """
        finite = [value for value in measured if math.isfinite(value)]
        if not finite:
            raise TrainingFailed(f"no evaluation of {self.metric} was finite: there is nothing to compare")
        best = min(finite) if self.minimize else max(finite)
        found = min((best, finite[-1]), key=lambda value: abs(value - self.value))
        exact = self.value in finite
        value = self.value if exact else found
        reproduces = exact or (not self.to_the_bit and abs(value - self.value) < self.margin)
        tolerance = 0.0 if self.to_the_bit else self.margin
        line = self._line(value, exact=exact, reproduces=reproduces)
        return Verification(reproduces, exact, value, self.value, tolerance, self.differences, line)

    def _line(self, value: float, *, exact: bool, reproduces: bool) -> str:
        if exact:
            return f"{self.trial} reproduces to the last bit: {self.metric} {digits(value)}"
        by = f"{self.metric} {digits(value)} against {digits(self.value)}, a difference of {value - self.value:+.2g}"
        if reproduces:
            return f"{self.trial} reproduces within the seed noise: {by}; {self._tie()}"
        if self.to_the_bit and abs(value - self.value) < self.margin:
            return f"{self.trial} is NOT reproduced to the last bit, and nothing else differs: {by}; {self._tie()}"
        return f"{self.trial} is NOT reproduced: {by}; {self._tie()}"

    def _tie(self) -> str:
        source = "assumed" if self.assumed else "measured by the confirmation"
        return f"a tie is below {self.margin:.2g} (sigma {self.sigma:.2g}, {source})"

    def lines(self, known: Mapping[str, Any], seed: int) -> Iterator[str]:
        """Yields what is compared, what differs from the search, and what is asked for."""
        own = f"{self.metric} {digits(self.value)}"
        yield f"to reproduce: {self.trial}, {own}: its own value in the search, of seed {seed}"
        if (mean := _mean(known)) is not None:
            yield f"the mean of its fresh seeds, {digits(mean)}, is of other trainings and is not compared"
        for difference in self.differences:
            yield f"differs from the search: {difference}"
        if self.to_the_bit:
            yield "same versions, data and kind of processor: the value must repeat to the last bit"
        else:
            yield f"so the last bit is not asked for: {self._tie()}"


def compared(experiment: Experiment, config: Config) -> float:
    """Returns the value that an exported file names.

    Raises UserError if it names none, or was edited since its export.
    """
    known, metric, place = experiment.provenance, config.objective.metric, experiment.where("provenance")
    if not known:
        file = experiment.path
        raise UserError(
            f"{file}: has no provenance, so it names no value to reproduce; take what hpsearch export wrote"
        )
    if edited := edits(known, config):
        what = f"{'; '.join(edited)}: this is another training than trial {known.get('trial')}"
        raise UserError(f"{place}: {what}; undo to verify it")
    value = known.get(metric)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{place}: provenance.{metric} is not a finite number: there is no value to reproduce")
    return float(value)


def expected(
    experiment: Experiment, config: Config, settings: WorkerSettings, *, here: Mapping[str, Any], data: Sequence[str]
) -> Expected:
    """What a training of an exported config should come to; `here`: this environment; `data`: the sets that changed.

    Raises UserError as `compared` does.
    """
    value, known, metric = compared(experiment, config), experiment.provenance, config.objective.metric
    measured = known.get("confirmation") or {}
    found, freedom = measured.get("seed_sigma"), measured.get("degrees_of_freedom") or 0
    assumed = (ASSUMED if metric.endswith(LOSSES) else ASSUMED_OTHERS) * abs(value)
    differing = (*differences(known, settings, here), *data)
    lower = config.objective.direction == "minimize"
    trial = f"trial {known.get('trial')} of study '{known.get('study')}'"
    return Expected(trial, metric, value, assumed if found is None else found, found is None, differing, lower, freedom)


def differences(known: Mapping[str, Any], settings: WorkerSettings, here: Mapping[str, Any]) -> Iterator[str]:
    """Yields what differs between the search and a training here, other than the data: `torch 2.12.0 -> 2.13.0`."""
    if maker := of_other_rules(known.get("rules", 1)):
        yield f"the trial is of {maker}, which cuts, trains and scores otherwise"
    device = str(known.get("device") or settings.device)
    if (device if "@" in device else _kind(device)) != _kind(settings.device):  # cpu@host: on Ray
        yield f"device {device} -> {settings.device}"
    elif _kind(settings.device) != "cpu":
        yield f"device {settings.device}: GPUs do not repeat to the last bit"
    if known.get("threads") not in (None, settings.threads):
        yield f"threads {known['threads']} -> {settings.threads}"
    for name in ("processor", "python", "git_commit", "git_dirty"):
        if name in known and known[name] != here.get(name):
            yield f"{name} {_shown(known[name])} -> {_shown(here.get(name))}"
    yield from _other_versions(known)


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _mean(known: Mapping[str, Any]) -> float | None:
    """The mean over fresh seeds of the exported trial; None if it was not confirmed."""
    finalists = (known.get("confirmation") or {}).get("finalists") or []
    found = next((one.get("mean") for one in finalists if one.get("trial") == known.get("trial")), None)
    return found if isinstance(found, int | float) else None


# -------------------------------------------------------------------------------------------- beside the final training


def reproduction(
    known: Mapping[str, Any],
    config: Config,
    found: float,
    settings: WorkerSettings,
    *,
    data_changed: bool = False,
    measured: Collection[float] = (),
) -> str | None:
    """One line saying whether the trial's value was reproduced; None if the config is not of a trial.

    found: the best value; measured: the values of all evaluations. A trial that cooled down was measured at its end
    alone, and an evaluation on the way may be better.
    """
    metric, trial = config.objective.metric, f"trial {known.get('trial')}"
    expected, edited = known.get(metric), edits(known, config)
    if edited or data_changed:
        why = "; ".join([*edited, *(["the data changed"] if data_changed else [])])
        against = f" against its {digits(expected)}" if isinstance(expected, int | float) else ""
        return f"{why}: this is another training than {trial}; {metric} {digits(found)}{against}"
    if not isinstance(expected, int | float):
        return None
    if found == expected:
        return f"{metric} {digits(found)}: {trial}'s value, reproduced to the last bit"
    if expected in measured:
        own = f"{metric} {digits(expected)}: {trial}'s value, reproduced to the last bit"
        return f"{own}; another evaluation of this training was better, {digits(found)}, and the model is of that one"
    difference = f"{metric} {digits(found)}, {trial}'s was {digits(expected)} (difference {found - expected:+.2g})"
    return f"{difference}: {_why(known, settings, close=math.isclose(found, expected, rel_tol=CLOSE))}"


def _why(known: Mapping[str, Any], settings: WorkerSettings, *, close: bool) -> str:
    """The likely cause of the difference."""
    if maker := of_other_rules(known.get("rules", 1)):
        return f"{known.get('study')} was searched by {maker}, which cuts, trains and scores otherwise"
    kind = str(known.get("device")).partition("@")[0]  # cpu@host: on Ray
    if (settings.device, kind) != ("cpu", "cpu"):
        return "GPUs do not repeat to the last bit"
    if settings.threads != known.get("threads"):
        return f"trained with {settings.threads} threads instead of {known.get('threads')}"
    packages = ", ".join(_other_versions(known))
    if close:
        return f"another package version ({packages})" if packages else "another processor or package version"
    if packages:
        return f"NOT reproduced; packages changed: {packages}"
    return (
        "NOT reproduced; have the packages changed?"
        if known.get("data_contents")
        else ("NOT reproduced; have the data or packages changed?")
    )


def _other_versions(known: Mapping[str, Any]) -> list[str]:
    before, now = known.get("versions") or {}, versions()
    return [f"{name} {before[name]} -> {now[name]}" for name in now if name in before and before[name] != now[name]]
