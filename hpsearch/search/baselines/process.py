"""A process of low priority that measures the trainer's baselines beside the trainings.

A process, not a thread: the driver must answer evaluations at once. What goes wrong in it costs a line of warning.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.contract import WorkerSettings
from hpsearch.output.error_lines import with_class
from hpsearch.output.printable import printable
from hpsearch.tasks import Baseline
from hpsearch.tasks.scores.replicates import known
from hpsearch.trainers import Trainer, load

CPU_SECONDS = 600  # of all baselines of a study; their sample sizes keep them far below
LONGEST = 300  # characters of an error or a name
_LIBRARY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class Results:
    """What the process has measured."""

    baselines: list[dict[str, Any]] = field(default_factory=list)  # name, metrics, note, seconds of each
    failed: list[str] = field(default_factory=list)  # a line for each baseline that could not be measured


class BaselineProcess:
    """The process that measures a trainer's baselines; `close` ends it."""

    def __init__(self, trainer: str, config: Mapping[str, Any], settings: WorkerSettings) -> None:
        """Starts the process and returns at once."""
        self.results = Results()
        self._process = _start()
        task = {"trainer": trainer, "config": dict(config), "settings": _written(settings)}
        self._reader = threading.Thread(target=self._read, args=(json.dumps(task),), name="baselines", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether results are still to come."""
        return self._reader.is_alive()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._reader.join()

    def _read(self, task: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has died
            self._process.stdin.write(task + "\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # half a line of a process that was killed
                message = json.loads(line)
                found = self.results.failed if isinstance(message, str) else self.results.baselines
                found.append(message)
        code = self._process.wait()
        if code:
            self.results.failed.append(f"the process that measures the baselines ended ({_ending(code)})")
        self._process.stdout.close()
        with contextlib.suppress(OSError):
            self._process.stdin.close()


def has_baselines(trainer: Trainer) -> bool:
    """Whether the trainer defines baselines."""
    return type(trainer).baselines is not Trainer.baselines


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal reaches the driver only
        env={**os.environ, **dict.fromkeys(_LIBRARY_THREADS, "1")},
    )


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _written(settings: WorkerSettings) -> dict[str, Any]:
    paths = {"cache": str(settings.cache), "base": str(settings.base)}
    return {**asdict(settings), **paths, "prepared": {name: str(path) for name, path in settings.prepared.items()}}


# ------------------------------------------------------------------------------------------------- in the process


def main() -> None:
    """Measures the baselines of the task on standard input; writes each to standard output as a line of JSON."""
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # standard output carries the results; libraries may print
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_driver, daemon=True).start()
    _limit()
    try:
        raw = task["settings"]
        prepared = {name: Path(path) for name, path in raw["prepared"].items()}
        places = {"cache": Path(raw["cache"]), "base": Path(raw["base"]), "prepared": prepared}
        settings = WorkerSettings(**{**raw, **places})
        trainer = load(task["trainer"], settings.base)
        found = trainer.baselines(trainer.config.model_validate(task["config"]), settings)
        _measure(found, lambda message: print(json.dumps(message), file=answer))
    except Exception as error:
        print(json.dumps(f"the baselines cannot be measured ({_shown(with_class(error))})"), file=answer)
    answer.close()
    os._exit(0)


def _measure(baselines: Iterable[Any], write: Callable[[Any], None]) -> None:
    for baseline in baselines:
        if not isinstance(baseline, Baseline):
            write(f"the trainer returned {_shown(type(baseline).__name__)} as a baseline; allowed: hpsearch.Baseline")
            continue
        name, began = _shown(baseline.name), time.monotonic()
        try:
            measured = baseline.measure()
            metrics = {str(key): float(value) for key, value in measured.items()}
            metrics = {key: value for key, value in metrics.items() if math.isfinite(value)}
        except Exception as error:
            write(f"{name}: cannot be measured ({_shown(with_class(error))})")
        else:
            seconds = time.monotonic() - began
            left = getattr(measured, "replicates", {})
            found = {"name": name, "metrics": metrics, "note": _shown(baseline.note), "seconds": seconds}
            write(found | {"replicates": known(left)} if left else found)


def _shown(text: Any) -> str:
    return printable(str(text), keep="")[:LONGEST]


def _end_with_driver() -> None:
    """Ends this process when the driver has closed the pipe, or is gone."""
    sys.stdin.read()
    os._exit(1)


def _limit() -> None:
    """Lowers the priority, and limits the processor time."""
    with contextlib.suppress(OSError, AttributeError):  # no such call on this system
        os.nice(10)  # with the lowest one, the search would wait for them where all cores are busy
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
