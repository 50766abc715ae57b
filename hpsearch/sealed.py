"""Files and folders that show whether they are whole.

A checkpoint carries its checksum: a line of JSON, then the bytes. A folder of prepared data has the sizes of its files
in sizes.json.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from hpsearch.atomic import write_atomically
from hpsearch.errors import CheckpointDamaged

LONGEST = 4096  # bytes of the line
SIZES = "sizes.json"


def write(path: Path, body: bytes, *, config: str, former: Path | None = None) -> None:
    """Writes a file (mode 0600) so that after a crash the old or the new one is there, whole; raises OSError.

    config: the digest of the config that the bytes belong to. The file before it stays as `former` where that is given.
    """
    header = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "config": config}
    write_atomically(path, json.dumps(header).encode() + b"\n" + body, former=former)


def read(path: Path, *, config: str) -> bytes:
    """The bytes of a file of this config; raises CheckpointDamaged for changed bytes and for another config's.

    Raises FileNotFoundError for a missing file. Symbolic links are not followed.
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
    """Makes the files of a folder private, notes their sizes in it, and returns when all are on the disk."""
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
    """Whether every file of a sealed folder is there in its full size."""
    try:
        sizes = json.loads((folder / SIZES).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _read(path: Path) -> tuple[bytes, bytes]:
    """Header and body of a file."""
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
