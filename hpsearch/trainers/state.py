"""A training's state as a checksummed file of JSON: enough for trainers whose state is numbers and lists."""

from __future__ import annotations

import json
import logging
from typing import Any

from hpsearch.config import Config
from hpsearch.contract import CHECKPOINTS, Handle
from hpsearch.errors import CheckpointDamaged
from hpsearch.system import sealed

_log = logging.getLogger(__name__)


def save_state(config: Config, handle: Handle, state: Any, *, name: str = CHECKPOINTS[0]) -> None:
    """Writes a JSON-serializable state to the training's folder atomically; the previous state is kept."""
    previous = handle.folder / CHECKPOINTS[1] if name == CHECKPOINTS[0] else None
    sealed.write(handle.folder / name, json.dumps(state).encode(), config=config.digest(), previous=previous)


def load_state(config: Config, handle: Handle) -> Any:
    """Returns the newest intact state that `save_state` wrote for this config, or None."""
    for path in (handle.folder / name for name in CHECKPOINTS):
        try:
            return json.loads(sealed.read(path, config=config.digest()))
        except FileNotFoundError:
            continue
        except (CheckpointDamaged, ValueError) as error:
            _log.warning("%s; it is not used: training resumes from the one before, or restarts", error)
    return None
