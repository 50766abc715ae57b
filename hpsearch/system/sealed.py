"""Files with a checksum and folders with a list of sizes, so that damage is detected.

A checkpoint starts with a line of JSON that has the checksum of the bytes after it. A folder of prepared data has the
sizes of its files in sizes.json.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from hpsearch.errors import CheckpointDamaged
from hpsearch.system.atomic import write_atomically

LONGEST = 4096  # bytes of the first line
SIZES = "sizes.json"


def write(path: Path, body: bytes, *, config: str, previous: Path | None = None) -> None:
    """Writes a file with its checksum, atomically (mode 0600); raises OSError.

    config: the digest of the config that the bytes belong to. previous: renames the old file to this path first.
    """
    header = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "config": config}
    write_atomically(path, json.dumps(header).encode() + b"\n" + body, previous=previous)


def read(path: Path, *, config: str) -> bytes:
    """Returns the bytes of a file of this config; does not follow symbolic links.

    Raises CheckpointDamaged if the bytes changed or belong to another config, FileNotFoundError for a missing file.
    """
    header, body = _read(path)
    try:
        facts = json.loads(header)
        belongs = facts["config"] == config
        whole = facts["bytes"] == len(body) and facts["sha256"] == hashlib.sha256(body).hexdigest()
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointDamaged(f"{path}: the checkpoint does not match its checksum")
    if not belongs:
        raise CheckpointDamaged(f"{path}: the checkpoint belongs to another config")
    return body


def is_whole(path: Path) -> bool:
    """Whether the bytes of a file match the checksum in its first line; raises OSError."""
    with path.open("rb") as file:
        try:
            facts = json.loads(file.readline(LONGEST))
            wanted = (facts["sha256"], facts["bytes"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        start = file.tell()
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return (digest, file.tell() - start) == wanted


def seal(folder: Path) -> None:
    """Writes the sizes of a folder's files to sizes.json; makes all files private (0600, 0700) and syncs them."""
    sizes = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        path.chmod(0o600)
        sizes[str(path.relative_to(folder))] = path.stat().st_size
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    for path in (path for path in folder.rglob("*") if path.is_dir()):
        path.chmod(0o700)
    (folder / SIZES).write_text(json.dumps(sizes))
    (folder / SIZES).chmod(0o600)


def is_whole_folder(folder: Path) -> bool:
    """Whether every file of a sealed folder exists with its size."""
    try:
        sizes = json.loads((folder / SIZES).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _read(path: Path) -> tuple[bytes, bytes]:
    """Returns header and body of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointDamaged(f"{path}: cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.readline(LONGEST), file.read()
        except OSError as error:
            raise CheckpointDamaged(f"{path}: cannot be read: {error.strerror}") from error
