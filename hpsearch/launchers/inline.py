"""One worker in the driver's own process: for debugging, notebooks, and systems without child processes."""

from __future__ import annotations

from hpsearch.contract import WorkerSettings
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

    def train(self, slot: int, task: Task) -> None:
        """Sets the trial; training starts with the next call of `messages`."""
        self._session = Session(slot, task, self.settings[slot], trainer=self.trainer, listen=lambda: None)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or commands the trial to pause."""
        if self._session is not None and self._session.task.trial == reply.trial:
            self._session.answer(reply.command)

    def messages(self, timeout: float) -> list[Message]:
        """Trains and returns the trial's next message."""
        if self._session is None:
            return []
        message = self._session.step()
        if not hasattr(message, "evaluation"):
            self._session = None
        return [message]

    def close(self) -> None:
        """Drops the trial in training."""
        self._session = None
