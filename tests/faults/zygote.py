"""A process that has imported everything and forks a fresh `hpsearch` for each request: starting one takes 20 ms.

A request is a line of JSON on standard input, {"arguments": [...], "cwd": ..., "environment": {...}, "views": bool,
"output": path}; the answer is the child's wait status and how long it lived. Whatever a child started dies with it.
"""

import importlib
import itertools
import json
import os
import resource
import sys
import time
from pathlib import Path

from tests.faults import power

EARLY = [
    "hpsearch.api.run",
    "hpsearch.api.study",
    "hpsearch.caveats",
    "hpsearch.cli.closing",
    "hpsearch.cli.run",
    "hpsearch.cli.terminal",
    "hpsearch.data.corpus",
    "hpsearch.driver",
    "hpsearch.launchers.local",
    "hpsearch.search",
    "hpsearch.testing.toy",
    "hpsearch.views.shipper",
    "sqlalchemy",
]


class NoViews:
    """In place of the shipping process, where a test is about the journal alone."""

    def __init__(self, *_, **__):
        pass

    def lag(self):
        return {}

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
    from hpsearch import cli, driver, failpoints

    failpoints.arm(os.environ.get("HPSEARCH_FAILPOINT", ""))
    if shadow := os.environ.get("POWER_SHADOW"):
        power.watch(shadow)
    if jumps := os.environ.get("CLOCK_JUMPS"):
        shake_clock(*map(float, jumps.split(",")))
    if limit := os.environ.get("MEMORY_LIMIT"):
        limited(int(limit))
    if not request["views"]:
        driver.shipper.start = NoViews
    cli.main(request["arguments"])


def limited(mebibytes):
    """From now on so much more memory than what is loaded, and a minute of processor time."""
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def shake_clock(*offsets):
    """From now on each look at the wall clock is off by the next of the offsets (seconds), over and over."""
    real, wrong = time.time, itertools.cycle(offsets)
    time.time = lambda: real() + next(wrong)


def main():
    for name in EARLY:
        importlib.import_module(name)
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
                os._exit(70)  # a traceback: no command ends like that
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
