"""SQLite files of the views: created atomically, readable during writes, set aside when damaged."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import UserError
from hpsearch.system.atomic import sync_folder

BUSY_TIMEOUT = 20.0  # seconds that a statement waits for another program's lock
SIDE_FILES = ("-wal", "-shm", "-journal")
# Errors that say nothing about the file; any other error of a check is damage.
TRANSIENT = (
    "BUSY",
    "LOCKED",
    "IOERR",
    "FULL",
    "CANTOPEN",
    "READONLY",
    "PERM",
    "NOMEM",
    "PROTOCOL",
    "AUTH",
    "INTERRUPT",
)
# A write-ahead log needs shared memory between its readers and writers, which two hosts do not have.
NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "lustre", "gpfs", "ceph", "beegfs", "fuse.sshfs", "fuse.glusterfs")


@dataclass(frozen=True)
class Found:
    """What was at a database's path."""

    made: bool  # created empty: there was no usable database
    damage: str = ""  # what the check found in a damaged file
    aside: Path | None = None  # where the damaged file is now


def ensure_intact(path: Path, make: Callable[[Path], None]) -> Found:
    """Ensures an intact database at `path` (mode 0600); `make(tmp)` creates it under a temporary name.

    A damaged file is moved to NAME.corrupt-TIME. The caller holds the home's lock.
    Raises sqlite3.OperationalError if another program locks the file or the disk fails.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    damage = damage_of(path) if _size(path) else ""
    aside = set_aside(path) if damage else None
    made = not path.exists() or _is_blank(path)
    if made:
        _make(path, make)
    _choose_journal(path)
    return Found(made, damage, aside)


def url(path: Path) -> str:
    """Returns the file's URL, quoted by SQLAlchemy: a path may contain `?`, `#` and `%41`.

    It names the driver: for a bare `sqlite:///` MLflow would create the folder of the path without unquoting it.
    Raises UserError if the installed SQLAlchemy cannot quote the path (2.0 and `?`).
    """
    from sqlalchemy.engine import URL, make_url

    found = URL.create("sqlite+pysqlite", database=str(path)).render_as_string()
    if make_url(found).database != str(path):
        raise UserError(
            f"{path}: no database URL can express this path: choose one without `?`, or install sqlalchemy>=2.1"
        )
    return found


def is_plain(path: Path) -> bool:
    """Whether a URL needs no quoting for this path."""
    return re.search(r"[?#%]", str(path)) is None


def set_aside(path: Path) -> Path:
    """Renames a database and its side files to an unused name, which it returns."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    names = (f"{path.name}.corrupt-{stamp}{more}" for more in ("", *(f"-{n}" for n in range(2, 10_000))))
    aside = next(found for found in map(path.with_name, names) if not found.exists())
    os.replace(path, aside)
    for suffix in SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    sync_folder(path.parent)
    return aside


def identity(path: Path) -> tuple[int, int] | None:
    """Returns device and inode of the file at `path`, which change if it is replaced; None if it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def journal_mode(folder: Path, mounts: str | None = None) -> str:
    """Returns WAL, where readers and writers do not block each other, or DELETE for a network file system.

    mounts: the content of /proc/mounts, which only Linux has.
    """
    if mounts is None:
        mounts = ""
        with contextlib.suppress(OSError):
            mounts = Path("/proc/self/mounts").read_text(errors="replace")
    where, longest, kind = str(folder.resolve()), "", ""
    for _, place, its_kind, *_ in (line.split() for line in mounts.splitlines()):
        place = place.replace("\\040", " ")
        if (where == place or where.startswith(place.rstrip("/") + "/")) and len(place) >= len(longest):
            longest, kind = place, its_kind
    return "DELETE" if kind.startswith(NETWORK) else "WAL"


def damage_of(path: Path) -> str:
    """Returns what SQLite finds wrong with a database, in a few words; "" if it is intact.

    integrity_check reads the indexes too (10 ns a byte); quick_check does not, and a damaged index hides rows.
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT)
    try:
        found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
        return "" if found == "ok" else " ".join(found.split())[:100]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.removeprefix("SQLITE_").startswith(TRANSIENT):
            raise  # the file itself may be intact
        return str(error)
    finally:
        connection.close()


def _make(path: Path, make: Callable[[Path], None]) -> None:
    """Creates a database under a temporary name and renames it, so that a crash leaves no partial file."""
    for leftover in path.parent.glob(f".{path.name}.*.new*"):
        leftover.unlink()
    new = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.new")
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    make(new)
    for suffix in SIDE_FILES:  # side files of the former database: SQLite would apply them to the new one
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
    os.replace(new, path)
    sync_folder(path.parent)


def _choose_journal(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT)
    try:
        connection.execute(f"PRAGMA journal_mode={journal_mode(path.parent)}")
    finally:
        connection.close()


def _is_blank(path: Path) -> bool:
    """Whether a database has no table; waits for a program that is creating some."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT)
    try:
        connection.execute("BEGIN IMMEDIATE")
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        connection.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
