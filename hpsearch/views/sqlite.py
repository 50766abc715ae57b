"""SQLite files that views write: made with a write-ahead log, readable by others meanwhile, set aside when damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

BUSY_TIMEOUT = 20.0  # seconds a statement waits for another program's lock


def make_ready(path: Path) -> str | None:
    """Makes the file (mode 0600) or checks it, and turns on its write-ahead log.

    A damaged file is moved to NAME.corrupt-TIME so that it can be rebuilt from the journals; then gives a line to say.
    Raises sqlite3.OperationalError while another program locks it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        # Only ever a new file: closing one that is open as a database elsewhere in this process would drop its POSIX
        # locks, and another process could then delete the log that it still reads.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if _is_sound(path):
        return None
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}")
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    make_ready(path)
    return f"{path} is damaged: it was set aside as {aside.name} and is rebuilt from the journal"


def _is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        raise  # locked or not readable: another day, not another file
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
