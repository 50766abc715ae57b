"""What trainings tell of a trainer: values in, findings out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from hpsearch.contract import Command
from hpsearch.launchers.messages import Ended
from hpsearch.preflight.checking.crashes import last_lines, remedy
from hpsearch.preflight.checking.findings import Finding, fails, keeps, not_checked
from hpsearch.preflight.checking.trainings import Course

NO_NOISE = (
    "the confirmation, which trains the best again with fresh seeds, measures no noise: a lucky winner seems sure"
)
UNKNOWN = "nothing is known of the rest of the contract; a pruner cannot judge what is not evaluated"
SOONER = "evaluate sooner, or give each training more time: --trial-seconds"
PAUSES = "(Ctrl-C, `hpsearch pause`, the promotion pruner)"
KILLS = "(kill -9, a crash, a lost node)"
OTHER_RESULT = "has another result than the same trial undisturbed: `hpsearch verify` may not reproduce it"
STATE = "save all that a step depends on, and load it: weights, optimizer, schedule, random numbers, place in the data"
TINY = 1e-12  # below this a relative difference of two curves is rounding
SHARE = 0.1  # of the difference of two seeds: curves that are closer are the same, but for rounding (GPUs)
NO_SEED = "two trainings with one seed differ, also one after the other"
SEEDS = 0.01  # the difference of two seeds where it is not measured
GROWTH = 128 << 20  # bytes that a worker may grow by over its trainings, after the first
LEAST = 3  # trainings of one worker that say whether it grows
SHOWN = 3  # files, processes in a line
PROGRESS = 1e-6  # by which the last progress may miss 1
GRACE = 15.0  # seconds to end, beside two gaps between evaluations and the program's own grace: it may save much
AT_ONCE = 1.0  # seconds in which several evaluations are one: a program's output comes in blocks


def evaluations(course: Course, objective: str, *, kind: str, seconds: float, names: Sequence[str] = ()) -> Finding:
    """Whether it yields evaluations with the objective; names: of the config that a function or program gets."""
    name, count = "evaluations", len(course.evaluations)
    if course.failure and not course.overdue:
        return _failed(name, "the training failed", course, kind, names)
    if not count:
        line = f"no evaluation within {seconds:g} s; --trial-seconds gives it more"
        found = fails(name, line, kind=kind, lacks=UNKNOWN, mend=SOONER)
        return replace(found, output=last_lines(course))
    lacking = next((one for one in course.evaluations if objective not in one.metrics), None)
    if lacking is not None:
        named = ", ".join(lacking.metrics) or "no metric"
        return fails(name, f"evaluation {lacking.index} has no {objective}, the objective; it has {named}", kind=kind)
    whole = "a whole training" if course.whole else f"{course.at[-1]:.1f} s of a training"
    return keeps(name, f"{count} evaluation{'s' * (count > 1)} with {objective} in {whole}")


def _failed(name: str, what: str, course: Course, kind: str, names: Sequence[str] = (), lacks: str = "") -> Finding:
    """The finding of a training that failed: what to do follows from how it did."""
    found = remedy(course, kind=kind, names=names)
    line = f"{what}: {course.failure}"
    return replace(fails(name, line, kind=kind, lacks=lacks or found.lacks, mend=found.mend), output=last_lines(course))


def finite(course: Course, *, kind: str) -> Finding:
    """Whether all metrics are finite."""
    for one in course.evaluations:
        for metric, value in one.metrics.items():
            if not math.isfinite(value):
                return fails("finite", f"{metric} is {value} at evaluation {one.index}", kind=kind)
    return keeps("finite", "every metric is finite")


def progress(course: Course, ends_at: float, *, kind: str) -> Finding:
    """Whether its progress grows, and is 1 (`ends_at`, if the config stops there) at its end."""
    found = [one.progress for one in course.evaluations if not one.branch]
    if not any(found):
        return fails("progress", "it does not say its progress", kind=kind)
    if any(after <= before for before, after in pairwise(found)):
        first = next(after for before, after in pairwise(found) if after <= before)
        return fails("progress", f"it does not grow: {first:g} comes after {_before(found, first):g}", kind=kind)
    if not course.whole:
        return keeps("progress", f"it grows, to {found[-1]:.2g}; no training ended in the time of the check")
    if abs(found[-1] - ends_at) > PROGRESS:
        return fails("progress", f"the training ended at progress {found[-1]:g}, not {ends_at:g}", kind=kind)
    return keeps("progress", f"it grows, and ends at {ends_at:g}")


def _before(found: Sequence[float], value: float) -> float:
    return found[found.index(value, 1) - 1]


def difference(one: Course, other: Course, metric: str) -> float:
    """The largest difference of two curves, relative to their values; infinity if they have no evaluation in common."""
    first, second = one.values(metric), other.values(metric)
    common = first.keys() & second.keys()
    return max((_relative(first[index], second[index]) for index in common), default=math.inf)


def _relative(first: float, second: float) -> float:
    if first == second or (math.isnan(first) and math.isnan(second)):
        return 0.0
    found = abs(first - second) / max(abs(first), abs(second), TINY)
    return math.inf if math.isnan(found) else found


class Likeness:
    """Which curves of the objective are the same: equal, or as close as rounding on a device leaves them."""

    def __init__(self, metric: str, course: Course, other_seed: Course | None) -> None:
        self.metric, self.course = metric, course
        self.seeds = SEEDS if other_seed is None else difference(course, other_seed, metric)  # between two seeds

    def of(self, course: Course) -> Likeness:
        """The same closeness, of another training's curve."""
        found = Likeness(self.metric, course, None)
        found.seeds = self.seeds
        return found

    def same(self, other: Course) -> bool:
        """Whether a training has the curve of the first one, as far as it went."""
        found = difference(self.course, other, self.metric)
        return found <= TINY or (math.isfinite(self.seeds) and found < SHARE * self.seeds)

    def said(self, other: Course) -> str:
        """How close they are."""
        found = difference(self.course, other, self.metric)
        if found == 0:
            return "to the last bit"
        return f"within {found:.1g}" if math.isfinite(found) else "no evaluation in common"


def seed(likeness: Likeness, repeated: Course, other: Course, *, kind: str) -> Finding:
    """Whether the same seed gives the same curve, and another seed another one."""
    for course in (repeated, other):
        if course.failure:
            return _failed("seed", "a second training failed", course, kind)
    if difference(likeness.course, repeated, likeness.metric) > TINY and not likeness.same(repeated):
        off = likeness.said(repeated)
        return fails("seed", f"two trainings with one seed differ ({likeness.metric} {off})", kind=kind)
    if likeness.seeds <= TINY:
        line = "another seed gives the same curve: the training does not use it"
        return fails("seed", line, kind=kind, lacks=NO_NOISE)
    return keeps("seed", f"one seed gives one curve, {likeness.said(repeated)}; another seed another one")


def together(likeness: Likeness, courses: Sequence[Course], repeats: bool, *, kind: str) -> Finding:
    """Whether trainings at once have the curve of one that was alone; repeats: whether its seed repeats at all."""
    if len(courses) < 2:
        return not_checked("together", "this machine has the GPUs of one worker")
    failed = next((one for one in courses if one.failure), None)
    if failed is not None:
        found = fails("together", f"of two trainings at once, one failed: {failed.failure}", kind=kind)
        return replace(found, output=last_lines(failed))
    if not repeats:
        return not_checked("together", NO_SEED)
    off = next((one for one in courses if not likeness.same(one)), None)
    if off is not None:
        line = f"two trainings at once differ from one alone ({likeness.metric} {likeness.said(off)})"
        return fails("together", line, kind=kind)
    return keeps("together", "two trainings at once have the curve of one alone")


def group(likenesses: Sequence[Likeness], courses: Sequence[Course], *, kind: str) -> Finding:
    """Whether trials that were trained together have the curves that they have alone.

    likenesses: each with the curve of one of the courses when it was trained alone.
    """
    failed = next((one.failure for one in courses if one.failure), "")
    if failed:
        return fails("group", f"of {len(courses)} trials trained together, one failed: {failed}", kind=kind)
    for alone, course in zip(likenesses, courses, strict=True):
        if not alone.same(course):
            line = f"a trial of {len(courses)} trained together differs from the same alone"
            return fails("group", f"{line} ({alone.metric} {alone.said(course)})", kind=kind)
        lost = alone.course.values(alone.metric).keys() - course.values(alone.metric).keys()
        if lost and not course.told_after:
            line = f"a trial of {len(courses)} trained together ended without evaluation {min(lost)}"
            return fails("group", line, kind=kind)
    return keeps("group", f"{len(courses)} trials trained together have the curves that they have alone")


def stopped_alone(likeness: Likeness, paused: Course, again: Course | None, *, anew: bool, kind: str) -> Finding:
    """Whether one trial of a group pauses without the others, which have gone on, and goes on by itself.

    anew: it has saved nothing to go on from.
    """
    later = len(paused.evaluations) - paused.told_after
    if later > 1 or not (isinstance(paused.end, Ended) and paused.end.command is Command.PAUSE):
        line = f"a trial that is told to pause goes on with its group, for {later} evaluations"
        return fails("group", line, kind=kind)
    if anew:
        return fails("group", "a trial that pauses in its group does not save its state: it starts anew", kind=kind)
    if again is None or again.failure:
        why = again.failure if again else "not started"
        return fails("group", f"a trial that paused in its group does not go on by itself: {why}", kind=kind)
    if not likeness.same(again):
        off = f"({likeness.metric} {likeness.said(again)})"
        return fails("group", f"a trial that paused in its group goes on to another curve {off}", kind=kind)
    line = "trials trained together have the curves that they have alone"
    return keeps("group", f"{line}; one of them pauses, and resumes, without the others")


def memory(series: Mapping[int, Sequence[int]], *, leaks: bool, kind: str) -> Finding:
    """Whether workers free memory; series: bytes of each worker process after each of its trainings."""
    if leaks:
        return fails("memory", "a worker kept so much memory of a training that it was replaced", kind=kind)
    long = [one for one in series.values() if len(one) >= LEAST]
    if not long:
        return not_checked("memory", "no worker had three trainings")
    grown = max(one[-1] - one[0] for one in long)
    count = max(map(len, long))
    if grown > GROWTH:
        line = f"a worker kept {grown / 2**20:.0f} MiB more after its last training than after its first"
        return fails("memory", f"{line} ({count} trainings)", kind=kind)
    return keeps("memory", f"a worker does not grow over {count} trainings")


def files(written: Sequence[Path] | None, *, base: Path, kind: str) -> Finding:
    """Whether it writes in its folder alone; written: the files elsewhere, None if there are too many to look at."""
    if written is None:
        return not_checked("files", "the space file's folder has too many files to watch")
    if not written:
        return keeps("files", "it writes in its folder alone")
    names = [_relative_to(path, base) for path in written]
    return fails("files", f"it wrote elsewhere: {_listed(names)}", kind=kind)


def changed_meanwhile(changed: Sequence[Path], *, base: Path) -> Finding:
    """Files elsewhere that changed while it was checked, of which it is not known what wrote them."""
    names = _listed([_relative_to(path, base) for path in changed])
    line = f"changed meanwhile, perhaps by something else: {names}; check again while nothing else writes there"
    return not_checked("files", line)


def processes(left: Sequence[str] | None, *, kind: str) -> Finding:
    """Whether a training leaves processes; None if that cannot be seen."""
    if left is None:
        return not_checked("processes", "this system does not show which processes a worker has started")
    if left:
        return fails("processes", f"after a training these still run: {_listed(left)}", kind=kind)
    return keeps("processes", "no process outlives its training")


@dataclass(frozen=True)
class Continued:
    """A training that was stopped after some evaluations, and one that goes on in its folder."""

    before: Course
    again: Course | None
    anew: bool  # it had saved nothing to go on from
    repeats: bool = True  # whether two whole trainings with one seed have one curve


def resumes(likeness: Likeness, found: Continued, *, kind: str) -> Finding:
    """Whether a paused training goes on, to the same curve."""
    return _continued("resumes", "paused", likeness, found, kind)


def killed(likeness: Likeness, found: Continued, *, kind: str) -> Finding:
    """Whether a training goes on after its worker was killed, to the same curve."""
    return _continued("killed", "killed", likeness, found, kind)


def _continued(name: str, what: str, likeness: Likeness, found: Continued, kind: str) -> Finding:
    before, again, anew = found.before, found.again, found.anew
    if not before.told_after:
        return not_checked(name, f"it ended before it could be {what}: {before.failure or 'too few evaluations'}")
    trial = f"a trial that is {what} {PAUSES if name == 'resumes' else KILLS}"
    if name == "resumes" and before.failure:
        lacks = f"{trial} fails"
        return _failed(name, "a training that was told to pause failed", before, kind, lacks=lacks)
    if anew:
        return fails(name, f"it does not save its state: a {what} training starts anew", kind=kind)
    if again is not None and again.failure:
        lacks = f"{trial} fails where it resumes"
        return _failed(name, f"a {what} training does not go on", again, kind, lacks=lacks)
    if again is None:
        return fails(name, f"a {what} training does not go on: not started", kind=kind)
    lost = before.values(likeness.metric).keys() - again.values(likeness.metric).keys()
    is_same = likeness.same(again)
    if not is_same and found.repeats:
        off = likeness.said(again)
        line = f"a {what} training goes on to another curve ({likeness.metric} {off})"
        return fails(name, line, kind=kind, lacks=f"{trial} {OTHER_RESULT}", mend=STATE)
    if lost and max(lost) > min(again.values(likeness.metric), default=0):
        lacks = f"{trial} loses evaluations, so that its best one may be missing"
        return fails(name, f"a {what} training goes on without evaluation {min(lost)}", kind=kind, lacks=lacks)
    if not is_same:
        return not_checked(name, f"{NO_SEED}; a {what} training goes on, but its curve cannot be compared")
    at = before.told_after
    return keeps(name, f"{what} after evaluation {at}, it goes on to the same curve, {likeness.said(again)}")


def stops(course: Course, *, gap: float, grace: float, kind: str) -> Finding:
    """Whether it stops when it is told to between two evaluations. gap: the longest between two of the first training;
    grace: what a program has after SIGTERM, in seconds."""
    if not course.told_after:
        return not_checked("stops", "it ended before it could be told to")
    took, later = course.ended_at - course.told_at, len(course.evaluations) - course.told_after
    if course.overdue:
        return fails("stops", f"it did not stop within {took:.0f} s", kind=kind)
    if grace and took >= grace:
        line = f"it did not end at SIGTERM, and was killed after {grace:g} s"
        lacks = f"Ctrl-C, `hpsearch stop` and a pruner wait {grace:g} s for it (grace); what it has not saved is lost"
        return fails("stops", line, kind=kind, lacks=lacks)
    obeyed = isinstance(course.end, Ended) and course.end.command is not Command.CONTINUE
    if not obeyed and later > 1 and kind != "program":
        return fails("stops", f"it went on for {later} evaluations, to its end", kind=kind)
    if (later > 1 and took > max(2 * gap, AT_ONCE)) or took > 2 * gap + grace + GRACE:
        return fails("stops", f"it went on for {later} evaluation{'s' * (later != 1)}, {took:.1f} s", kind=kind)
    if not obeyed:
        return not_checked("stops", "it ended before it could be told to")
    where = "at its next evaluation" if later else "before its next evaluation"
    return keeps("stops", f"it stops {where}, {took:.1f} s after it is told to")


def _relative_to(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
