"""What driver and worker say to each other. Every message names its trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hpsearch.contract import Command, Evaluation, WorkerSettings
from hpsearch.storage.storage import RemoteFiles


@dataclass(frozen=True)
class Task:
    """A trial to train: from its checkpoint in `folder` where there is one."""

    trial: int
    attempt: int
    config: dict[str, Any]
    folder: Path
    prepared: dict[str, Path] = field(default_factory=dict)  # the data, where they are prepared: see WorkerSettings
    remote: RemoteFiles | None = None  # where a storage has folder and data, for a worker that does not see them


@dataclass(frozen=True)
class Reply:
    """The driver's answer to the evaluation `index` of a trial (None: said unasked)."""

    trial: int
    command: Command
    index: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """A trial has measured its validation split and waits for an answer."""

    slot: int
    trial: int
    evaluation: Evaluation


@dataclass(frozen=True)
class Ended:
    """A trial has ended; `command` is the one that its training obeyed: CONTINUE where it came to its own end before
    it heard of a pause.
    """

    slot: int
    trial: int
    command: Command
    memory: int = field(default=0, compare=False)  # bytes that its worker still has, where it looked
    leaks: bool = field(default=False, compare=False)  # too many: the worker is to be replaced
    saved: bool = field(default=False, compare=False)  # a paused trial has written a checkpoint since it was told
    leaving: bool = field(default=False, compare=False)  # its worker was told to end


@dataclass(frozen=True)
class Failed:
    """A trial's training raised, or its worker died."""

    slot: int
    trial: int
    kind: str  # one of KINDS
    reason: str  # one line
    details: str = ""  # the traceback


KINDS = {
    "error": "the training code raised: a bug",
    "user": "the user's data or config are wrong: no other trial can do better",
    "out_of_memory": "the trial is too big for this machine",
    "died": "its worker process ended",
    "lost": "the machine of its worker went away: no fault of the trial",
    "stalled": "its worker made no step for too long and was killed",
    "device": "the device, or the process's hold of it, is in doubt (CUDA error)",
    "disk": "nothing can be saved: no fault of the trial",
}


@dataclass(frozen=True)
class Noted:
    """Something in a trial's training is worth a line to people."""

    slot: int
    trial: int
    line: str


@dataclass(frozen=True)
class Alive:
    """A worker's training makes steps; for the launcher alone."""

    trial: int
    memory: int  # bytes, the most that the process has had


Message = Evaluated | Ended | Failed | Noted


class Launcher(Protocol):
    """Workers somewhere: hand them trials, answer their evaluations."""

    settings: list[WorkerSettings]  # one for each worker

    def ready(self, slot: int) -> bool:
        """Whether the worker is there, so that it can be handed a trial; one that is not may come."""

    def train(self, slot: int, task: Task) -> None:
        """Hands a trial to a free worker that is ready."""

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or asks a trial to pause."""

    def messages(self, timeout: float) -> list[Message]:
        """What workers have said; waits at most `timeout` seconds for the first."""

    def close(self) -> None:
        """Ends all workers at once."""
