"""The run of the trial in a study's best.yaml: the search exports it without waiting for MLflow.

The view adds the run's id once MLflow has the trial: at the end of the run, or whenever it catches up later.
"""

from __future__ import annotations

import re
from pathlib import Path

from hpsearch.system.atomic import write_atomically
from hpsearch.system.file_lock import locked
from hpsearch.system.own_output import CHECKSUM, is_config, with_checksum

# In an exported config: its trial, and a run that is not named.
NO_RUN = re.compile(r"^provenance:\n(?:  .*\n)*?  trial: (?P<trial>\d+)\n(?:  .*\n)*?  mlflow_run_id:(?= *\n)", re.M)


def lock_of(study_folder: Path) -> Path:
    """The lock file of whoever writes the study's best.yaml."""
    return study_folder / "views" / "export.lock"


def name_run(path: Path, trial: int, run_id: str) -> None:
    """Adds the run of a trial to the best.yaml at `path`, if it is that trial's, names no run and was not edited.

    Raises OSError if the file cannot be read or written.
    """
    with locked(lock_of(path.parent)):
        text = path.read_text(encoding="utf-8")
        found = NO_RUN.search(text)
        if found is None or int(found["trial"]) != trial or not is_config(path):
            return
        named = f"{text[: found.end()]} {run_id}{text[found.end() :]}"
        write_atomically(path, with_checksum(named.rpartition(CHECKSUM.decode())[0]).encode())
