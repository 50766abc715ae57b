"""Repairs a study's views: checks the journal, ships it again, and compares the stores with it.

The journal is right by definition: runs or trials of a store that differ from it are deleted and written again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from hpsearch import journal
from hpsearch.errors import StorageFailed, UserError
from hpsearch.journal.history import History
from hpsearch.storage.integrity import CheckResult, check_folder
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.views import shipping
from hpsearch.views.audit import Audit, audit, discard, restore
from hpsearch.views.follower import Follower, Say, once

VIEWS = ("mlflow", "optuna")
SHOWN = 10  # damaged lines listed in a message


def repair(study_folder: Path, home: Path, tracking: str | None, *, say: Say) -> bool:
    """Repairs a study; says in lines what was found and done. Returns whether everything is intact at the end.

    Raises StudyBusy while the study is running, JournalDamaged if the journal does not name its study.
    """
    folder, home, say = study_folder.resolve(), home.resolve(), once(say)
    with shipping.undriven(folder, "stop it first (hpsearch stop)"):
        intact = check_journal(folder / "journal.jsonl", say)
        with shipping.followers(folder, home, tracking, VIEWS, say=say) as followers:
            for follower in followers:
                intact = repair_view(follower, folder, say) and intact
        return check_checkpoints(folder, say) and intact


def check_journal(path: Path, say: Say) -> bool:
    """Counts the lines of the journal and lists the damaged ones, whose events are lost."""
    damaged: list[int] = []
    intact = len(journal.read(path, damaged=damaged))
    if not damaged:
        say(f"{path.name}: {intact} lines, intact")
        return True
    numbers = ", ".join(map(str, damaged[:SHOWN])) + (" ..." if len(damaged) > SHOWN else "")
    say(f"{path.name}: {len(damaged)} of {intact + len(damaged)} lines damaged and skipped: {numbers}")
    return False


def repair_view(follower: Follower, study_folder: Path, say: Say) -> bool:
    """Ships the whole journal again; returns whether the store agrees with it at the end."""
    before = audited(follower, study_folder)
    if before is not None and (restored := restore(follower.view)):
        say(f"{follower.view.name}: {restored} deleted runs restored")
    ship_all(follower)
    after = audited(follower, study_folder)
    if after is not None and after.wrong:
        discard(follower.view, after.wrong)
        ship_all(follower)
        after = audited(follower, study_folder)
    name = follower.view.name
    if after is None:
        say(f"{name}: cannot be reached; `hpsearch sync` writes to it when it is up again")
        return False
    found = "" if before is None or before.whole else f" (before: {describe(before)})"
    say(f"{name}: {after.extent}: " + ("complete" if after.whole else describe(after)) + found)
    return after.whole


def audited(follower: Follower, study_folder: Path) -> Audit | None:
    """Brings the store up to date and compares it with the journal; None if the store cannot be reached."""
    follow(follower)
    return None if follower.failures else audit(follower.view, study_folder)


def ship_all(follower: Follower) -> None:
    """Ships the whole journal again and ends runs that are marked as running."""
    follower.restart()
    follow(follower)


def follow(follower: Follower) -> None:
    """Ships what the store lacks, or gives up after a few tries."""
    follower.undriven = True
    shipping.follow(follower, finishing=lambda: True, pause=time.sleep)


def describe(found: Audit) -> str:
    """Counts what is missing and what is wrong."""
    lacking = [f"{found.lacking} missing"] if found.lacking else []
    return ", ".join([*lacking, *([f"{len(found.wrong)} wrong"] if found.wrong else [])])


def check_checkpoints(study_folder: Path, say: Say) -> bool:
    """Checks the checkpoints of interrupted and paused trials; one intact checkpoint per trial is enough."""
    history = History.of(journal.iterate(study_folder / "journal.jsonl"))
    enough, checked = True, 0
    try:
        for where, found in checkpoints(history, study_folder):
            checked += len(found.present)
            then = "resumes from the other one" if len(found.damaged) < len(found.present) else "restarts"
            enough = enough and (not found.present or len(found.damaged) < len(found.present))
            for name in found.damaged:
                say(f"{where}/{name}: damaged; the trial {then}")
    except (StorageFailed, UserError, OSError) as error:
        say(f"checkpoints: cannot be checked ({error})")
        return False
    say(f"checkpoints: {checked} checked, of interrupted and paused trials")
    return enough


def checkpoints(history: History, study_folder: Path) -> Iterator[tuple[str, CheckResult]]:
    """Yields the place and the checkpoints of each trial that has not ended, on disk and in the study's storage.

    Raises UserError or StorageFailed if the storage cannot be reached.
    """
    launcher = history.origin.experiment.get("resources", {}).get("launcher")
    url = launcher.get("storage") if isinstance(launcher, dict) else None
    study_storage = StudyStorage(Storage(url), history, {}) if url else None
    for number in [trial.number for trial in history.everything.values() if trial.outcome is None]:
        yield f"checkpoints/{number:04d}", check_folder(study_folder / "checkpoints" / f"{number:04d}")
        if study_storage is not None:
            yield study_storage.where(number), study_storage.check(number)


def studies(home: Path) -> Iterator[str]:
    """The names of the studies of a home."""
    return (path.parent.name for path in sorted(home.glob("*/journal.jsonl")))
