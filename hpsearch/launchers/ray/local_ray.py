"""A Ray of this machine, which is started for one run: it hears no signal, and is gone at once when the run ends.

At the end of a job every process is told to end, all together. A raylet that heard it would take the workers with it
before they have saved their trials.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.launchers.devices import cores

ENDING = {signal.SIGTERM, signal.SIGHUP}  # what the processes of a job, or of a terminal, are told at its end
STORE = 100 * 2**20  # bytes of Ray's object store: messages are small, and larger data lie in files


def options(cpus: int) -> dict[str, Any]:
    """What `ray.init` is told where workers take this many CPUs in all."""
    return {"num_cpus": max(cores(), cpus), "include_dashboard": False, "object_store_memory": STORE}


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Blocks these signals for the processes that are started here, as Ray itself does with SIGINT."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear() -> None:
    """Lets this process, a worker, hear of its own end again."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def kill_at_shutdown(ray: Any) -> None:
    """Has `ray.shutdown()` kill what it would ask to end first, and wait for; a Ray that has no such node waits."""
    node: Any = getattr(ray._private.worker, "_global_node", None)
    if not (hasattr(node, "kill_all_processes") and hasattr(node, "all_processes")):
        return
    kill_processes = node.kill_all_processes

    def kill(**asked: Any) -> None:
        for pid in _children([info.process.pid for infos in node.all_processes.values() for info in infos]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        kill_processes(**{**asked, "allow_graceful": False})

    node.kill_all_processes = kill


def _children(parents: list[int]) -> list[int]:
    """The processes that these have started: a raylet's agents would live on for a minute."""
    found = []
    for thread in (thread for parent in parents for thread in Path("/proc").glob(f"{parent}/task/*")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += (thread / "children").read_text().split()
    return [int(pid) for pid in found]
