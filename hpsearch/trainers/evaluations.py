"""The evaluations that a trainer yields, checked and converted to plain Python values."""

from __future__ import annotations

import contextlib
import math
import operator
import reprlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, TypeVar

from hpsearch.contract import Evaluation, Handle, TrainingPoint, TrialTask
from hpsearch.trainers.trainer import Trainer

T = TypeVar("T")
LARGEST = 2**63 - 1  # what SQLite and MLflow store as an integer
ROUNDING = 1e-6  # by which a sum of shares may exceed 1


def evaluations(trainer: Trainer, config: Any, handle: Handle, *, measure: float = 0.0) -> Iterator[Evaluation]:
    """Yields the evaluations of a training with Python's ints, floats and strings as values.

    measure: above 0, the training is only measured, for about so many seconds (`Trainer.measure`).

    Raises TypeError or ValueError, a message of one line, if the trainer yields something else than an Evaluation, a
    field has a wrong value, or an index is not above the one before.
    """
    last = 0
    begun = trainer.measure(config, handle, measure) if measure else trainer.train(config, handle)
    with closing(begun) as training:
        for found in training:
            evaluation = _checked(trainer, found, after=last)
            last = max(last, evaluation.index)
            yield evaluation


@contextlib.contextmanager
def closing(training: Iterable[T]) -> Iterator[Iterable[T]]:
    """Closes the training after the block if it is a generator, so that what it raises then can be caught."""
    try:
        yield training
    finally:
        if isinstance(training, Generator):
            training.close()


def evaluations_of_many(trainer: Trainer, tasks: Sequence[TrialTask]) -> Iterator[tuple[int, Evaluation | None]]:
    """Yields (trial, evaluation) of trials that are trained together, and (trial, None) when one of them has ended.

    The last ones end with the iterator, so that the trainer can clean up. The evaluations are as those of
    `evaluations`; each has its share of the group's `peak_memory`. Raises TypeError or ValueError also for what is no
    such pair, and for a trial that is not in training.
    """
    last = {task.trial: 0 for task in tasks}
    with closing(trainer.train_many(tasks)) as training:
        for pair in training:
            trial, found = _pair(trainer, pair)
            if trial not in last:
                allowed = ", ".join(map(str, last)) or "none"
                raise ValueError(f"{trainer.name} yielded trial {trial}; in training: {allowed}")
            if found is None:
                del last[trial]
                if last:
                    yield trial, None
                continue
            evaluation = _checked(trainer, found, after=last[trial])
            last[trial] = max(last[trial], evaluation.index)
            yield trial, replace(evaluation, peak_memory=math.ceil(evaluation.peak_memory / len(tasks)))


def _pair(trainer: Trainer, found: Any) -> tuple[int, Any]:
    try:
        trial, evaluation = found
        return operator.index(trial), evaluation
    except (TypeError, ValueError):
        allowed = "(trial, Evaluation), and (trial, None) at a trial's end"
        raise TypeError(f"{trainer.name} yielded {_short(found)}; allowed: {allowed}") from None


def _checked(trainer: Trainer, found: Any, *, after: int) -> Evaluation:
    """Returns what a trainer yielded `after` the evaluation of this index as an Evaluation of plain values."""
    if not isinstance(found, Evaluation):
        raise TypeError(f"{trainer.name} yielded {type(found).__name__}, not Evaluation")
    evaluation = _plain(found)
    if evaluation.branch:
        if evaluation.index > after:
            raise ValueError(f"a branch from evaluation {evaluation.index}, but the latest is {after}")
    elif evaluation.index <= after:
        raise ValueError(f"Evaluation(index={evaluation.index}) after index {after}: indices must rise")
    return evaluation


def number(name: str, value: Any) -> float:
    """Returns a metric's value (a number of Python or numpy, a tensor of one) as a float; raises TypeError."""
    plain = _python(value)
    if type(plain) is not bool and isinstance(plain, Real):
        return float(plain)
    raise TypeError(f"{name}: {_short(value)} is not a number")


def _plain(found: Evaluation) -> Evaluation:
    """Returns the evaluation as an instance of exactly that class, which the driver can unpickle and store."""
    return Evaluation(
        index=_integer("index", found.index, least=1),
        step=_integer("step", found.step),
        progress=_share("progress", found.progress),
        metrics=_metrics("metrics", found.metrics),
        tokens=_integer("tokens", found.tokens),
        epoch=_amount("epoch", found.epoch),
        seconds=_amount("seconds", found.seconds),
        signatures={_name("signatures", k): _text("signatures", v) for k, v in _items("signatures", found.signatures)},
        replicates={
            _name("replicates", k): _numbers("replicates", v) for k, v in _items("replicates", found.replicates)
        },
        peak_memory=_integer("peak_memory", found.peak_memory),
        device_memory=_integer("device_memory", found.device_memory),
        precision=_text("precision", found.precision),
        branch={_name("branch", section): _changes(values) for section, values in _items("branch", found.branch)},
        points=[_plain_point(point) for point in _points(found.points)],
        time=_amount("time", found.time),
    )


def _plain_point(point: TrainingPoint) -> TrainingPoint:
    return TrainingPoint(
        step=_integer("points.step", point.step),
        tokens=_integer("points.tokens", point.tokens),
        time=_amount("points.time", point.time),
        metrics=_metrics("points.metrics", point.metrics),
    )


def _points(found: Any) -> Iterable[TrainingPoint]:
    if isinstance(found, list | tuple) and all(isinstance(point, TrainingPoint) for point in found):
        return found
    raise _wrong("points", found, "a list of TrainingPoints")


def _integer(field: str, value: Any, *, least: int = 0) -> int:
    """Returns the value as an int; a float may be one if it is whole, as 200 / 2 is."""
    plain = _python(value)
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    try:
        found = operator.index(plain)
    except TypeError:
        found = least - 1
    if type(plain) is bool or not least <= found <= LARGEST:
        raise _wrong(field, value, f"an integer from {least}")
    return found


def _amount(field: str, value: Any, *, most: float = math.inf, allowed: str = "a finite number from 0") -> float:
    try:
        found = number(field, value)
    except (TypeError, OverflowError):
        found = math.nan
    if not (math.isfinite(found) and 0 <= found <= most):
        raise _wrong(field, value, allowed)
    return found


def _share(field: str, value: Any) -> float:
    return min(1.0, _amount(field, value, most=1 + ROUNDING, allowed="a number from 0 to 1"))


def _metrics(field: str, found: Any) -> dict[str, float]:
    return {_name(field, name): number(name, value) for name, value in _items(field, found)}


def _numbers(field: str, found: Any) -> list[float]:
    """The numbers of one metric."""
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise _wrong(field, found, "lists of numbers by metric")
    return [number(field, value) for value in found]


def _changes(found: Any) -> dict[str, Any]:
    """The changed values of one section: plain values of JSON."""
    values = {_name("branch", name): _python(value) for name, value in _items("branch", found)}
    for value in values.values():
        if not isinstance(value, str | int | float | None):
            raise _wrong("branch", found, "numbers, strings, booleans and None by section and key")
    return values


def _items(field: str, found: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(found, Mapping):
        raise _wrong(field, found, "a dict")
    return found.items()


def _name(field: str, name: Any) -> str:
    if not name:
        raise _wrong(field, {name: ...}, "names that are not empty")
    return _text(f"{field} name", name)


def _text(field: str, value: Any) -> str:
    """Returns the string, also one of a subclass such as numpy's, as a str that UTF-8 can encode."""
    if not isinstance(value, str) or value != value.encode(errors="replace").decode():
        raise _wrong(field, value, "a string")
    return str(value)


def _python(value: Any) -> Any:
    """Returns the number in a numpy scalar or in a tensor of no dimensions; anything else unchanged."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def _wrong(field: str, value: Any, allowed: str) -> ValueError:
    return ValueError(f"the Evaluation's {field} is {_short(value)}; allowed: {allowed}")


def _short(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())
