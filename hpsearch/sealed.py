"""Checkpoint files that carry their own checksum: a line of JSON, then the bytes that it is about."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from hpsearch.atomic import write_atomically
from hpsearch.errors import CheckpointDamaged

LONGEST = 4096  # bytes of the line


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
