"""States of a training in its stable phase, from which it can cool down later.

Each is copied into memory at an evaluation and written to a file of its own with the next checkpoint: trainings that
end before they save never write one, and none is written twice.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch

from hpsearch.contract import STABLE
from hpsearch.errors import CheckpointDamaged
from hpsearch.training import checkpoint


class StableStates:
    """The kept states by evaluation index."""

    def __init__(self, folder: Path, *, config_hash: str) -> None:
        self._folder, self._config_hash = folder, config_hash
        self._held: dict[int, checkpoint.State] = {}
        self._written = {int(path.stem.partition("-")[2]) for path in folder.glob(STABLE)}

    @property
    def indices(self) -> list[int]:
        """The evaluations whose states are kept."""
        return sorted({*self._held, *self._written})

    def keep(self, index: int, state: checkpoint.State) -> None:
        """Copies a state of tensors and plain values to the CPU's memory."""
        self._held[index] = copied(state)

    def drop(self, *, below: int = 0, above: int | None = None) -> None:
        """Deletes the states of evaluations outside of below..above."""
        for index in self.indices:
            if index < below or (above is not None and index > above):
                self._held.pop(index, None)
                self._written.discard(index)
                with contextlib.suppress(OSError):
                    self._path(index).unlink()

    def write(self) -> None:
        """Writes the states that have no file yet, and lets go of their memory; raises OSError."""
        for index in list(self._held):
            checkpoint.save(self._path(index), self._held[index], config_hash=self._config_hash)
            self._written.add(index)
            del self._held[index]

    def load(self, index: int, device: torch.device) -> checkpoint.State | None:
        """Returns a state on the device; None if its file is missing or damaged."""
        if index in self._held:
            return self._held[index]  # load_state_dict copies it
        try:
            return checkpoint.load(self._path(index), config_hash=self._config_hash, device=device)
        except (FileNotFoundError, CheckpointDamaged):
            return None

    def _path(self, index: int) -> Path:
        return self._folder / STABLE.replace("*", str(index))


def copied(value: Any) -> Any:
    """A copy of nested dicts and lists whose tensors are on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value
