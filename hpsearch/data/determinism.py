"""Checks that data functions are deterministic: calls them again in a fresh process and compares the examples.

A study resumes only on the data that it started with. A function that shuffles without a seed, or lists a Python set,
returns other examples in each process, so that its study could never be resumed. A second call in the same process
cannot tell: a generator that was seeded at import would continue, and a set would keep its order.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.config import DataSet, digest
from hpsearch.data import sources
from hpsearch.data.corpus import Contents
from hpsearch.data.splits import Splits
from hpsearch.system.user_modules import PREFIX

LONGEST = 5.0  # seconds; data that take longer to read are not read again
PATIENCE = 20.0  # seconds that the driver waits for the second reading at most
OURS = f"{PREFIX}hpsearch."


@contextlib.contextmanager
def called_again(
    every: Mapping[str, DataSet], contents: Contents, *, base: Path, took: float
) -> Iterator[Callable[[], list[str]]]:
    """Calls the user's data functions again in the background; yields a function that waits and returns warnings.

    took: seconds that the first reading took; after a long one nothing is read again.
    """
    sets = {n: s for n, s in every.items() if (s.dataset or "").startswith(PREFIX) and n in contents.loaded}
    sets = {n: s for n, s in sets.items() if not str(s.dataset).startswith(OURS)}
    if not sets or took > LONGEST:
        yield list
        return
    process = _start(sets, base)
    try:
        yield lambda: _warnings(sets, contents, _answer(process))
    finally:
        process.kill()
        process.communicate()


def _start(sets: Mapping[str, DataSet], base: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal reaches the driver only
    )
    assert process.stdin is not None
    written = {name: (*_class_of(one), one.model_dump(mode="json")) for name, one in sets.items()}
    task = {"base": str(base.resolve()), "sets": written}
    with contextlib.suppress(OSError):
        process.stdin.write(json.dumps(task).encode() + b"\n")
        process.stdin.flush()
    return process


def _class_of(data_set: DataSet) -> tuple[str, str]:
    """The module and name of the section's class, which the child process imports."""
    return type(data_set).__module__, type(data_set).__qualname__


def _answer(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The process's results by set; empty if it failed or timed out."""
    try:
        return dict(json.loads(process.communicate(timeout=PATIENCE)[0]))
    except (subprocess.TimeoutExpired, ValueError):
        return {}


def _warnings(sets: Mapping[str, DataSet], contents: Contents, again: Mapping[str, Any]) -> list[str]:
    return [
        f"data.{name}: {sets[name].dataset} returned {_what(contents.loaded[name], found['unordered'])} when it was "
        "called again: this study could not be resumed. Give what it shuffles a seed (random.Random(0)), sort what it "
        "takes from a set or a folder"
        for name, found in again.items()
        if found["fingerprint"] != contents.sets[name]
    ]


def _what(before: Splits, unordered: str) -> str:
    return "its examples in another order" if _unordered(before) == unordered else "other examples"


def _unordered(splits: Splits) -> str:
    """A digest of all examples, whatever their order and split."""
    return digest(sorted(json.dumps(example) for part in splits.parts().values() for example in part))


def main() -> None:
    """The child process: reads the sets that standard input names, writes their fingerprints to standard output."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # standard output carries the result; the first call has printed already
    task = json.loads(sys.stdin.readline())
    found = {}
    for name, (module, kind, values) in task["sets"].items():
        with contextlib.suppress(Exception):  # without a second reading there is no warning
            data_set = getattr(importlib.import_module(module), kind).named(values["task"]).model_validate(values)
            fingerprint, splits = sources.identify(name, data_set, base=Path(task["base"]), cache=None)
            found[name] = {"fingerprint": fingerprint, "unordered": _unordered(splits or Splits([], []))}
    json.dump(found, answer)
    answer.close()


def timed(read: Callable[[], Contents]) -> tuple[Contents, float]:
    """The contents, and the seconds that reading took."""
    began = time.monotonic()
    return read(), time.monotonic() - began
