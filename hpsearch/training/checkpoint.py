"""Checkpoints: atomic, checksummed, with the previous one kept; loading runs no code from them."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import torch

from hpsearch.errors import CheckpointDamaged
from hpsearch.system import sealed

State = dict[str, Any]

_log = logging.getLogger(__name__)


def save(path: Path, state: State, *, config_hash: str, previous: Path | None = None) -> None:
    """Writes tensors and plain values atomically (mode 0600).

    A line of JSON with SHA-256, length and config hash precedes torch's bytes. The previous checkpoint is kept as
    `previous`, if given. Raises OSError.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    sealed.write(path, buffer.getvalue(), config=config_hash, previous=previous)


def load(path: Path, *, config_hash: str, device: str | torch.device = "cpu") -> State:
    """Reads a checkpoint; raises CheckpointDamaged if its bytes changed or it is of another config."""
    body = sealed.read(path, config=config_hash)
    try:
        state: State = torch.load(io.BytesIO(body), map_location=device, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # foreign bytes with a valid checksum: torch raises many types
        raise CheckpointDamaged(f"{path}: the checkpoint holds something else than tensors and plain values") from None
    return state


def load_newest(paths: list[Path], *, config_hash: str, device: str | torch.device = "cpu") -> State | None:
    """Loads the first intact checkpoint of this config, or returns None; logs a warning for each damaged one."""
    for path in paths:
        try:
            return load(path, config_hash=config_hash, device=device)
        except FileNotFoundError:
            continue
        except CheckpointDamaged as error:
            _log.warning("%s; it is not used: training resumes from the one before, or restarts", error)
    return None
