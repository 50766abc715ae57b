"""The messages between driver and worker. Every message names its trial: a worker may train several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hpsearch.contract import Command, Evaluation, WorkerSettings
from hpsearch.storage.storage import RemoteFiles


@dataclass(frozen=True)
class Task:
    """A trial to train; it resumes from the checkpoint in `folder`, if any."""

    trial: int
    attempt: int
    config: dict[str, Any]
    folder: Path
    prepared: dict[str, Path] = field(default_factory=dict)  # prepared data: see WorkerSettings
    remote: RemoteFiles | None = None  # folder and data in a storage, for a worker that does not see the driver's disk
    measure: float = 0.0  # seconds; above 0, the training is only measured, for a plan


@dataclass(frozen=True)
class Reply:
    """The driver's command after the evaluation `index` of a trial; None: between evaluations."""

    trial: int
    command: Command
    index: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """A trial has an evaluation and waits for a Reply, and with it all trials of its worker."""

    slot: int
    trial: int
    evaluation: Evaluation


@dataclass(frozen=True)
class Ended:
    """A trial has ended; `command` is the one that its training obeyed.

    CONTINUE: the training reached its end, also if a PAUSE came too late.
    """

    slot: int
    trial: int
    command: Command
    worker_memory: int = field(default=0, compare=False)  # bytes its process uses after its last trial; 0: not measured
    leaks_memory: bool = field(default=False, compare=False)  # that is too much: the worker must be replaced
    saved: bool = field(default=False, compare=False)  # PAUSE: it has written a checkpoint since the command
    kept: bool = field(default=False, compare=False)  # PAUSE: its folder has a checkpoint, perhaps of before
    terminated: bool = field(default=False, compare=False)  # its worker got SIGTERM


@dataclass(frozen=True)
class Failed:
    """A trial's training raised an error, or its worker died: each of the worker's trials has such a message."""

    slot: int
    trial: int
    kind: str  # one of KINDS
    reason: str  # one line
    details: str = ""  # the traceback


KINDS = {
    "error": "the training code raised an error: a bug",
    "user": "the user's data or config is wrong: every other trial would fail too",
    "out_of_memory": "the trial needs more memory than there is",
    "died": "its worker process ended",
    "lost": "the machine of its worker is gone: not the trial's fault",
    "stalled": "its worker made no step for `stall_timeout` seconds and was killed",
    "device": "a CUDA error: the device or the process may be in a bad state",
    "disk": "the disk refuses writes: not the trial's fault",
}


@dataclass(frozen=True)
class Noted:
    """A warning that a trial's training logged."""

    slot: int
    trial: int
    line: str


@dataclass(frozen=True)
class Heartbeat:
    """A worker's training makes steps; the launcher keeps it to itself."""

    memory: int  # bytes, peak of the process


Message = Evaluated | Ended | Failed | Noted


class Launcher(Protocol):
    """Starts workers, hands them trials, and passes messages between them and the driver."""

    settings: list[WorkerSettings]  # one for each worker

    def ready(self, slot: int) -> bool:
        """Whether the worker can be handed a trial; False: it has not started yet."""

    def train(self, slot: int, tasks: Sequence[Task]) -> None:
        """Hands trials, which are trained together, to a free worker that is ready. It is free when all have ended."""

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or commands a trial to pause."""

    def messages(self, timeout: float) -> list[Message]:
        """Returns the workers' messages; waits at most `timeout` seconds for the first."""

    def close(self) -> None:
        """Kills all workers."""


@runtime_checkable
class CanRest(Protocol):
    """A launcher whose workers free their devices while a person has paused the search."""

    def rest(self) -> None:
        """Ends the workers, none of which has a trial."""

    def wake(self) -> None:
        """Starts them again."""
