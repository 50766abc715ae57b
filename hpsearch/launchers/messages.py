"""What driver and worker say to each other. Every message names its trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from hpsearch.training.contract import Setting


@dataclass(frozen=True)
class Task:
    """A trial to train: from its checkpoint in `folder` where there is one."""

    trial: int
    attempt: int
    config: dict[str, Any]
    folder: Path
    corpora: dict[str, Path] = field(default_factory=dict)  # the data, where they are prepared: see Setting


class Answer(StrEnum):
    """What the driver answers to an evaluation, or says in between (PAUSE)."""

    GO_ON = "go on"
    DROP = "drop"  # cease, keep nothing
    PAUSE = "pause"  # save everything and cease
    FINISH = "finish"  # save the best weights and cease


@dataclass(frozen=True)
class Reply:
    """The driver's answer to the evaluation `index` of a trial (None: said unasked)."""

    trial: int
    answer: Answer
    index: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """A trial has measured its validation split and waits for an answer."""

    slot: int
    trial: int
    evaluation: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """A trial has ceased; `answer` says what it was told (GO_ON: it came to its own end)."""

    slot: int
    trial: int
    answer: Answer


@dataclass(frozen=True)
class Failed:
    """A trial's training raised, or its worker died."""

    slot: int
    trial: int
    kind: str  # "error", "user", "out_of_memory" or "died"
    reason: str  # one line
    details: str = ""  # the traceback


Message = Evaluated | Ended | Failed


class Launcher(Protocol):
    """Workers somewhere: hand them trials, answer their evaluations."""

    settings: list[Setting]  # one for each worker

    def train(self, slot: int, task: Task) -> None:
        """Hands a trial to a free worker."""

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or asks a trial to pause."""

    def messages(self, timeout: float) -> list[Message]:
        """What workers have said; waits at most `timeout` seconds for the first."""

    def close(self) -> None:
        """Ends all workers at once."""
