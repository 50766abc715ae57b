"""What to do about a training that fails, by how it failed: the advice of a finding must fit its error."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from hpsearch.contract import LOGS
from hpsearch.launchers.messages import Failed
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact
from hpsearch.preflight.checking.trainings import Course

RESUME, KILLED, NOT_FOUND = 75, (137, -9), 127  # exit codes, as trainers/program has them; of a shell
LAST = 5  # lines of the output that are shown
LONGEST = 200  # characters of each
SHOWN = 20  # names of a config
MEMORY = "the smallest config needs more memory than there is: take smaller models or batches in the space"
ENDED = "its process ended without an error: look for os._exit, a crash of native code, a kill for memory (dmesg)"
STORABLE = "trial.save takes numbers, texts, lists, dicts, arrays and tensors: save those in place of what it names"
_KEY = re.compile(r"KeyError: '([^']*)'")
_CODE = re.compile(r"exit code (\d+)|signal (\d+)")


class Remedy(NamedTuple):
    """What a study does not have while a training fails, and what to do about it."""

    lacks: str
    mend: str


def remedy(course: Course, *, kind: str, names: Sequence[str]) -> Remedy:
    """The remedy of a training that failed; names: of the config that a function or program gets."""
    end = course.end
    if not isinstance(end, Failed):
        return Remedy("every trial fails like this one", ENDED)
    lacks = "every trial that fails like this one is lost"
    if course.overdue or end.kind == "stalled":
        return Remedy(lacks, "find where it waits; --trial-seconds gives it more time")
    return Remedy(lacks, _mend(end, course.place, kind, names))


def _mend(end: Failed, place: str, kind: str, names: Sequence[str]) -> str:
    code = _code(end.reason) if kind == "program" else None
    if code == RESUME:
        return f"exit code {RESUME} means resume me: print a metric with a later step before it, or end with another"
    if code is not None and code in KILLED:
        return f"it was killed (kill -9), mostly because memory ran out: {MEMORY}"
    if end.kind == "out_of_memory":
        return MEMORY
    if end.kind == "died":
        return ENDED
    if end.kind == "user":
        return "correct what the line names"
    if code == NOT_FOUND:
        return "exit code 127 is a shell's for a program that it does not find: correct its name or PATH"
    if code is not None or kind == "program":
        return f"correct the program by its last lines; in a study all of its output is in trials/NUMBER/{LOGS[0]}"
    return _of_error(end.reason, place, names)


def _of_error(reason: str, place: str, names: Sequence[str]) -> str:
    """What to do about an exception of a function or a trainer."""
    where = f" at {place.strip(' ()')}" if place else ""
    if reason.startswith("NotStorable"):
        return STORABLE
    if (key := _KEY.match(reason)) and key[1] not in names and names:
        shown = ", ".join([*names[:SHOWN], *(["..."] if len(names) > SHOWN else [])])
        return f"if {key[1]!r} is to be of the config, take a name that it has{where}: {shown}"
    return f"correct the error that the training raised{where}, or catch it there"


def _code(reason: str) -> int | None:
    """The exit code that the reason names; that of a signal is negative."""
    found = _CODE.search(reason)
    if found is None:
        return None
    return int(found[1]) if found[1] else -int(found[2])


def last_lines(course: Course) -> tuple[str, ...]:
    """The end of what a training printed; none if it printed nothing."""
    with contextlib.suppress(OSError):
        text = (course.folder / LOGS[0]).read_bytes()[-(LAST + 1) * 10_000 :].decode(errors="replace")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        return tuple(printable(redact(line[:LONGEST]), keep="") for line in lines[-LAST:])
    return ()
