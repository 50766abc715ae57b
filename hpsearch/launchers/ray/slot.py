"""The driver's end of one actor on Ray: what it was handed, what it is to say, and when it last gave a sign of life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpsearch.launchers.messages import Task
from hpsearch.launchers.ray.actor import Life, Place


@dataclass
class Slot:
    """One actor, or the place of one that is to come."""

    actor: Any = None  # None: it is to be started when it is `due`
    pending: Any = None  # the reference of what it says next; None: it waits for us
    due: float = 0.0
    place: Place | None = None  # None: not there yet
    task: Task | None = None
    turn: int = 0
    life: Any = None  # the reference of a sign of life
    asked: float = 0.0  # when
    looks: int = -1  # between steps, as it last said
    memory: int = 0
    silent: float = 0.0  # seconds since it was last heard of
    doubted: float = 0.0  # when it could first not be reached

    @property
    def host(self) -> str:
        """Where it is, for people."""
        return "a node" if self.place is None else f"node {self.place.host}"

    def heard(self, life: Life) -> None:
        """It has given a sign of life."""
        self.silent = 0.0 if life.looks != self.looks else self.silent
        self.looks, self.memory = life.looks, life.memory


def listening(method: Any) -> Any:
    """A method, called beside the training."""
    return method.options(concurrency_group="listen")
