"""`hpsearch stop`: ends a search from another terminal, also one that ignores Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import click

from hpsearch.cli.options import home_option
from hpsearch.errors import ConfigError, HpsearchError
from hpsearch.journal.study_lock import is_held
from hpsearch.system import process

POLL = 0.1  # seconds between checks whether the search has ended
NAMING = 1.0  # seconds within which the holder of a lock has written its pid


@click.command(
    short_help="Stop a search as Ctrl-C does; its trials save their state.",
    epilog="""\b
Example:
  hpsearch stop quickstart""",
)
@click.argument("space_or_study")
@home_option
def stop(space_or_study: str, home_path: Path) -> None:
    """Stop the search of SPACE_OR_STUDY as Ctrl-C does: trials save their state. Waits until the search has ended."""
    from hpsearch.displays.console import say

    name = _name(space_or_study, home_path)
    lock = home_path / name / "lock"
    driver = holder(lock)
    if driver is None:
        _refuse(home_path, name, space_or_study)
    pid = _process(driver, name, lock)
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        _terminate(pid, name)
    say(f"study '{name}': asked pid {pid} to stop; its trials save their state (Ctrl-C: do not wait)")
    while holder(lock) == driver:
        time.sleep(POLL)
    say(f"study '{name}' has stopped; hpsearch run resumes it")


def holder(lock: Path) -> dict[str, Any] | None:
    """Returns what the lock file says about the process that holds the lock; None if the lock is free.

    The lock of the operating system decides, not the file's content, which a dead process may have left.
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
            time.sleep(POLL)
    return None


def _facts(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _name(space_or_study: str, home: Path) -> str:
    """Returns the study's name; a space file that cannot be parsed is enough if it names a running study."""
    from hpsearch.api.named import study_named  # half of the time that every other command would take to start
    from hpsearch.document.document import study_in
    from hpsearch.space.validation import wrong_study

    try:
        return study_named(space_or_study)[0]
    except ConfigError:
        name = study_in(space_or_study)
        if wrong_study(name) or holder(home / name / "lock") is None:
            raise
        return name


def _refuse(home: Path, name: str, space: str) -> NoReturn:
    """Raises UserError for an unknown study, naming the known ones; HpsearchError for one that is not running."""
    from hpsearch.home.home import Home, elsewhere, history_of

    if not (home / name).is_dir():
        history_of(Home(home), name, space=space)
    other = elsewhere(Home(home), f"{name}/journal.jsonl", space=space)
    where = f" here; one of this name is in {other}: --home {other}" if other else ""
    raise HpsearchError(f"study '{name}' is not running{where}")


def _process(driver: dict[str, Any], name: str, lock: Path) -> int:
    """Returns the driver's pid; raises HpsearchError if it is unknown or on another machine."""
    pid, host = driver.get("pid"), driver.get("host")
    if type(pid) is not int or pid <= 1 or not isinstance(host, str):  # 0 and -1 would signal process groups
        raise HpsearchError(f"study '{name}' is being run, but {lock} does not name the process; end it yourself")
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
