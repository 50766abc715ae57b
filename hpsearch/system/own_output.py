"""Whether a file that a command is to write may be replaced: only by `--force`, or if the same command has written it.

A config must also be as it was written, which a checksum in its last line shows: people edit configs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError

CHECKSUM = b"# As hpsearch wrote it, if the SHA-256 of the lines above is "
MOST = 16 << 20  # bytes of a config that are read; a larger file is none
HEAD = 4096  # bytes by which other files are known
COLUMNS = {b"number", b"outcome", b"seconds", b"mlflow_run_id"}  # of every table of trials
FOOTER = 1 << 20  # last bytes of a parquet file

Known = Callable[[Path], bool]


def refuse_other(path: Path, known: Known, *, force: bool) -> None:
    """Raises UserError if another file than one that this command writes is at the path, unless `force`.

    known: whether the file is one that this command has written. An empty file, a pipe or a device is written to.
    """
    if force or not path.is_file() or not path.stat().st_size:
        return
    try:
        if known(path):
            return
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    changed = "was edited since hpsearch wrote it" if known is is_config and _has_checksum(path) else "exists"
    what = "" if changed != "exists" else ", and is not what this command writes"
    raise UserError(f"{path} {changed}{what}; --force (force=True) replaces it, -o writes another file")


def with_checksum(config: str) -> str:
    """A config with a last line by which `is_config` knows it."""
    text = config if config.endswith("\n") else f"{config}\n"
    return f"{text}{CHECKSUM.decode()}{_digest(text.encode())}\n"


def is_config(path: Path) -> bool:
    """Whether it is a config that hpsearch wrote and nobody has edited."""
    if path.stat().st_size > MOST:
        return False
    text, mark, digest = path.read_bytes().rpartition(CHECKSUM)
    return bool(mark) and digest.strip().decode("ascii", "replace") == _digest(text)


def is_page(path: Path) -> bool:
    """Whether it is a report."""
    return b'<meta name="generator" content="hpsearch">' in _head(path)


def is_schema(path: Path) -> bool:
    """Whether it is the JSON Schema of space files."""
    return b'"title": "hpsearch space"' in _head(path)


def is_table(path: Path) -> bool:
    """Whether it holds the trials of a study, as csv, parquet or JSON."""
    head = _head(path)
    if head.startswith(b"PAR1"):  # the names of its columns are in the last block
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - FOOTER))
            return set(re.findall(rb"\w+", file.read())) >= COLUMNS
    columns = set(head.partition(b"\n")[0].strip().split(b","))
    return columns >= COLUMNS or head.startswith(b'{\n "study": ')


def is_predictions(path: Path) -> bool:
    """Whether its first line is a prediction."""
    with path.open("rb") as file:
        try:
            first: Any = json.loads(file.readline(MOST))
        except ValueError:
            return False
    keys = set(first) if isinstance(first, dict) else set()
    return any(own <= keys for own in ({"text", "completion"}, {"source", "translation"}, {"text", "probabilities"}))


def _has_checksum(path: Path) -> bool:
    return path.stat().st_size <= MOST and CHECKSUM in path.read_bytes()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
