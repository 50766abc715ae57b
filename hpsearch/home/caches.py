"""The tokenised data in a home's cache: which of them a study uses, and which no study does.

Only folders that hpsearch's own trainer has made are looked at; a trainer of somebody else may keep anything there.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.data.corpus import fingerprint
from hpsearch.errors import HpsearchError
from hpsearch.home.home import Home
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline

FRESH = 3600.0  # seconds
DIGITS = 24  # of a fingerprint, in the name of a folder
OWN = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
STAGING = re.compile(rf"\.new-[0-9a-f]{{{DIGITS}}}-\w+")  # of a preparation that was killed


def present(home: Home) -> list[Path]:
    """The folders of tokenised data, and what killed preparations have left of some."""
    with contextlib.suppress(OSError):
        found = sorted(home.cache.iterdir())
        whole = [path for path in found if OWN.fullmatch(path.name) and (path / "corpus.json").is_file()]
        return whole + [path for path in found if STAGING.fullmatch(path.name) and path.is_dir()]
    return []


def used(history: History) -> set[str] | None:
    """The names of the folders that the trials of a study use; None if that cannot be told."""
    data = history.origin.data
    names = {str(data.get("fingerprint", ""))[:DIGITS]}
    if not _varies(history.origin.identity.get("tokenizer")):
        return names
    contents = data.get("contents")
    if not isinstance(contents, Mapping):
        return None
    for trial in history.everything.values():
        tokenizer = trial.config.get("tokenizer") or {}
        if tokenizer.get("file") is not None or "kind" not in tokenizer:
            return None  # its name depends on what the file contained
        names.add(fingerprint(dict(contents), tokenizer["kind"], vocab_size=tokenizer.get("vocab_size"))[:DIGITS])
    return names


def used_by_others(home: Home, without: Iterable[str] = ()) -> set[str] | None:
    """The names of the folders that the studies of a home use, but for some; None if that cannot be told."""
    found: set[str] = set()
    passed_over = set(without)
    with os.scandir(home.path) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name not in passed_over]
    for name in names:
        if not home.journal(name).exists():
            if (home.study(name) / "lock").exists():
                return None  # it is being opened
            continue
        try:
            theirs = used(History.of(outline(home.journal(name))))
        except (HpsearchError, OSError, KeyError, TypeError, ValueError, AttributeError):
            return None
        if theirs is None:
            return None
        found |= theirs
    return found


def _varies(section: Any) -> bool:
    """Whether a section has a range or choices."""
    if not isinstance(section, Mapping):
        return False
    return "choices" in section or any(isinstance(value, Mapping) for value in section.values())


def is_fresh(path: Path) -> bool:
    """Whether a folder was made within the last hour: a training of another process may be reading it."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime < FRESH
    return False
