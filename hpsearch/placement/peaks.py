"""How much of a GPU's memory trials have taken, and what is to be expected of the next.

The unit is bytes that torch reserved on the device (`Evaluation.peak_memory`); what CUDA itself takes for each process
comes on top, and is sharing.py's to count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from hpsearch.contract import Evaluation
from hpsearch.journal.history import TrialHistory


class Shape(NamedTuple):
    """What of a config decides over memory: more of any size takes as much or more, and the kinds must be equal."""

    sizes: tuple[float, ...]
    kinds: str

    def covers(self, other: Shape) -> bool:
        """Whether a trial of this shape takes at least as much as one of the other."""
        return self.kinds == other.kinds and all(a >= b for a, b in zip(self.sizes, other.sizes, strict=True))


class Peaks:
    """What was measured, by trial, and how large the devices are; CPUs are not in it, nor trials that said nothing."""

    def __init__(self, trials: dict[int, TrialHistory]) -> None:
        """`trials`: the study's; their evaluations say what drivers before have learnt."""
        self._trials = trials
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
        shape = shape_of(self._trials[number].config) if known is None or self._too_few else None
        if known is None and shape is not None:
            known = self._estimate(shape)
        return max(known or 0, *self._missed(shape), 0)

    def were_too_few(self, number: int, n_bytes: int) -> None:
        """So much was left for a trial when it ran out of memory: it needs more, and so does any that is larger."""
        self._too_few[number] = n_bytes

    def ended(self, number: int) -> None:
        """Its attempt is over: what it was short of in the one before says no more."""
        self._too_few.pop(number, None)

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
        return [n for number, n in self._too_few.items() if shape.covers(shape_of(self._trials[number].config))]

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
        shape = shape_of(self._trials[number].config)
        if peak > self._of_shape.get(shape, -1):
            self._of_shape[shape] = peak
            self._estimates.clear()


def shape_of(config: dict[str, Any]) -> Shape:
    """The shape of a trial's config; an empty one where the journal has lost it, or has it from another version."""
    try:
        return _shape(config)
    except (KeyError, TypeError):
        return Shape((), "")


def _shape(config: dict[str, Any]) -> Shape:
    model, training, evaluation = config["model"], config["training"], config["evaluation"]
    at_once = min(training["batch_size"], training["micro_batch_size"] or training["batch_size"])
    mlp_width = model["mlp_width"] or 8 * model["width"] / 3
    of_model = [model[name] for name in ("n_layers", "width", "n_heads", "context")]
    of_decoding = [evaluation[name] for name in ("beam_size", "max_new_tokens", "decode_sample")]
    sizes = [*of_model, mlp_width, model["n_kv_heads"] or model["n_heads"], at_once, *of_decoding]
    tokenizer = config["tokenizer"]
    kinds = [model["tied_embeddings"], model["dropout"] > 0, training["precision"], training["compile"]]
    about = [tokenizer["kind"], tokenizer["file"], config["data"]]
    return Shape((*sizes, tokenizer["vocab_size"]), json.dumps([*kinds, *about], sort_keys=True))
