"""One Ray actor, as seen by the driver: its trial, its pending call and its last heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpsearch.launchers.messages import Task
from hpsearch.launchers.ray.actor import ActorHeartbeat, ActorInfo


@dataclass
class Slot:
    """One actor, or an empty slot whose actor starts later."""

    actor: Any = None  # None: it starts at `start_at`
    pending: Any = None  # reference of its running call; None: it waits for a reply
    start_at: float = 0.0
    info: ActorInfo | None = None  # None: not started yet
    task: Task | None = None
    turn: int = 0
    heartbeat: Any = None  # reference of a heartbeat
    asked: float = 0.0  # when it was asked for
    steps: int = -1  # at the last heartbeat
    memory: int = 0
    silent_seconds: float = 0.0  # since the last message or step
    unreachable_since: float = 0.0  # 0: it is reachable

    @property
    def host(self) -> str:
        """The actor's node, for messages."""
        return "a node" if self.info is None else f"node {self.info.host}"

    def heard(self, heartbeat: ActorHeartbeat) -> None:
        """Notes a heartbeat."""
        self.silent_seconds = 0.0 if heartbeat.steps != self.steps else self.silent_seconds
        self.steps, self.memory = heartbeat.steps, heartbeat.memory


def listening(method: Any) -> Any:
    """Returns an actor's method that Ray runs in another thread than the training."""
    return method.options(concurrency_group="listen")
