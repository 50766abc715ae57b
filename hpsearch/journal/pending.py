"""What a crash has left of the deletion or the renaming of a study, until the same command finishes it.

A study that is being deleted lies in HOME/.deleting, where no command takes it for a study. One that is being renamed
has a file `renaming.json` in its folder: from what to what; nothing else may write to the study until that has ended.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import HpsearchError

DELETING = ".deleting"  # a folder of the home
RENAMING = "renaming.json"  # a file of a study's folder


@dataclass(frozen=True)
class Pending:
    """A deletion or a renaming that has not ended."""

    state: str  # deleting or renaming
    folder: Path  # of the study, as it is now
    former: str = ""  # of a renaming: the study's name before
    new: str = ""  # and the one to be

    def command(self, option: str) -> str:
        """The command that finishes it; `option`: the one that names the home."""
        words = ["delete", self.folder.name] if self.state == "deleting" else ["rename", self.former, self.new]
        return f"`hpsearch {shlex.join(words)}{option}`"


def deletions(home: Path) -> list[Pending]:
    """The studies of a home whose deletion has not ended."""
    with contextlib.suppress(OSError):
        return [Pending("deleting", path) for path in sorted((home / DELETING).iterdir()) if path.is_dir()]
    return []


def deletion(home: Path, study: str) -> Pending | None:
    """The deletion of a study of this name that has not ended; None if there is none."""
    folder = home / DELETING / study
    return Pending("deleting", folder) if folder.is_dir() else None


def renaming(folder: Path) -> Pending | None:
    """The renaming that a study is in; None if it is in none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((folder / RENAMING).read_bytes())
        return Pending("renaming", folder, former=str(said["from"]), new=str(said["to"]))
    return None


def refuse(home: Path, study: str) -> None:
    """Raises HpsearchError if a deletion or a renaming of this study has not ended."""
    option = "" if home.resolve() == Path("mlruns").resolve() else f" --home {shlex.quote(str(home))}"
    if (found := deletion(home, study)) is not None:
        raise HpsearchError(f"study '{study}' is deleted in part: {found.command(option)} deletes the rest")
    if (found := renaming(home / study)) is not None:
        what = f"from '{found.former}' to '{found.new}'"
        raise HpsearchError(f"study '{study}' is renamed in part ({what}): {found.command(option)} finishes that")
