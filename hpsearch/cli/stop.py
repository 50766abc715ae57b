"""`hpsearch stop`: ends the run of a study from another terminal, also one that ignores Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import click

from hpsearch import process
from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option
from hpsearch.document.document import study_in
from hpsearch.errors import ConfigError, HpsearchError
from hpsearch.space.validation import wrong_study
from hpsearch.study_lock import is_held

LOOK = 0.1  # seconds between looks whether the run has ended
NAMING = 1.0  # seconds within which who holds a lock has written who they are


@click.command(
    epilog="""\b
Example:
  hpsearch stop quickstart"""
)
@click.argument("space_or_study")
@home_option
def stop(space_or_study: str, home_path: Path) -> None:
    """End the run of SPACE_OR_STUDY as Ctrl-C would: its trials save their state; wait until it has ended."""
    name = _name(space_or_study, home_path)
    lock = home_path / name / "lock"
    driver = holder(lock)
    if driver is None:
        _refuse(home_path, name, space_or_study)
    pid = _process(driver, name, lock)
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        _terminate(pid, name)
    click.echo(f"study '{name}': told its run (pid {pid}) to stop; trials save their state (Ctrl-C: do not wait)")
    while holder(lock) == driver:
        time.sleep(LOOK)
    click.echo(f"study '{name}' has stopped; hpsearch run goes on with it")


def holder(lock: Path) -> dict[str, Any] | None:
    """What the lock says of the living process that holds it; None when nobody does.

    The system's lock decides: what a dead process has written counts for nothing.
    """
    try:
        file = os.open(lock, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HpsearchError(f"{lock}: cannot be read: {error.strerror}") from error
    with os.fdopen(file, "rb", buffering=0) as held:
        deadline = time.monotonic() + NAMING
        while is_held(file):
            found = _facts(os.pread(held.fileno(), 4096, 0))
            if found or time.monotonic() > deadline:
                return found
            time.sleep(LOOK)
    return None


def _facts(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _name(space_or_study: str, home: Path) -> str:
    """The study's name; of a space file that is being edited and cannot be read, if it names a study that runs."""
    try:
        return study_named(space_or_study)[0]
    except ConfigError:
        name = study_in(space_or_study)
        if wrong_study(name) or holder(home / name / "lock") is None:
            raise
        return name


def _refuse(home: Path, name: str, space: str) -> NoReturn:
    """Raises UserError, naming those there are, when there is no such study; HpsearchError when it does not run."""
    from hpsearch.home import Home, elsewhere, history_of

    if not (home / name).is_dir():
        history_of(Home(home), name, space=space)
    other = elsewhere(Home(home), f"{name}/journal.jsonl", space=space)
    where = f" here; one is in {other}: --home {other}" if other else ""
    raise HpsearchError(f"study '{name}' is not being run{where}")


def _process(driver: dict[str, Any], name: str, lock: Path) -> int:
    """The driver's process number; raises HpsearchError when it is not on this machine or cannot be told."""
    pid, host = driver.get("pid"), driver.get("host")
    if type(pid) is not int or pid <= 1 or not isinstance(host, str):  # to the system 0 and -1 are groups
        raise HpsearchError(f"study '{name}' is being run, but {lock} does not say by whom; end that process yourself")
    if host != process.hostname():
        raise HpsearchError(f"study '{name}' is being run by pid {pid} on host {host}; stop it there")
    if "started" in driver and driver["started"] != process.started(pid) and holder(lock) == driver:
        raise HpsearchError(
            f"study '{name}' is being run by a process that is not visible from here (in a container?); stop it there"
        )
    return pid


def _terminate(pid: int, name: str) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise HpsearchError(f"study '{name}' is being run by pid {pid}, which belongs to another user") from None
