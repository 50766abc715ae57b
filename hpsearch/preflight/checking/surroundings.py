"""What a training may leave around it: files outside of its folder, and processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

MARK = "HPSEARCH_CHECK"  # environment variable of the workers and of all that they start
MOST = 20_000  # files that are looked at
SKIPPED = {"__pycache__", ".git", ".pytest_cache", ".ruff_cache", ".mypy_cache"}  # folders that others write
PATIENCE = 5.0  # seconds in which what a training has started may end
TRACKER = b"resource_tracker"  # of Python's multiprocessing: one for each process that uses it
SETTLED = 1.0  # seconds without a training in which what still writes is something else
States = dict[Path, tuple[int, int]]


class Files:
    """The files in some folders, looked at before the first training, after each training, and at the end.

    What a training writes changes in most of the trainings. What changes once, while none runs, or lies open in a
    process that no worker has started, may be somebody else's.
    """

    def __init__(self, folders: Sequence[Path], *, without: Sequence[Path]) -> None:
        """without: folders that hpsearch itself writes to."""
        self._folders = list(dict.fromkeys(folder.resolve() for folder in folders))
        self._without = {path.resolve() for path in without}
        self._seen = self._look()
        self._busy: list[set[Path]] = []  # what changed in each training
        self._quiet: set[Path] = set()  # what changed while none ran

    @property
    def too_many(self) -> bool:
        """Whether the folders have more files than can be watched."""
        return self._seen is None

    def trained(self) -> None:
        """Notes what has changed during a training, which has just ended."""
        self._busy.append(self._changed())

    def idle(self) -> None:
        """Notes what has changed while no training ran."""
        self._quiet |= self._changed()

    def written(self, foreign: Callable[[Path], bool]) -> tuple[list[Path], list[Path]]:
        """The files that the trainings have written, and those of which that is not known.

        foreign: whether a file is open in a process that no worker has started.
        """
        if set().union(*self._busy) - self._quiet:
            time.sleep(SETTLED)
            self.idle()
        windows = [window - self._quiet for window in self._busy]
        places = [{_place(path) for path in window} for window in windows]
        often = {one for one in set().union(*places) if sum(one in window for window in places) >= self._least}
        changed = {path for path in set().union(*windows) if not foreign(path)}
        ours = {path for path in changed if _place(path) in often}
        return sorted(ours), sorted(changed - ours)

    @property
    def _least(self) -> float:
        """The trainings in which a file must change: most of several, for some of them are stopped early."""
        return max(2, len(self._busy) / 2)

    def _changed(self) -> set[Path]:
        before, now = self._seen or {}, self._look()
        self._seen = now
        return {path for path, state in (now or {}).items() if before.get(path) != state}

    def _look(self) -> States | None:
        """Size and time of each file; None if there are too many."""
        found: States = {}
        for folder in self._folders:
            for path in self._walk(folder):
                with contextlib.suppress(OSError):
                    status = path.stat(follow_symlinks=False)
                    found[path] = status.st_size, status.st_mtime_ns
                if len(found) > MOST:
                    return None
        return found

    def _walk(self, folder: Path) -> Iterator[Path]:
        for place, folders, files in os.walk(folder):
            folders[:] = [one for one in folders if one not in SKIPPED and Path(place, one) not in self._without]
            yield from (Path(place, name) for name in files)


def _place(path: Path) -> tuple[Path, str]:
    """What tells files of one origin: a training may name each file anew, but writes it to the same folder."""
    return path.parent, path.suffix


class Processes:
    """The processes of the workers that start after this, and what these start (Linux)."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        os.environ[MARK] = self._mark
        self._own: set[int] = set()

    def close(self) -> None:
        """Marks no further process."""
        os.environ.pop(MARK, None)

    def await_workers(self, count: int) -> bool:
        """Waits for workers that have not trained yet, each with its reaper; returns False if that cannot be seen."""
        deadline = time.monotonic() + 12 * PATIENCE
        while time.monotonic() < deadline and Path("/proc/self/environ").exists():
            before, self._own = self._own, self._marked()
            if len(self._own) >= 2 * count and self._own == before:  # a fork looks like its parent at first
                return True
            time.sleep(0.2)
        return False

    def left(self) -> list[str]:
        """What a training has started that does not end: number and command line of each."""
        deadline = time.monotonic() + PATIENCE
        while (found := self._marked() - self._own) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [f"{pid} ({_command(pid)})" for pid in sorted(found)]

    def open_elsewhere(self, path: Path) -> bool:
        """Whether a file is open for writing in a process that no worker has started, such as a log of another one."""
        marked = self._marked()
        return any(int(folder.name) not in marked and _holds(folder, path) for folder in Path("/proc").glob("[0-9]*"))

    def _marked(self) -> set[int]:
        wanted, found = f"{MARK}={self._mark}".encode(), set()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                marked = wanted in (folder / "environ").read_bytes().split(b"\0")
                if marked and state != "Z" and TRACKER not in (folder / "cmdline").read_bytes():
                    found.add(int(folder.name))
        return found - {os.getpid()}


def _holds(process: Path, path: Path) -> bool:
    """Whether a process of /proc has a file open for writing."""
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                flags = (process / "fdinfo" / link.name).read_text().split("flags:")[1].split()[0]
                if int(flags, 8) & os.O_ACCMODE != os.O_RDONLY and link.readlink() == path:
                    return True
    return False


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return " ".join(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0"))[:80].strip()
    return "gone"
