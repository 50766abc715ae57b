"""Checkpoints: written whole or not at all, checksummed, the one before kept, loaded without running code from them."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import torch

from hpsearch import sealed
from hpsearch.errors import CheckpointDamaged

State = dict[str, Any]

_log = logging.getLogger(__name__)


def save(path: Path, state: State, *, config_hash: str, previous: Path | None = None) -> None:
    """Writes tensors and plain values (mode 0600) so that after a crash the old or the new file is there, whole.

    A line of JSON with the SHA-256, the length and the config hash stands before torch's bytes. The checkpoint before
    it stays as `previous` if given. Raises OSError.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    sealed.write(path, buffer.getvalue(), config=config_hash, previous=previous)


def load(path: Path, *, config_hash: str, device: str | torch.device = "cpu") -> State:
    """Reads a checkpoint of this very config; raises CheckpointDamaged for any other or for changed bytes."""
    body = sealed.read(path, config=config_hash)
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
