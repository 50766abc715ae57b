"""Checkpoints: written whole or not at all, checksummed, the one before kept, loaded without running code from them."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import torch

from hpsearch.atomic import write_atomically
from hpsearch.errors import CheckpointDamaged

State = dict[str, Any]

_log = logging.getLogger(__name__)


def save(path: Path, state: State, *, config_hash: str, former: Path | None = None) -> None:
    """Writes tensors and plain values (mode 0600) so that after a crash the old or the new file is there, whole.

    A line of JSON with the SHA-256, the length and the config hash stands before torch's bytes. The checkpoint before
    it stays as `former` where that is given. Raises OSError.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    body = buffer.getvalue()
    header = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "config": config_hash}
    write_atomically(path, json.dumps(header).encode() + b"\n" + body, former=former)


def load(path: Path, *, config_hash: str, device: str | torch.device = "cpu") -> State:
    """Reads a checkpoint of this very config; raises CheckpointDamaged for any other or for changed bytes."""
    header, body = _read(path)
    try:
        facts = json.loads(header)
        belongs = facts["config"] == config_hash
        whole = facts["bytes"] == len(body) and facts["sha256"] == hashlib.sha256(body).hexdigest()
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointDamaged(f"{path}: the checkpoint does not match its checksum")
    if not belongs:
        raise CheckpointDamaged(f"{path}: the checkpoint belongs to another config")
    try:
        state: State = torch.load(io.BytesIO(body), map_location=device, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # somebody else's bytes under a checksum of their own: torch meets them in many ways
        raise CheckpointDamaged(f"{path}: the checkpoint holds something else than tensors and plain values") from None
    return state


def load_newest(paths: list[Path], *, config_hash: str, device: str | torch.device = "cpu") -> State | None:
    """The first of the checkpoints that is there, whole and of this config; each damaged one is a logged warning."""
    for path in paths:
        try:
            return load(path, config_hash=config_hash, device=device)
        except FileNotFoundError:
            continue
        except CheckpointDamaged as error:
            _log.warning("%s; it is not used: training goes on from the one before, or anew", error)
    return None


def _read(path: Path) -> tuple[bytes, bytes]:
    """Header and body of a file; a link in its place is not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointDamaged(f"{path}: cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.readline(4096), file.read()
        except OSError as error:
            raise CheckpointDamaged(f"{path}: cannot be read: {error.strerror}") from error
