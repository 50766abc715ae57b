"""The worker's end: it trains what it is handed and asks after each evaluation. It opens no database."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

from hpsearch.errors import HpsearchError, UserError
from hpsearch.launchers.messages import Answer, Ended, Evaluated, Failed, Message, Task
from hpsearch.training.config import TrainConfig
from hpsearch.training.contract import Evaluation, Handle, Setting, Told

TRAINER = "hpsearch.training.loop:train"
LISTEN = 0.05  # seconds between looks for a message while training: a look costs microseconds, a step can cost fewer
TOLD = {Answer.GO_ON: Told.GO_ON, Answer.PAUSE: Told.PAUSE, Answer.FINISH: Told.FINISH}


class Session:
    """One trial in training, as an iterator of messages; `answer` says how to go on."""

    def __init__(self, slot: int, task: Task, setting: Setting, *, trainer: str, listen: Callable[[], None]) -> None:
        self.slot, self.task = slot, task
        self.last = Answer.GO_ON
        self._listen, self._listened = listen, time.monotonic()
        task.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = Handle(replace(setting, corpora=task.corpora), task.folder, self._told)
        self._evaluations = _train(trainer, TrainConfig.model_validate(task.config), handle)

    def answer(self, answer: Answer) -> None:
        """What the trial is to do from now on; a PAUSE stands against a later GO_ON."""
        if not (answer is Answer.GO_ON and self.last is Answer.PAUSE):
            self.last = answer

    def step(self) -> Message:
        """Trains to the next evaluation or the end; every error becomes a message."""
        trial = self.task.trial
        if self.last is Answer.DROP:
            self._evaluations.close()  # type: ignore[attr-defined]
            return Ended(self.slot, trial, self.last)
        try:
            evaluation = next(self._evaluations)
        except StopIteration:
            return Ended(self.slot, trial, self.last)
        except MemoryError as error:
            return Failed(self.slot, trial, "out_of_memory", f"out of memory: {error}", traceback.format_exc())
        except Exception as error:
            return Failed(self.slot, trial, _kind(error), _one_line(error), traceback.format_exc())
        return Evaluated(self.slot, trial, asdict(evaluation))

    def _told(self) -> Told:
        now = time.monotonic()
        if now - self._listened > LISTEN:
            self._listened = now
            self._listen()
        return TOLD.get(self.last, Told.PAUSE)


def _train(trainer: str, config: TrainConfig, handle: Handle) -> Iterator[Evaluation]:
    module, _, function = trainer.partition(":")
    made: Iterator[Evaluation] = getattr(importlib.import_module(module), function)(config, handle)
    return made


def _kind(error: Exception) -> str:
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error).lower():
        return "out_of_memory"
    return "user" if isinstance(error, UserError) else "error"


def _one_line(error: Exception) -> str:
    text: Any = str(error).strip().splitlines() or [""]
    return text[0] if isinstance(error, HpsearchError) else f"{type(error).__name__}: {text[0]}"
