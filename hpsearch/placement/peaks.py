"""How much of a GPU's memory trials have taken, and what is to be expected of the next.

The unit is bytes that torch reserved on the device (`Evaluation.peak_memory`); what CUDA itself takes for each process
comes on top, and is sharing.py's to count.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from hpsearch.contract import Evaluation
from hpsearch.journal.history import TrialHistory
from hpsearch.trainers import Shape, Trainer


class Peaks:
    """What was measured, by trial, and how large the devices are; CPUs are not in it, nor trials that said nothing."""

    def __init__(self, trials: dict[int, TrialHistory], trainer: Trainer) -> None:
        """`trials`: the study's; their evaluations say what drivers before have learnt."""
        self._trials, self._trainer = trials, trainer
        self._shapes: dict[int, Shape] = {}
        self._own: dict[int, int] = {}  # trial -> bytes
        self._of_shape: dict[Shape, int] = {}  # the largest of them
        self._too_few: dict[int, int] = {}  # trial -> bytes that it ran out of, until it has measured anew
        self._estimates: dict[Shape, int] = {}  # as far as asked for since the last that was measured
        self._sizes: dict[str, int] = {}  # device -> bytes; 0: its trials do not say
        for trial in trials.values():
            self._remember(trial)

    def measured(self, number: int, evaluation: Evaluation) -> None:
        """Takes a new evaluation of a trial in."""
        self._sizes[self._trials[number].device] = evaluation.device_memory
        self._too_few.pop(number, None)
        self._note(number, [evaluation])

    def size(self, device: str) -> int | None:
        """Bytes that the device has in all; None: nobody has said yet, 0: its trials do not say."""
        return self._sizes.get(device)

    def expected(self, number: int | None) -> int:
        """Bytes that a trial will take, by what it or others have measured; None: the least that any may take."""
        if number is None:
            return min(self._of_shape.values(), default=0)
        known = self._own.get(number)
        shape = self._shape(number) if known is None or self._too_few else None
        if known is None and shape is not None:
            known = self._estimate(shape)
        return max(known or 0, *self._missed(shape), 0)

    def were_too_few(self, number: int, n_bytes: int) -> None:
        """So much was left for a trial when it ran out of memory: it needs more, and so does any that is larger."""
        self._too_few[number] = n_bytes

    def ended(self, number: int) -> None:
        """Its attempt is over: what it was short of in the one before says no more."""
        self._too_few.pop(number, None)

    def _shape(self, number: int) -> Shape:
        """The shape of a trial; an empty one where the journal lost its config, or has it from another version."""
        if number not in self._shapes:
            try:
                config = self._trainer.config.model_validate(self._trials[number].config)
                self._shapes[number] = self._trainer.shape(config)
            except ValidationError:
                return Shape((), "")
        return self._shapes[number]

    def _estimate(self, shape: Shape) -> int:
        """The least that one at least as large has taken; where there is none, the most that any has.

        A larger one that found little room made do with less: it counts for no less than the smaller ones took.
        """
        if shape not in self._estimates:
            larger = [peak for other, peak in self._of_shape.items() if other.covers(shape)]
            smaller = [peak for other, peak in self._of_shape.items() if shape.covers(other)]
            self._estimates[shape] = max(min(larger, default=0) or max(self._of_shape.values(), default=0), *smaller, 0)
        return self._estimates[shape]

    def _missed(self, shape: Shape | None) -> Iterable[int]:
        if shape is None:
            return []
        return [n for number, n in self._too_few.items() if shape.covers(self._shape(number))]

    def _remember(self, trial: TrialHistory) -> None:
        """What the journal has of a trial; a device's name may have stood for several: the smallest is believed."""
        said = [e.device_memory for e in trial.evaluations.values() if e.device_memory]
        if said:
            self._sizes[trial.device] = min(*said, self._sizes.get(trial.device, said[0]))
            self._note(trial.number, trial.evaluations.values())

    def _note(self, number: int, evaluations: Iterable[Evaluation]) -> None:
        peaks = [e.peak_memory for e in evaluations if e.device_memory]
        peak = max(peaks, default=0)
        if not peaks or peak <= self._own.get(number, -1):
            return
        self._own[number] = peak
        shape = self._shape(number)
        if peak > self._of_shape.get(shape, -1):
            self._of_shape[shape] = peak
            self._estimates.clear()
