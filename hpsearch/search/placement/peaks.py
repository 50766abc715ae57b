"""How much GPU memory trials have taken, and how much the next one is expected to take.

In bytes that torch reserved on the device (`Evaluation.peak_memory`): of trials that are trained together, an equal
share for each. sharing.py adds the CUDA context of each process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.trainers import Shape, Trainer


class Peaks:
    """The measured peaks by trial and the devices' sizes, without CPUs and trials that report no memory."""

    def __init__(self, trials: Mapping[int, TrialHistory], trainer: Trainer) -> None:
        """Reads the peaks that earlier drivers measured from the study's `trials`."""
        self._trials, self._trainer = trials, trainer
        self._shapes: dict[int, Shape] = {}
        self._own: dict[int, int] = {}  # trial -> bytes
        self._of_shape: dict[Shape, int] = {}  # the largest of them
        self._too_few: dict[int, int] = {}  # trial -> bytes that were too few, until its next measurement
        self._estimates: dict[Shape, int] = {}  # a cache, emptied by each measurement
        self._sizes: dict[str, int] = {}  # device -> bytes; 0: its trials do not report it
        for trial in trials.values():
            self._remember(trial)

    def measured(self, number: int, evaluation: Evaluation) -> None:
        """Adds a new evaluation of a trial."""
        self._sizes[self._trials[number].device] = evaluation.device_memory
        self._too_few.pop(number, None)
        self._note(number, [evaluation])

    def size(self, device: str) -> int | None:
        """The device's memory in bytes; None before the first measurement, 0 if its trials do not report it."""
        return self._sizes.get(device)

    def expected(self, number: int | None) -> int:
        """Bytes that a trial will take, by what it or others have measured; None: the least that any may take."""
        if number is None:
            return min(self._of_shape.values(), default=0)
        known = self._own.get(number)
        shape = self.shape(number) if known is None or self._too_few else None
        if known is None and shape is not None:
            known = self._estimate(shape)
        return max(known or 0, *self._missed(shape), 0)

    def ran_out(self, number: int, n_bytes: int) -> None:
        """Notes that `n_bytes` were too few for a trial, and so for every larger one."""
        self._too_few[number] = n_bytes

    def ended(self, number: int) -> None:
        """Forgets what was too little for an attempt that has ended."""
        self._too_few.pop(number, None)

    def shape(self, number: int) -> Shape:
        """The shape of a trial; an empty one if its config is lost or invalid in this version."""
        if number not in self._shapes:
            try:
                config = self._trainer.config.model_validate(self._trials[number].config)
                self._shapes[number] = self._trainer.shape(config)
            except ValidationError:
                return Shape((), "")
        return self._shapes[number]

    def _estimate(self, shape: Shape) -> int:
        """The smallest peak of the shapes that are at least as large; if there are none, the largest peak of all.

        It is at least the peak of every smaller shape: a larger trial may have adapted to little free memory.
        """
        if shape not in self._estimates:
            larger = [peak for other, peak in self._of_shape.items() if other.covers(shape)]
            smaller = [peak for other, peak in self._of_shape.items() if shape.covers(other)]
            self._estimates[shape] = max(min(larger, default=0) or max(self._of_shape.values(), default=0), *smaller, 0)
        return self._estimates[shape]

    def _missed(self, shape: Shape | None) -> Iterable[int]:
        if shape is None:
            return []
        return [n for number, n in self._too_few.items() if shape.covers(self.shape(number))]

    def _remember(self, trial: TrialHistory) -> None:
        """Adds a trial of the journal; of several sizes under one device name the smallest counts."""
        said = [e.device_memory for e in trial.evaluations.values() if e.device_memory]
        if said:
            self._sizes[trial.device] = min(*said, self._sizes.get(trial.device, said[0]))
            self._note(trial.number, trial.measured)

    def _note(self, number: int, evaluations: Iterable[Evaluation]) -> None:
        peaks = [e.peak_memory for e in evaluations if e.device_memory]
        peak = max(peaks, default=0)
        if not peaks or peak <= self._own.get(number, -1):
            return
        self._own[number] = peak
        shape = self.shape(number)
        if peak > self._of_shape.get(shape, -1):
            self._of_shape[shape] = peak
            self._estimates.clear()
