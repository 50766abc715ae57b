"""A process that has imported everything and forks `hpsearch` for each request, which takes 20 ms.

A request is a line of JSON on standard input, {"arguments": [...], "cwd": ..., "environment": {...}, "views": bool,
"pictures": bool, "output": path}; the answer is the child's pid, then its exit code and its seconds.
"""

import gc
import importlib
import itertools
import json
import os
import resource
import sys
import time
from pathlib import Path

from hpsearch.system import environment
from tests import warm
from tests.faults import power

OWN_TO_DRIVERS = {"POWER_SHADOW", "CLOCK_JUMPS", "MEMORY_LIMIT"}  # what a fork of a driver would inherit


class NoViews:
    """Replaces the shipping process in tests of the journal."""

    def __init__(self, *_, **__):
        pass

    def lag(self):
        return {}

    def hurry(self):
        pass

    def finish(self, timeout):
        return {}

    def kill(self):
        pass


def child(request):
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number in (1, 2):
        os.dup2(output, number)
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    from hpsearch import cli
    from hpsearch.search import driver
    from hpsearch.system import failpoints
    from hpsearch.views.mlflow.store import Store

    failpoints.arm(os.environ.get("HPSEARCH_FAILPOINT", ""))
    if shadow := os.environ.get("POWER_SHADOW"):
        power.watch(shadow)
    if jumps := os.environ.get("CLOCK_JUMPS"):
        shake_clock(*map(float, jumps.split(",")))
    if limit := os.environ.get("MEMORY_LIMIT"):
        limited(int(limit))
    if warm.AVAILABLE and not OWN_TO_DRIVERS & os.environ.keys():
        warm.fork_workers()
        warm.fork_shipping()
    Store.draws = request["pictures"]
    if not request["views"]:
        driver.shipper.start = NoViews
    cli.main(request["arguments"])


def limited(mebibytes):
    """Limits this process to its present memory plus some MiB, and to a minute of CPU time."""
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def shake_clock(*offsets):
    """Adds the next of the offsets (seconds, repeated) to each reading of the wall clock."""
    real, wrong = time.time, itertools.cycle(offsets)
    time.time = lambda: real() + next(wrong)


def main():
    for name in warm.EARLY:
        importlib.import_module(name)
    environment.versions()
    warm.open_a_store()
    gc.freeze()  # else the first collection of each fork copies all that is imported
    serve()


def serve():
    """Forks for each line on standard input, until it closes."""
    for line in sys.stdin:
        request, began = json.loads(line), time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                child(request)
            except SystemExit as end:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code or 0)
            finally:
                os._exit(70)  # after a traceback; no command has this exit code
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
