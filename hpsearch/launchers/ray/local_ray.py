"""A Ray of this machine, started for one run: it ignores signals and is killed when the run ends.

At the end of a job all processes get a signal. A raylet that obeyed it would kill the workers before they have saved
their trials.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.launchers.devices import cores

ENDING_SIGNALS = {signal.SIGTERM, signal.SIGHUP}  # sent at the end of a job or a terminal
STORE = 100 * 2**20  # bytes of Ray's object store: messages are small


def init_options(cpus: int) -> dict[str, Any]:
    """Returns the options of `ray.init` for workers that take this many CPUs in total."""
    return {"num_cpus": max(cores(), cpus), "include_dashboard": False, "object_store_memory": STORE}


@contextlib.contextmanager
def ending_signals_blocked() -> Iterator[None]:
    """Blocks these signals in the processes that the block starts, as Ray itself does with SIGINT."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_sigterm() -> None:
    """Unblocks SIGTERM in a worker."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def kill_at_shutdown(ray: Any) -> None:
    """Makes `ray.shutdown()` kill Ray's processes instead of asking them to exit, if this version of Ray allows it."""
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
    """Returns the child processes of these: a raylet's agents would outlive it by a minute."""
    found = []
    for thread in (thread for parent in parents for thread in Path("/proc").glob(f"{parent}/task/*")):
        with contextlib.suppress(OSError):  # it has ended since
            found += (thread / "children").read_text().split()
    return [int(pid) for pid in found]
