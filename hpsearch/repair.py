"""Puts a study's stores right: checks the journal, stores anew what it tells, compares that with what is there.

A store that differs from the journal is a copy gone wrong; the wrong part is taken out and written again.
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
SHOWN = 10  # numbers of damaged lines in a message


def repair(study_folder: Path, home: Path, tracking: str | None, *, say: Say) -> bool:
    """Repairs what can be; says in a line each what was found and done; True when all is whole at the end.

    Raises StudyBusy while the study is being run, JournalDamaged when the journal does not say which study it is.
    """
    folder, home, say = study_folder.resolve(), home.resolve(), once(say)
    with shipping.undriven(folder, "stop it first (hpsearch stop)"):
        whole = check_journal(folder / "journal.jsonl", say)
        with shipping.followers(folder, home, tracking, VIEWS, say=say) as followers:
            for follower in followers:
                whole = mend(follower, folder, say) and whole
        return check_checkpoints(folder, say) and whole


def check_journal(path: Path, say: Say) -> bool:
    """Counts the lines of the journal and names the damaged ones, whose events nothing can bring back."""
    damaged: list[int] = []
    whole = len(journal.read(path, damaged=damaged))
    if not damaged:
        say(f"{path.name}: {whole} lines, whole")
        return True
    numbers = ", ".join(map(str, damaged[:SHOWN])) + (" ..." if len(damaged) > SHOWN else "")
    say(f"{path.name}: {len(damaged)} of {whole + len(damaged)} lines damaged and passed over: {numbers}")
    return False


def mend(follower: Follower, study_folder: Path, say: Say) -> bool:
    """Stores anew what the journal tells; whether the store says just that at the end."""
    before = look(follower, study_folder)
    if before is not None and (restored := restore(follower.view)):
        say(f"{follower.view.name}: {restored} deleted runs restored")
    ship_all(follower)
    after = look(follower, study_folder)
    if after is not None and after.wrong:
        discard(follower.view, after.wrong)
        ship_all(follower)
        after = look(follower, study_folder)
    name = follower.view.name
    if after is None:
        say(f"{name}: cannot be reached; hpsearch sync ships to it when it is back")
        return False
    found = "" if before is None or before.whole else f" (before: {describe(before)})"
    say(f"{name}: {after.extent}: " + ("all there" if after.whole else describe(after)) + found)
    return after.whole


def look(follower: Follower, study_folder: Path) -> Audit | None:
    """How the store, brought up to date, differs from the journal; None when it cannot be reached."""
    follow(follower)
    return None if follower.failures else audit(follower.view, study_folder)


def ship_all(follower: Follower) -> None:
    """Ships the whole journal again and ends what claims to be running."""
    follower.start_anew()
    follow(follower)


def follow(follower: Follower) -> None:
    """Ships what there is, or gives up after a few tries."""
    follower.undriven = True
    shipping.follow(follower, finishing=lambda: True, pause=time.sleep)


def describe(found: Audit) -> str:
    """What is lacking and what is wrong."""
    lacking = [f"{found.lacking} lacking"] if found.lacking else []
    return ", ".join([*lacking, *([f"{len(found.wrong)} wrong"] if found.wrong else [])])


def check_checkpoints(study_folder: Path, say: Say) -> bool:
    """Compares the checkpoints that unfinished trials go on from with their checksums; one whole one each suffices."""
    history = History.of(journal.iterate(study_folder / "journal.jsonl"))
    enough, checked = True, 0
    try:
        for where, found in checkpoints(history, study_folder):
            checked += len(found.present)
            goes_on = "from the other one" if len(found.damaged) < len(found.present) else "from its start"
            enough = enough and (not found.present or len(found.damaged) < len(found.present))
            for name in found.damaged:
                say(f"{where}/{name}: damaged; the trial goes on {goes_on}")
    except (StorageFailed, UserError, OSError) as error:
        say(f"checkpoints: cannot be checked ({error})")
        return False
    say(f"checkpoints: {checked} of unfinished trials checked")
    return enough


def checkpoints(history: History, study_folder: Path) -> Iterator[tuple[str, CheckResult]]:
    """The checkpoints of each unfinished trial and where they are, on the disk and in the study's storage.

    Raises UserError or StorageFailed when the storage cannot be reached.
    """
    launcher = history.origin.get("experiment", {}).get("resources", {}).get("launcher")
    url = launcher.get("storage") if isinstance(launcher, dict) else None
    study_storage = StudyStorage(Storage(url), history, {}) if url else None
    for number in [trial.number for trial in history.trials.values() if trial.outcome is None]:
        yield f"checkpoints/{number:04d}", check_folder(study_folder / "checkpoints" / f"{number:04d}")
        if study_storage is not None:
            yield study_storage.where(number), study_storage.check(number)


def studies(home: Path) -> Iterator[str]:
    """The names of the studies of a home."""
    return (path.parent.name for path in sorted(home.glob("*/journal.jsonl")))
