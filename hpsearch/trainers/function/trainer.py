"""Trains by a user's function, which yields what it measures, reports it, or returns it.

The function runs in a greenlet: so code that calls `trial.report` deep in a framework's loop is left at that call and
entered there again, in the thread that called it, and the worker's loop stays an iterator.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from greenlet import getcurrent, greenlet
from pydantic import Field

from hpsearch.config import Config
from hpsearch.contract import Evaluation, Handle
from hpsearch.document.document import Fault
from hpsearch.errors import ConfigError, TrialStopped
from hpsearch.output.error_lines import with_line
from hpsearch.trainers.function.source import file_of, load, source_of, takes
from hpsearch.trainers.function.trial import FunctionTrial
from hpsearch.trainers.output_log import OutputLog, printing_to
from hpsearch.trainers.own import OwnConfig, OwnTrainer, Report, note_tested
from hpsearch.trainers.space_view import SpaceView
from hpsearch.training import memory

_log = logging.getLogger(__name__)


class FunctionConfig(OwnConfig):
    """The function, and the config that it gets."""

    train: str = Field(
        description="the function: ./my_train.py:train, or package.module:function", examples=["./my_train.py:train"]
    )


class Function(OwnTrainer):
    """Trains by the function that the file names as `train:`."""

    config: ClassVar[type[Config]] = FunctionConfig
    exports: ClassVar[str] = "what the function wrote to trial.folder"
    no_model: ClassVar[str] = "the function wrote nothing to trial.folder; save its weights there"

    def validate(self, space: SpaceView) -> None:
        """Raises Fault if the name is none, or the file lacks the function."""
        with _placed():
            source_of(space.config.train, space.base)

    def check(self, space: SpaceView) -> None:
        """Raises ConfigError if the function cannot be imported."""
        source = source_of(space.config.train, space.base)
        if source.file is None:
            try:
                load(space.config.train, space.base)
            except ConfigError as error:
                raise ConfigError(f"{space.where('train')}: train: {error}") from error

    def files(self, config: Mapping[str, Any]) -> list[str]:
        """The file of the function."""
        found = file_of(str(config.get("train")))
        return [] if found is None else [found]

    def train(self, config: Any, handle: Handle) -> Iterator[Evaluation]:
        """Calls the function and yields its evaluations, those of earlier attempts first."""
        function = load(config.train, handle.settings.base)
        trial = FunctionTrial.of(config, handle, _handed_over)
        yield from trial.known
        given = (config.config.nested, trial)[: takes(function, config.train)]
        _prepare(config, handle)
        with contextlib.closing(OutputLog(handle.folder)) as log:
            body = Body(partial(_run, function, given, trial), log, argument=config.train.rpartition(":")[0])
            yield from body.evaluations()
        note_tested(handle, trial.tested)


class Body:
    """A function that runs in a greenlet. It prints to a log, and sees none of the worker's arguments."""

    def __init__(self, run: Callable[[], None], log: OutputLog, *, argument: str) -> None:
        self._greenlet, self._log, self._arguments = greenlet(run), log, [argument]

    def evaluations(self) -> Iterator[Evaluation]:
        """Yields what the function reports; stops it where it reports when the iterator is closed."""
        try:
            while (evaluation := self._inside(self._greenlet.switch)) is not None:
                yield evaluation
        finally:
            if not self._greenlet.dead:
                self._inside(self._greenlet.throw, TrialStopped("the trial is to stop"))

    def _inside(self, enter: Callable[..., Any], *given: Any) -> Evaluation | None:
        """Runs the function up to its next evaluation, or its end: None."""
        self._greenlet.parent = getcurrent()
        arguments, sys.argv = sys.argv, self._arguments
        try:
            with printing_to(self._log):
                found: Evaluation | None = enter(*given)
            return found
        finally:
            self._arguments, sys.argv = sys.argv, arguments


def _handed_over(evaluation: Evaluation | None) -> None:
    """Leaves the function for the worker's loop, which yields the evaluation; returns when that has been judged.

    None: leaves it for good.
    """
    here = getcurrent()
    if here.parent is None:
        raise RuntimeError("trial.report was called in another thread than the function; call it in that one")
    here.parent.switch(evaluation)


def _run(function: Callable[..., Any], given: tuple[Any, ...], trial: FunctionTrial) -> None:
    """Runs the function to its end, or until its trial stops."""
    with contextlib.suppress(TrialStopped):
        returned = function(*given)
        if isinstance(returned, Mapping):
            trial.report({**({} if _is_placed(returned) else {"progress": 1.0}), **returned})
        elif isinstance(returned, Iterable) and getattr(returned, "ndim", None) != 0:
            _drain(returned, trial)
        elif returned is not None:
            trial.report({trial.objective: returned, "progress": 1.0})
        trial.end()


def _drain(yielded: Iterable[Any], trial: FunctionTrial) -> None:
    """Reports what the function yields; closes it at a `yield` when the trial stops."""
    try:
        for metrics in yielded:
            trial.report(Report.checked(metrics))
    except BaseException:
        try:
            getattr(yielded, "close", lambda: None)()
        except Exception as error:  # of the user's code at its end, which is not what ended the trial
            _log.warning("the function was stopped, and raised %s", with_line(error))
        raise


def _is_placed(returned: Mapping[Any, Any]) -> bool:
    return "progress" in returned or {"step", "steps"} <= returned.keys()


def _prepare(config: Any, handle: Handle) -> None:
    """Seeds Python, NumPy and torch, as far as they are imported; gives torch its threads; forgets earlier peaks."""
    memory.forget_peak()
    random.seed(config.seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(config.seed % 2**32)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(config.seed)
        torch.set_num_threads(handle.settings.threads)
        if handle.settings.device.startswith("cuda") and torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats(handle.settings.device)


@contextlib.contextmanager
def _placed() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise Fault(("train",), str(error)) from error
