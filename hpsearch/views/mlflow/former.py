"""Removes from a home's MLflow database what an older version wrote into runs and this one writes otherwise.

MLflow has no call that deletes metrics. On a server they stay, beside the new ones.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from hpsearch.views.sqlite import BUSY_TIMEOUT

METRICS = ("at_best/%", "best/index", "best/epoch", "best/progress", "memory/peak_gib")  # patterns of LIKE
TAGS = ("git_commit", "git_dirty", "python", "platform", "data_fingerprint", "worker", "version.%")  # of trials


def remove(database: Path, trials: Iterable[str]) -> None:
    """Deletes these metrics and tags of the trials' runs, in one transaction."""
    with contextlib.closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for run_id in trials:
            for table, patterns in (("metrics", METRICS), ("latest_metrics", METRICS), ("tags", TAGS)):
                for pattern in patterns:
                    connection.execute(f"DELETE FROM {table} WHERE run_uuid = ? AND key LIKE ?", (run_id, pattern))
        connection.execute("COMMIT")
