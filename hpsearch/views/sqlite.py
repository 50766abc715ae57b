"""SQLite files that views write: made whole or not at all, readable by others meanwhile, set aside when damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.atomic import sync_folder
from hpsearch.errors import UserError

BUSY_TIMEOUT = 20.0  # seconds a statement waits for another program's lock
SIDE_FILES = ("-wal", "-shm", "-journal")
# A reason to try again another day with the same file; any other error of a check is damage.
PASSING = ("BUSY", "LOCKED", "IOERR", "FULL", "CANTOPEN", "READONLY", "PERM", "NOMEM", "PROTOCOL", "AUTH", "INTERRUPT")
# The readers and writers of a write-ahead log share memory, which processes on two hosts cannot.
NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "lustre", "gpfs", "ceph", "beegfs", "fuse.sshfs", "fuse.glusterfs")


@dataclass(frozen=True)
class Found:
    """What stood at a database's path."""

    made: bool  # nothing, or nothing usable: it is empty now
    damage: str = ""  # what the check said of a damaged file
    aside: Path | None = None  # where that is now


def make_ready(path: Path, make: Callable[[Path], None]) -> Found:
    """Sees to a whole database at `path` (mode 0600); `make` makes one, under a name of the time being.

    A damaged file is moved to NAME.corrupt-TIME, so that all can be stored anew. Needs the home's lock.
    Raises sqlite3.OperationalError while another program locks the file or the disk does not give it.
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
    """The file's URL, quoted by SQLAlchemy itself: `?`, `#` and `%41` in a path are parts of names.

    It names the driver, since MLflow makes the folder that it reads, without unquoting, in a bare `sqlite:///`.
    Raises UserError where the installed SQLAlchemy cannot quote the path (2.0 and `?`).
    """
    from sqlalchemy.engine import URL, make_url

    found = URL.create("sqlite+pysqlite", database=str(path)).render_as_string()
    if make_url(found).database != str(path):
        raise UserError(f"{path}: no database URL can name it: choose a path without `?`, or install sqlalchemy>=2.1")
    return found


def set_aside(path: Path) -> Path:
    """Renames a database and what belongs to it to a name that no file has."""
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
    """Which file the path names now; another one, or None, when it was replaced or deleted."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def journal_mode(folder: Path, mounts: str | None = None) -> str:
    """WAL, so that reading and writing do not wait for each other; DELETE on a network file system.

    `mounts`: the lines of /proc/mounts, which only Linux has.
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
    """What SQLite finds wrong with a database, in a few words; "" when it is whole.

    integrity_check reads the indexes too (10 ns a byte); quick_check does not, and a damaged index hides rows.
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT)
    try:
        found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
        return "" if found == "ok" else " ".join(found.split())[:100]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.removeprefix("SQLITE_").startswith(PASSING):
            raise  # another day, not another file
        return str(error)
    finally:
        connection.close()


def _make(path: Path, make: Callable[[Path], None]) -> None:
    """Makes a database under another name and renames it: a process that dies meanwhile leaves no half of one."""
    for leftover in path.parent.glob(f".{path.name}.*.new*"):
        leftover.unlink()
    new = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.new")
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    make(new)
    for suffix in SIDE_FILES:  # of the one that was there: SQLite would take them for the new one's
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
    """Whether a database has not a single table, and no other program is just making some."""
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
