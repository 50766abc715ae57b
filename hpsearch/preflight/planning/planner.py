"""Makes the plan of a study: prepares the data as a run does, measures corners, and says what the study will take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev, quantiles
from typing import Any

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.home.home import Home
from hpsearch.journal.device_time import device_of
from hpsearch.launchers.devices import plan as workers_of
from hpsearch.policies.budget.spending import limits
from hpsearch.preflight.planning import lint, shares
from hpsearch.preflight.planning.corners import Corner, corners, draws, telling
from hpsearch.preflight.planning.measuring import Measurement, bench
from hpsearch.preflight.planning.outlook import Pace, outlook
from hpsearch.preflight.planning.plan import Measured, Memory, Plan, TrialTime
from hpsearch.preflight.preparation import prepare
from hpsearch.results.evidence import idle_gpus
from hpsearch.space.experiment import Experiment
from hpsearch.space.resources import RayWorkers
from hpsearch.storage.checkpoints import KEEP_BEST
from hpsearch.system import gpus
from hpsearch.trainers import Cost, CostModel, Prepared, Sample

CGROUP = Path("/sys/fs/cgroup/memory.max")  # bytes that a container may take
Progress = Callable[[str, float], None]


def make(experiment: Experiment, home: Home, *, seconds: float, progress: Progress, quick: bool = False) -> Plan:
    """Returns the plan of a study; seconds: for measuring. quick: nothing is measured, the data are only prepared.

    Raises UserError for data that do not fit the space, or for workers that this machine does not have.
    """
    _refuse_storage(experiment)
    settings = _workers(experiment, home)
    no_study = replace(experiment, study=home.cache.name)  # the traceback of a user's trainer goes there
    prepared = prepare(no_study, home, progress)
    budget, data = tuple(limits(experiment.budget)), tuple(prepared.summary)
    found = Plan(experiment.study, settings[0].device, len(settings), settings[0].threads, budget, data)
    advice = [*lint.lint(experiment, prepared.sets)]
    if not quick:
        found = _measured(found, _Job(experiment, home, prepared, settings), seconds, progress)
        advice += lint.measured(experiment, found)
    warnings = [*lint.lines(experiment, advice), *lint.reading(experiment, prepared)]
    return replace(found, warnings=tuple(warnings))


@dataclass(frozen=True)
class _Job:
    """One plan: the experiment, where it is prepared, and its workers."""

    experiment: Experiment
    home: Home
    prepared: Prepared
    settings: list[WorkerSettings]


def _refuse_storage(experiment: Experiment) -> None:
    launcher = experiment.resources.launcher
    if isinstance(launcher, RayWorkers) and launcher.storage is not None:
        place = experiment.where("resources", "launcher", "storage")
        raise UserError(f"{place}: a plan measures on nodes that share the home; --launcher local measures here")


def _workers(experiment: Experiment, home: Home) -> list[WorkerSettings]:
    """The settings of the workers that a run would have; of a cluster's workers, before it is asked, only a guess."""
    resources, cache, base = experiment.resources, home.cache.resolve(), experiment.base.resolve()
    if isinstance(resources.launcher, RayWorkers):
        workers = resources.workers if isinstance(resources.workers, int) else 1
        return [WorkerSettings(resources.device, resources.threads or 1, cache, base)] * workers
    found = workers_of(resources, cache=cache, base=base)
    return found[:1] if resources.launcher.name == "inline" else found


def _measured(plan: Plan, job: _Job, seconds: float, progress: Progress) -> Plan:
    """The plan with what is measured, and what follows from it."""
    random = draws(job.experiment, job.prepared.sets)
    wanted = corners(job.experiment, job.prepared.sets, random)
    began = time.monotonic()
    with bench(job.experiment, job.home, seconds=seconds) as workers:
        measurements = list(workers.measure(wanted, job.prepared.folders, progress))
        start, notes, settings = workers.start, tuple(workers.notes), workers.launcher.settings
    job = replace(job, settings=settings)
    names = tuple(telling(job.experiment, job.prepared.sets))
    plan = replace(plan, spent=time.monotonic() - began, start=start, notes=notes, telling=names)
    plan = replace(plan, device=settings[0].device, workers=len(settings), threads=settings[0].threads)
    samples = [one.sample for one in measurements if one.sample is not None]
    if not samples:
        return replace(
            plan, measured=tuple(Measured(m.corner.name, m.corner.params, failure=m.failure) for m in measurements)
        )
    model = job.experiment.trainer.cost_model(samples, job.prepared.sets)
    costs = [model(one.config) for one in random]
    plan = replace(plan, measured=_table(measurements, model), trial=_trial_time(costs, measurements, model))
    plan = replace(plan, memory=_memory(job, samples, random, model, names), busy=_busy(samples), **_files(job, costs))
    return _studied(plan, job)


def _table(measurements: Sequence[Measurement], model: CostModel) -> tuple[Measured, ...]:
    """A row for each corner, whatever the number of times that it was measured."""
    rows: dict[int, Measured] = {}
    for one in measurements:
        corner, sample = one.corner, one.sample
        if sample is None:
            rows.setdefault(id(corner), Measured(corner.name, corner.params, failure=one.failure))
            continue
        rows[id(corner)] = Measured(corner.name, corner.params, model(corner.config).seconds, sample.memory or None)
    return tuple(rows.values())


def _trial_time(costs: Sequence[Cost], measurements: Sequence[Measurement], model: CostModel) -> TrialTime:
    seconds = [cost.seconds for cost in costs]
    low, high = _deciles(seconds)
    corners_ = [model(one.corner.config).seconds for one in measurements]
    total = sum(seconds)
    return TrialTime(
        mean=_between(fmean(seconds), seconds),
        low=low,
        high=high,
        longest=max([*seconds, *corners_]),
        deviation=pstdev(seconds),
        training=sum(cost.training for cost in costs) / total,
        evaluating=sum(cost.evaluating for cost in costs) / total,
    )


def _at_once(plan: Plan, devices: int) -> int:
    """The workers that train at the same time: on a GPU, those that its memory has room for."""
    memory = plan.memory
    if memory is None or not plan.device.startswith("cuda") or not memory.available:
        return plan.workers
    each = max(1, memory.together // max(1, memory.at_once))
    return min(plan.workers, devices * max(1, memory.available // each))


def _deciles(values: Sequence[float]) -> tuple[float, float]:
    """What 10% and 90% of the values are below."""
    if len(values) < 2:
        return values[0], values[0]
    found = quantiles(values, n=10, method="inclusive")
    return _between(found[0], values), _between(found[-1], values)


def _between(value: float, values: Sequence[float]) -> float:
    """A mean or quantile of the values, within their extremes: rounding takes that of equal numbers a bit beside."""
    return min(max(value, min(values)), max(values))


def _memory(
    job: _Job, samples: Sequence[Sample], random: Sequence[Corner], model: CostModel, names: Sequence[str]
) -> Memory | None:
    """What trainings take of the device's memory, or of this machine's; names: of the params that matter."""
    costs = [model(one.config) for one in random]
    peak = max([sample.memory for sample in samples] + [cost.memory for cost in costs])
    if not peak:
        return None
    device = max(sample.device_memory for sample in samples)
    places = [device_of(one.device, 0 if device else n) for n, one in enumerate(job.settings)]
    at_once = max(places.count(place) for place in places) if device else len(job.settings)
    available = device or machine_memory()
    together = round(at_once * fmean(cost.memory for cost in costs))
    over = [(cost.memory, one) for cost, one in zip(costs, random, strict=True) if 0 < available < cost.memory]
    least = min(over, key=lambda pair: pair[0])[1].params if over else {}
    told = {name: value for name, value in least.items() if name in names}
    return Memory(peak, together, available, at_once, len(over) / len(costs), told)


def _busy(samples: Sequence[Sample]) -> float | None:
    """Percent of the time of training in which GPUs ran kernels, at most."""
    as_trained = idle_gpus.busy(sample.evaluations for sample in samples)  # by a trainer without a `measure`
    if as_trained is not None:
        return as_trained
    return idle_gpus.busy_in_steps(one for sample in samples for one in sample.evaluations)


def machine_memory() -> int:
    """Bytes of this machine's memory, or of this container's; 0: unknown."""
    found: list[int] = []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        found.append(int(CGROUP.read_text()))
    return min(found, default=0)


def _files(job: _Job, costs: Sequence[Cost]) -> dict[str, Any]:
    """The bytes of the checkpoints at most and after the study: of the largest configs."""
    largest, workers = max(cost.state for cost in costs), len(job.settings)
    kept = KEEP_BEST * max(cost.weights for cost in costs)
    paused = (job.experiment.budget.trials or 0) if job.experiment.pruner.name == "promotion" else 0
    return {"disk": kept + (workers + paused) * largest, "kept": kept}


def _studied(plan: Plan, job: _Job) -> Plan:
    """The plan with the course of the study, without and with its pruner."""
    assert plan.trial is not None
    experiment = job.experiment
    devices = gpus.count({device_of(one.device, n) for n, one in enumerate(job.settings)})  # or workers on the CPU
    spread = plan.trial.deviation / plan.trial.mean
    pace = Pace(plan.trial.mean, 1.0, plan.start, _at_once(plan, devices), devices, spread)
    configs, confirm = experiment.space.size, experiment.search.confirm
    whole = outlook(experiment.budget, confirm, pace, configs=configs)
    share = shares.expected(experiment, job.home, trials=max(1, whole.trials))
    plan = replace(plan, whole=whole, share=share.mean, share_from=share.source)
    if share.mean is None:
        return plan
    pruning = replace(pace, share=share.mean, doubt=share.deviation)
    return replace(plan, pruned=outlook(experiment.budget, confirm, pruning, configs=configs))
