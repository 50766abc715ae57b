"""Gives a study another name: its folder, its journal, its MLflow experiment and runs, its row in the Optuna database.

First both databases are brought up to date, then `renaming.json` says from what to what. Until the last step, which
removes that file, nothing else writes to the study; each step may be repeated, so that the same command finishes what a
crash has interrupted. No value of a trial changes: the study resumes as if it had always had the new name.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.document.document import study_in
from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy, UserError
from hpsearch.home.home import Home, base_of, history_of
from hpsearch.journal import ORIGIN, Entry, encode, parsed, pending
from hpsearch.journal.history import History
from hpsearch.journal.lines import whole
from hpsearch.journal.outline import outline
from hpsearch.journal.study_lock import StudyLock
from hpsearch.space.validation import wrong_study
from hpsearch.system import failpoints
from hpsearch.system.atomic import sync_folder, write_atomically, write_json
from hpsearch.system.file_lock import locked
from hpsearch.views import optuna, shipping
from hpsearch.views.follower import BUSY, Say, describe, read_state, state_file, write_state
from hpsearch.views.mlflow import renaming as in_mlflow

VIEWS = ("mlflow", "optuna")
CHANGED = re.compile(rb'\{"time":[^,]+,"event":"(study_created|driver_started|study_exported)"')
STUDY_LINE = re.compile(r"""^study:[ \t]*(?P<quote>["']?)(?P<name>[\w.-]+)(?P=quote)(?=[ \t]*(#|\r?$))""", re.MULTILINE)
MOST_FILES = 500  # of a folder that is searched for space files


def rename(home: Home, name: str, new: str, *, say: Say = lambda line: None) -> None:
    """Renames a study, or finishes that.

    Raises UserError for an unknown study, and for a new name that is not allowed or taken; StudyBusy while it is
    running; HpsearchError if a database cannot be reached: nothing is changed then, or the same call finishes it.
    """
    if (half := _begun(home, name, new)) is None:
        _check(home, name, new)
        _begin(home, name, new, say=say)
    folder = home.study(name) if half is None else half.folder
    try:
        lock = StudyLock(folder / "lock", what=f"study '{folder.name}'")
    except StudyBusy as error:
        raise StudyBusy(f"{error}; stop it first (hpsearch stop {folder.name}{home.option})") from None
    try:
        with _reporting(home, name, new):
            _finish(home, folder, name, new)
    finally:
        lock.release()
    with contextlib.suppress(HpsearchError):  # the next run or sync writes what MLflow's pages say of it
        uri = _tracking(history_of(home, new, curves=False))
        shipping.sync(home.study(new), home.path.resolve(), uri, VIEWS)


def space_files(home: Home, study: str, former: str) -> list[Path]:
    """The space files beside the study's data that name it by its former name."""
    folder = base_of(History.of(outline(home.journal(study))), home.study(study))
    with contextlib.suppress(OSError):
        there = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
        return [path for path in there[:MOST_FILES] if study_in(path) == former and _is_space(path)]
    return []


def place_of_name(path: Path) -> str:
    """`path:line:column` of the study's name in a space file; the path if it has none."""
    text = path.read_text("utf-8-sig")
    found = STUDY_LINE.search(text)
    if found is None:
        return str(path)
    line = text.count("\n", 0, found.start())
    return f"{path}:{line + 1}:{found.start('name') - found.start() + 1}"


def edit(path: Path, new: str) -> None:
    """Writes the study's new name into a space file, and nothing else; raises UserError if that is not possible."""
    try:
        text = path.read_bytes().decode("utf-8")
        mode = path.stat().st_mode & 0o777
        write_atomically(path.resolve(), renamed_text(text, new).encode())
        path.chmod(mode)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be edited: {error}") from None


def renamed_text(text: str, new: str) -> str:
    """The text of a space file with another name of the study; a file that names none gets a line."""
    if (found := STUDY_LINE.search(text)) is not None:
        return text[: found.start("name")] + new + text[found.end("name") :]
    mark = "\ufeff" * text.startswith("\ufeff")
    return f"{mark}study: {new}\n{text.removeprefix(mark)}"


# -------------------------------------------------------------------------------------------------------- before it


def _begun(home: Home, name: str, new: str) -> pending.Pending | None:
    """The renaming that this call is to finish; None if there is none."""
    for folder in (home.study(name), home.study(new)):
        found = pending.renaming(folder)
        if found is not None and (found.former, found.new) == (name, new):
            return found
    return None


def _check(home: Home, name: str, new: str) -> None:
    """Raises UserError if the study is unknown, or the new name is not allowed or taken."""
    history_of(home, name, curves=False)
    pending.refuse(home.path, name)
    pending.refuse(home.path, new)
    if reason := wrong_study(new):
        raise UserError(reason)
    if name == new:
        raise UserError(f"study '{name}' has that name")
    if home.study(name).is_symlink():
        raise UserError(f"{home.study(name)}: is a link to another folder; rename that")
    for path in (home.study(new), home.path / "artifacts" / new):
        if os.path.lexists(path):
            raise UserError(f"'{new}' is taken: {path} exists; choose another name")


def _begin(home: Home, name: str, new: str, *, say: Say) -> None:
    """Brings the databases up to date, and notes the renaming."""
    folder, path = home.study(name), home.path.resolve()
    stop_first = f"stop it first (hpsearch stop {name}{home.option})"
    with shipping.undriven(folder, stop_first):
        pass  # else `sync` says why it refuses
    history = history_of(home, name, curves=False)
    uri = _tracking(history)
    lacking = {view: count for view, count in shipping.sync(folder, home.path, uri, VIEWS, say=say).items() if count}
    if lacking:
        said = " and ".join(f"{view} lacks {count} events or pictures" for view, count in lacking.items())
        raise HpsearchError(f"study '{name}' is not renamed: {said} and cannot be written; try again when it can be")
    try:
        in_mlflow.check(path, uri, name, new, history.created)
        optuna.check_name(path, new)
    except HpsearchError:
        raise
    except Exception as error:  # of whichever store
        raise HpsearchError(f"study '{name}' is not renamed: {describe(error)}") from None
    with shipping.undriven(folder, stop_first), _writing(folder):
        if history_of(home, name, curves=False).last != history.last:
            raise StudyBusy(f"study '{name}' was run meanwhile, and is not renamed; try again")
        write_json(folder / pending.RENAMING, {"from": name, "to": new})
    failpoints.hit("renaming_begun")


# ----------------------------------------------------------------------------------------------- what may be repeated


def _finish(home: Home, folder: Path, name: str, new: str) -> None:
    """Renames the study everywhere."""
    history, path = History.of(outline(folder / "journal.jsonl")), home.path.resolve()
    uri = _tracking(history)
    in_mlflow.rename(path, uri, name, new)
    failpoints.hit("runs_renamed")
    optuna.rename(path, name, new, history.created)
    failpoints.hit("rows_renamed")
    with locked(folder / "views" / "lock", timeout=10, busy=BUSY):
        size = _rewrite(folder / "journal.jsonl", name, new)
        _note(folder, path, uri, new, size)
        failpoints.hit("journal_renamed")
        _rewrite_copies(folder, name, new)
        if folder.name != new:
            os.rename(folder, folder.with_name(new))
            sync_folder(home.path)
    failpoints.hit("folder_renamed")
    (home.study(new) / pending.RENAMING).unlink(missing_ok=True)
    sync_folder(home.study(new))


def _rewrite(path: Path, name: str, new: str) -> int:
    """Replaces the journal by one with the new name, in one step; returns its size. Other lines do not change."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with path.open("rb") as lines, os.fdopen(descriptor, "wb") as file:
        for line in lines:
            if line.endswith(b"\n"):  # else torn: no driver has acknowledged it
                file.write(_line(line, name, new))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    os.replace(temporary, path)
    sync_folder(path.parent)
    return size


def _line(line: bytes, name: str, new: str) -> bytes:
    """A line of the journal with the new name; the line itself if it has no name, or is damaged."""
    body = whole(line) if CHANGED.match(line) else None
    if body is None:
        return line
    event = parsed(body)
    if event["event"] == "study_created":
        event = _origin(event, name, new)
    elif event["event"] == "driver_started" and ORIGIN in event:
        event[ORIGIN] = _origin(event[ORIGIN], name, new)
    elif event["event"] == "study_exported":
        event["path"] = _moved(event["path"], name, new)
    return encode(event)


def _origin(origin: Entry, name: str, new: str) -> Entry:
    """A study_created event, or a copy of it, with the new name."""
    changed: dict[str, Any] = {"study": new, "first": origin.get("first") or origin.get("study", name)}
    if isinstance(origin.get("experiment"), dict):
        changed["experiment"] = {**origin["experiment"], "study": new}
    if origin.get("source"):
        changed["source"] = renamed_text(origin["source"], new)
    if origin.get("folder"):
        changed["folder"] = str(Path(origin["folder"]).with_name(new))
    return origin if origin.get("study") == new else {**origin, **changed}


def _moved(path: str, name: str, new: str) -> str:
    """A path of a file in the study's folder, in the new one."""
    found = Path(path)
    return str(found.parent.with_name(new) / found.name) if found.parent.name == name else path


def _note(folder: Path, home: Path, uri: str | None, new: str, size: int) -> None:
    """Notes in both databases, and in their states, that they have the whole rewritten journal."""
    for view in VIEWS:
        state = read_state(state_file(folder, view))["state"]
        if view == "mlflow" and "parent" in state:
            state = {**state, "tags": {**state["tags"], "hpsearch.study": new}}
            in_mlflow.note(home, uri, state["parent"], size)
        elif view == "optuna" and "study" in state:
            optuna.note(home, state["study"], size)
        else:
            continue  # the database has nothing of it, and gets everything from the new journal
        write_state(state_file(folder, view), {"offset": size, "state": state})


def _rewrite_copies(folder: Path, name: str, new: str) -> None:
    """Writes the new name into the copy of the space file, and the exported config."""
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        text = (folder / "space.yaml").read_bytes().decode()
        write_atomically(folder / "space.yaml", renamed_text(text, new).encode())
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        text = (folder / "best.yaml").read_bytes().decode()
        text = re.sub(rf"^( *study: ){re.escape(name)}$", rf"\g<1>{new}", text, flags=re.MULTILINE)
        write_atomically(folder / "best.yaml", text.encode())


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Reports a folder that cannot be written."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"{folder}: cannot be renamed: {error.strerror}; nothing was changed") from None


@contextlib.contextmanager
def _reporting(home: Home, name: str, new: str) -> Iterator[None]:
    """Says of any failure how to finish the renaming."""
    try:
        yield
    except Exception as error:  # of whichever store
        said = error if isinstance(error, HpsearchError) else describe(error)
        way = pending.Pending("renaming", home.study(name), name, new).command(home.option)
        raise HpsearchError(
            f"study '{name}' is renamed to '{new}' in part ({said}); once that is mended, {way} finishes it"
        ) from error


def _is_space(path: Path) -> bool:
    """Whether a file may be a space: it has data."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return re.search(r"^data:", path.read_text("utf-8-sig"), re.MULTILINE) is not None
    return False


def _tracking(history: History) -> str | None:
    uri: str | None = (history.origin.experiment.get("tracking") or {}).get("uri")
    return uri
