"""Checks a trainer's contract: trains one config of its space several times, and says what came of it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.config import OwnNames
from hpsearch.contract import WorkerSettings
from hpsearch.events import Judged, Judging, Preparing, Show
from hpsearch.home.home import Home
from hpsearch.launchers.devices import plan
from hpsearch.preflight.checking import judgement
from hpsearch.preflight.checking.findings import GROUP, PARTS, Conformance, Finding, not_checked
from hpsearch.preflight.checking.judgement import NO_SEED, Continued, Likeness
from hpsearch.preflight.checking.surroundings import Files, Processes
from hpsearch.preflight.checking.trainings import Course, Order, Trainings, trainings
from hpsearch.preflight.planning.corners import SMALLEST, Corner, corners, draws
from hpsearch.preflight.preparation import prepare
from hpsearch.space.experiment import Experiment
from hpsearch.space.resources import RayWorkers

STARTING = 60.0  # seconds for a worker to start, beside the time of a training
PATIENCE = 4  # times the first training that a later one may take
DRAWN = 20  # random configs, of which one is trained if the space has no default one
MOST_TOGETHER = 3  # trials that are trained together: two go on when one has paused
ON_RAY = (
    "Ray was not part of this check, which ran in worker processes of this machine: on Ray a trial that loses its node "
    "resumes on another one, by what it has saved in its folder, with what is installed on that node and the "
    "environment of its `ray start` (docs/cluster.md, Ray by hand)"
)
TOO_FEW = "a training has one evaluation: there is no place in between to stop it"
Progress = Callable[[str, float], None]


def check(experiment: Experiment, home: Home, *, trial_seconds: float, show: Show, quick: bool = False) -> Conformance:
    """Trains a small config of the space in workers of this machine, and returns what its trainer keeps.

    trial_seconds: of each training, at most, from its first evaluation on. quick: only two trainings, one of them
    paused and resumed (and one more if it resumes to another curve). All files go to a temporary folder. Raises
    UserError for data that do not fit the space, or for workers that this machine does not have. `show` receives each
    finding as soon as it is known.
    """

    def progress(what: str, share: float) -> None:
        show(Preparing(what, share))

    began, settings = time.monotonic(), _workers(experiment, home)
    parts = tuple(name for name in PARTS if name != GROUP or _groups(experiment))
    no_study = replace(experiment, study=home.cache.name)  # the traceback of a user's trainer goes there
    prepared = prepare(no_study, home, progress)
    corner = smallest(experiment, prepared.sets)
    with tempfile.TemporaryDirectory(prefix="hpsearch-check-", ignore_cleanup_errors=True) as folder:
        mate = None if quick or not _groups(experiment) else _mate(experiment, prepared.sets, corner)
        job = _Job(experiment, settings, Path(folder), prepared.folders, corner, trial_seconds, quick, progress, mate)
        suite = _Suite(job, home)
        show(Judging(experiment.study, experiment.trainer.name, settings[0].device, dict(corner.params), parts))
        findings = dict[str, Finding]()
        for one in suite.findings():
            findings[one.name] = _in_this_study(one, experiment)
            show(Judged(**vars(findings[one.name])))
    return Conformance(
        experiment.study,
        experiment.trainer.name,
        dict(corner.params),
        settings[0].device,
        tuple(findings.get(name) or not_checked(name, _why_not(findings, quick)) for name in parts),
        suite.count,
        time.monotonic() - began,
        (*suite.notes, *([ON_RAY] if isinstance(experiment.resources.launcher, RayWorkers) else [])),
    )


def _in_this_study(found: Finding, experiment: Experiment) -> Finding:
    """The finding with what it means for a study whose pruner pauses trials."""
    if found.name != "resumes" or found.passed is not False or experiment.pruner.name != "promotion":
        return found
    return replace(found, not_promised=f"{found.not_promised}; this study's pruner, promotion, pauses most trials")


def _why_not(findings: Mapping[str, Finding], quick: bool) -> str:
    return "--quick leaves it out" if quick and findings["evaluations"].passed else "there is no training to look at"


def smallest(experiment: Experiment, sets: Mapping[str, Any]) -> Corner:
    """The config of the space that costs least, as far as its trainer says so; else the default one."""
    random = draws(experiment, sets, DRAWN)
    found = corners(experiment, sets, random)
    return next((one for one in found if SMALLEST in one.name), found[0])


def _groups(experiment: Experiment) -> bool:
    """Whether the study's workers train several trials together."""
    return experiment.resources.trials_per_worker > 1


def _mate(experiment: Experiment, sets: Mapping[str, Any], corner: Corner) -> Any:
    """Another config that a worker may train together with this one: a random one of its shape, else the same."""
    shape = experiment.trainer.shape
    others = (one.config for one in draws(experiment, sets, DRAWN) if one.config != corner.config)
    return next((one for one in others if shape(one) == shape(corner.config)), corner.config)


def _workers(experiment: Experiment, home: Home) -> list[WorkerSettings]:
    """The settings of two workers on this machine; of one if it has the GPUs of one."""
    resources = experiment.resources.model_copy(update={"workers": "auto", "trials_per_gpu": 1})
    found = plan(resources, cache=home.cache.resolve(), base=experiment.base.resolve())
    return found[:2] if len(found) > 1 or resources.gpus_per_trial > 1 else found * 2


@dataclass(frozen=True)
class _Job:
    """One check."""

    experiment: Experiment
    settings: list[WorkerSettings]
    folder: Path  # for the files of the trainings
    prepared: dict[str, Path]
    corner: Corner
    trial_seconds: float
    quick: bool
    progress: Progress
    mate: Any = None  # a config that may be trained together with the corner's; None: none is


class _Suite:
    """The trainings of a check, one after another."""

    def __init__(self, job: _Job, home: Home) -> None:
        self._job, self._home, self._done = job, home, 0
        self.count, self.notes = 0, list[str]()
        self._repeats: bool | None = None  # whether one seed gives one curve; None: not known yet
        self._ended: Callable[[], None] = lambda: None  # after each training
        self._kind = job.experiment.trainer.name
        self._metric = job.experiment.objective.metric
        self._config = job.corner.config.model_dump(mode="json")
        self._limit, self._until = STARTING + PATIENCE * job.trial_seconds, Order()

    def findings(self) -> Iterator[Finding]:
        """Yields what is found, in the order in which it is known."""
        experiment, watched = self._job.experiment, [self._job.experiment.base, Path.cwd()]
        files = Files(watched, without=[self._home.path, self._job.folder])
        processes = Processes()
        with contextlib.closing(processes), self._open(self._job.settings, "a") as workers:
            seen = processes.await_workers(workers.workers)
            files.idle()
            self._ended = workers.ended = files.trained
            self._say("a training")
            first = workers.train(self._config, Order(after=self._job.trial_seconds, limit=self._limit))
            found = judgement.evaluations(
                first, self._metric, kind=self._kind, seconds=self._job.trial_seconds, names=self._names
            )
            yield found
            if found.passed is not True:
                return
            yield judgement.finite(first, kind=self._kind)
            ends_at = experiment.trainer.phases(self._job.corner.config).ends_at
            yield judgement.progress(first, ends_at, kind=self._kind)
            self._until = self._as_long_as(first)
            yield from self._compared(workers, first, processes if seen else None)
            yield self._written(files, processes)

    def _written(self, files: Files, processes: Processes) -> Finding:
        """Whether the trainings have written files elsewhere."""
        base = self._job.experiment.base.resolve()
        if files.too_many:
            return judgement.files(None, base=base, kind=self._kind)
        written, unknown = files.written(processes.open_elsewhere)
        if unknown and not written:
            return judgement.changed_meanwhile(unknown, base=base)
        return judgement.files(written, base=base, kind=self._kind)

    @property
    def _names(self) -> list[str]:
        """The names in the config that a function or program of the user's gets."""
        own = getattr(self._job.corner.config, "config", None)
        return list(own.nested) if isinstance(own, OwnNames) else []

    def _compared(self, workers: Trainings, first: Course, processes: Processes | None) -> Iterator[Finding]:
        """Yields what further trainings tell beside the first one."""
        quick, middle = self._job.quick, _middle(first)
        other: Course | None = None
        if not quick:
            self._say("the same with another seed")
            other = workers.train({**self._config, "seed": self._config["seed"] + 1}, self._until)
        likeness = Likeness(self._metric, first, other)
        if other is not None:
            yield from self._repeated(workers, likeness, other, middle)
        yield from self._paused(workers, likeness, middle)
        if not quick:
            yield judgement.memory(workers.memory, leaks=workers.leaks, kind=self._kind)
        left = None if processes is None or workers.leaks or workers.replaced else processes.left()
        yield judgement.processes(left, kind=self._kind)
        if not quick:
            yield self._killed(likeness, middle, first)

    def _repeated(self, workers: Trainings, likeness: Likeness, other: Course, middle: int | None) -> Iterator[Finding]:
        """Two trainings at once with the seed of the first one; where they differ from it, one more alone."""
        self._say("the same twice at once")
        pair = workers.train_together(self._config, self._until)
        alone = pair[0]
        if any(one.failure or not likeness.same(one) for one in pair):
            self._say("the same once more")
            alone = workers.train(self._config, self._until)
        found = judgement.seed(likeness, alone, other, kind=self._kind)
        yield found
        repeats = not alone.failure and likeness.same(alone)
        self._repeats = bool(alone.failure) or repeats
        yield judgement.together(likeness, pair, repeats, kind=self._kind)
        if self._job.mate is not None:
            yield self._grouped(workers, likeness, other, middle) if repeats else not_checked(GROUP, NO_SEED)

    def _grouped(self, workers: Trainings, likeness: Likeness, other: Course, middle: int | None) -> Finding:
        """Several trials in one worker, of which one pauses and is resumed by itself."""
        mate = self._job.mate.model_dump(mode="json")
        self._say("another config")
        alone = workers.train(mate, self._until)
        if alone.failure:
            return not_checked(GROUP, f"another config of this shape fails by itself: {alone.failure}")
        others = {**self._config, "seed": self._config["seed"] + 1}
        members = [(mate, likeness.of(alone)), (self._config, likeness), (others, likeness.of(other))]
        members = members[: min(MOST_TOGETHER, self._job.experiment.resources.trials_per_worker)]
        members = [one for one in members if self._shape(one[0]) == self._shape(mate)]
        self._say(f"{len(members)} trials together")
        pausing = self._until if middle is None else replace(self._until, how="pause", at=middle)
        orders = [pausing, *[self._until] * (len(members) - 1)]
        courses = workers.train_group([(config, order) for (config, _), order in zip(members, orders, strict=True)])
        alike = [one for _, one in members]
        found = judgement.group(alike, courses, kind=self._kind)
        if not found.passed or middle is None:
            return found
        anew, again = self._starts_anew(courses[0]), None
        if not anew and courses[0].told_after:
            self._say("and the one that paused goes on")
            again = workers.train(mate, self._until, resumes=courses[0])
        return judgement.stopped_alone(alike[0], courses[0], again, anew=anew, kind=self._kind)

    def _shape(self, values: Mapping[str, Any]) -> Any:
        trainer = self._job.experiment.trainer
        return trainer.shape(type(self._job.corner.config).model_validate(values))

    def _paused(self, workers: Trainings, likeness: Likeness, middle: int | None) -> Iterator[Finding]:
        """A training that is told to pause, and goes on in another worker."""
        if middle is None:
            yield not_checked("resumes", TOO_FEW)
            yield not_checked("stops", TOO_FEW)
            return
        self._say("a training that pauses")
        paused = workers.train(self._config, replace(self._until, how="pause", at=middle))
        grace = float(getattr(self._job.corner.config, "grace", 0.0))
        gap = likeness.course.gap
        anew, again = self._starts_anew(paused), None
        if not anew and not paused.failure and paused.told_after:
            self._say("and goes on")
            again = workers.train(self._config, self._until, slot=workers.workers - 1, resumes=paused)
        yield judgement.stops(paused, gap=gap, grace=grace, kind=self._kind)
        if self._repeats is None and again is not None and not again.failure and not likeness.same(again):
            self._say("the same once more")
            alone = workers.train(self._config, self._until)
            self._repeats = bool(alone.failure) or likeness.same(alone)
        yield judgement.resumes(likeness, self._continued(paused, again, anew), kind=self._kind)

    def _killed(self, likeness: Likeness, middle: int | None, first: Course) -> Finding:
        """A training whose worker is killed once it has had time to save, and one that goes on in its folder."""
        if middle is None:
            return not_checked("killed", TOO_FEW)
        often = replace(self._job.settings[0], checkpoint_seconds=_mean_gap(first) / 4)
        self._say("a training whose worker is killed")
        with self._open([often], "b") as workers:
            died = workers.train(self._config, replace(self._until, how="kill", at=_next(first, middle)))
            anew, again = self._starts_anew(died), None
            if not anew and died.told_after:
                self._say("and goes on")
                again = workers.train(self._config, self._until, resumes=died)
        return judgement.killed(likeness, self._continued(died, again, anew), kind=self._kind)

    def _continued(self, before: Course, again: Course | None, anew: bool) -> Continued:
        return Continued(before, again, anew, repeats=self._repeats is not False)

    def _starts_anew(self, course: Course) -> bool:
        return bool(course.told_after) and self._job.experiment.trainer.starts_anew(course.folder)

    def _as_long_as(self, first: Course) -> Order:
        """As far as the first training went."""
        limit = STARTING + PATIENCE * first.ended_at
        return Order(limit=limit) if first.whole else Order(at=first.evaluations[-1].index, limit=limit)

    @contextlib.contextmanager
    def _open(self, settings: list[WorkerSettings], name: str) -> Iterator[Trainings]:
        folder = self._job.folder / name
        with trainings(self._job.experiment.trainer.name, settings, folder, self._job.prepared) as workers:
            workers.ended = self._ended
            try:
                yield workers
            finally:
                self.count += workers.started
                self.notes += [line for line in workers.notes if line not in self.notes]

    def _say(self, what: str) -> None:
        self._done += 1
        self._job.progress(what, min(1.0, self._done / 8))


def _middle(course: Course) -> int | None:
    """The index of an evaluation with others after it; None if there is none."""
    found = [one.index for one in course.evaluations]
    return found[(len(found) - 1) // 2] if len(found) > 1 else None


def _next(course: Course, index: int) -> int:
    return next(one.index for one in course.evaluations if one.index > index)


def _mean_gap(course: Course) -> float:
    """Seconds between two evaluations, at which a training may save several times."""
    return (course.at[-1] - course.at[0]) / (len(course.at) - 1)
