"""One worker in the driver's own process: for debugging, notebooks, and systems without child processes."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.contract import WorkerSettings
from hpsearch.launchers.devices import first_gpu
from hpsearch.launchers.messages import Message, Reply, Task
from hpsearch.launchers.session import TRAINER, Session


class InlineLauncher:
    """Trains in the caller's process; each call of `messages` trains up to the next evaluation."""

    def __init__(self, settings: WorkerSettings, *, trainer: str = TRAINER) -> None:
        self.settings, self.trainer = [settings], trainer
        self._session: Session | None = None

    def ready(self, slot: int) -> bool:
        """Always True."""
        return True

    def train(self, slot: int, tasks: Sequence[Task]) -> None:
        """Sets the trials; training starts with the next call of `messages`."""
        settings = first_gpu(self.settings[slot])
        self._session = Session(slot, tasks, settings, trainer=self.trainer, listen=lambda: None)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or commands the trial to pause."""
        if self._session is not None:
            self._session.answer(reply.trial, reply.command)

    def messages(self, timeout: float) -> list[Message]:
        """Trains and returns the next evaluation, or the end of trials."""
        if self._session is None:
            return []
        found = self._session.step()
        if not self._session.trials:
            self._session = None
        return found

    def close(self) -> None:
        """Drops the trials in training."""
        self._session = None
