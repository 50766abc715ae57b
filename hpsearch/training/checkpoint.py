"""Checkpoints: written whole or not at all, checksummed, loaded without running code from them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch

from hpsearch.errors import CheckpointDamaged
from hpsearch.training.atomic import write_atomically

State = dict[str, Any]


def save(path: Path, state: State, *, config_hash: str) -> None:
    """Writes tensors and plain values (mode 0600) so that after a crash the old or the new file is there, whole.

    A line of JSON with the SHA-256, the length and the config hash stands before torch's bytes.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    body = buffer.getvalue()
    header = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "config": config_hash}
    write_atomically(path, json.dumps(header).encode() + b"\n" + body)


def load(path: Path, *, config_hash: str, device: str | torch.device = "cpu") -> State:
    """Reads a checkpoint of this very config; raises CheckpointDamaged for any other or for changed bytes."""
    with path.open("rb") as file:
        header, body = file.readline(4096), file.read()
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
    except (pickle.UnpicklingError, EOFError):  # somebody else's bytes under a checksum of their own
        raise CheckpointDamaged(f"{path}: the checkpoint holds something else than tensors and plain values") from None
    return state
