"""The folder of all studies, and the history of one; imports nothing heavy, for the commands that only read."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from hpsearch import journal, trainers
from hpsearch.errors import UserError
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline
from hpsearch.journal.pending import refuse
from hpsearch.journal.study_lock import is_locked
from hpsearch.system.atomic import make_folder

SHOWN = 3  # nearest names in a message


@dataclass(frozen=True)
class Home:
    """The folder that holds all studies, their databases and the cache."""

    path: Path

    def make(self) -> Home:
        """Creates the folder (mode 0700); raises UserError if it cannot be written."""
        try:
            make_folder(self.path)
        except OSError as error:
            raise UserError(f"home {self.path}: cannot make the folder: {error.strerror}") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise UserError(f"home {self.path}: cannot write there")
        return self

    @classmethod
    def at(cls, path: Path) -> Home:
        """Returns the home of `--home PATH`: PATH, or PATH-hpsearch beside it if PATH is an MLflow file store.

        MLflow reads every folder of such a store as an experiment, and fails on other folders.
        """
        path = path if path.name else path.resolve()
        beside = path.with_name(f"{path.name}-hpsearch")
        if not _has_studies(path) and (_is_file_store(path) or _has_studies(beside)):
            return cls(beside)
        return cls(path)

    @property
    def option(self) -> str:
        """The option that a command needs to find this home; empty for the default home."""
        return "" if self.path == Path("mlruns") else f" --home {shlex.quote(str(self.path))}"

    @property
    def cache(self) -> Path:
        """The folder of tokenised data."""
        return self.path / "cache"

    def study(self, name: str) -> Path:
        """A study's folder."""
        return self.path / name

    def journal(self, name: str) -> Path:
        """A study's journal."""
        return self.study(name) / "journal.jsonl"

    def is_mistaken(self, name: str, space: str | Path | None) -> bool:
        """Whether an unknown study seems to be a misspelt one, or one of another home."""
        return bool(_near(self, name) or elsewhere(self, f"{name}/journal.jsonl", space=space))


def _has_studies(path: Path) -> bool:
    return next(path.glob("*/journal.jsonl"), None) is not None


def _is_file_store(path: Path) -> bool:
    """Whether MLflow keeps experiments there as folders, the default before version 3.7."""
    return any(next(path.glob(found), None) is not None for found in ("*/meta.yaml", ".trash/*/meta.yaml"))


def base_of(history: History, folder: Path) -> Path:
    """Returns the base of the relative paths of the study's data; `folder`: where the study is now.

    In a project that was moved or copied as a whole, the base keeps its place relative to the study.
    """
    base, exported = Path(history.origin.base), history.exported
    former = history.origin.folder or (os.path.dirname(exported.path) if exported else "")
    here = Path(os.path.normpath(folder.resolve() / os.path.relpath(base, former))) if former else base
    if here == base or not here.is_dir():
        return base
    plain = [file for file in trainers.input_paths(history.origin) if not set(file) & set("*?[$")]
    known = [file for file in plain if any((place / file).exists() for place in (base, here))] or plain
    return here if all((here / file).exists() for file in known) or not base.is_dir() else base


def elsewhere(home: Home, held: str, *, space: str | Path | None = None, above: bool = True) -> Path | None:
    """Returns another home with this file: beside the space file, or with `above` in a parent of the working folder."""
    folders = [] if space is None else [Path(space).parent, Path(os.path.realpath(space)).parent]
    folders += [Path(*[".."] * n) for n in range(1, len(Path.cwd().parents) + 1)] if above else []
    for folder in folders:
        other = Path(os.path.normpath(folder)) / "mlruns"
        with contextlib.suppress(OSError):  # a folder that may not be read
            if (other / held).exists() and not (home.path.exists() and other.samefile(home.path)):
                return other
    return None


def hint(home: Home, study: str, space: str | Path | None) -> str:
    """Says where else a study is, as the end of a message; empty if nowhere."""
    other = elsewhere(home, f"{study}/journal.jsonl", space=space)
    return f"; it is in the home {other} (in a command: --home {other})" if other else ""


def _studies(home: Home) -> list[str]:
    return sorted(entry.parent.name for entry in home.path.glob("*/journal.jsonl"))


def _near(home: Home, study: str) -> list[str]:
    return difflib.get_close_matches(study, _studies(home), n=SHOWN)


def _known(home: Home, study: str) -> str:
    """Says which studies there are, those with the nearest names or all, as the end of a message."""
    there = _studies(home)
    if near := _near(home, study):
        others = f" (hpsearch list{home.option} has all {len(there)})" if len(there) > len(near) else ""
        return f"did you mean {' or '.join(near)}?{others}"
    return f"there are: {', '.join(there)}" if there else "it has no study yet"


def history_of(home: Home, study: str, *, curves: bool = True, space: str | Path | None = None) -> History:
    """Reads the journal of a study; raises UserError for an unknown study, naming the known ones.

    curves: with all evaluations of trials that have ended (see journal/outline.py). space: the space file that named
    the study, if any: the error then names a home beside it that has the study.
    """
    path = home.journal(study)
    if not path.exists():
        if told := hint(home, study, space):
            raise UserError(f"no study '{study}' in {home.path}{told}")
        refuse(home.path, study)
        if is_locked(home.study(study) / "lock"):
            raise UserError(
                f"study '{study}' in {home.path} starts: its driver prepares the data, it has no trial yet; "
                f"hpsearch watch {study}{home.option} waits for it"
            )
        raise UserError(f"no study '{study}' in {home.path}; {_known(home, study)}")
    history = History.of(journal.iterate(path, points=False) if curves else outline(path))
    history.trials, history.repeats = dict(sorted(history.trials.items())), dict(sorted(history.repeats.items()))
    return history
