"""Whole training steps as CUDA graphs: one launch instead of hundreds, which take longer than the kernels they start.

A graph repeats what was recorded, on the same memory. So a step is a function of tensors that stay where they are:
tokens, targets and learning rate are copied into them before it. There is a graph for each shape of a batch; the first
steps of a shape are made without one (lazily loaded kernels, the optimizer's state), and are steps of the training.

Opt in: the prototype was measured on a GPU (benchmarks/README.md), this has not run on one yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hpsearch.training.backoff import free
from hpsearch.training.batches import Batch
from hpsearch.training.memory import ran_out

WARM = 3  # steps of a shape before it is recorded
SHAPES = 4  # that have a graph: whole batches and the last ones of an epoch, of a few sets

Results = tuple[Tensor, Tensor]  # the loss sum and the norm of the gradients
Work = Callable[[], Results]

_log = logging.getLogger(__name__)


class Steps(Protocol):
    """A training whose steps are recorded: its parts, none of which may wait for the device."""

    def gradients(self, batch: Batch) -> Results:
        """Computes and clips the gradients of a batch all of whose tokens are scored."""

    def update(self, rate: float | Tensor) -> None:
        """Makes the optimizer's step at a learning rate; there are no gradients afterwards."""

    def undo(self) -> Callable[[], None]:
        """Returns what takes back a step that begins now and finds no room for its gradients."""


class Recorder(Protocol):
    """What records steps."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Does the work as it will be recorded."""

    def record(self, work: Work) -> Work:
        """Records the work without doing it; returns what does it. Its results are the caller's own."""


class CudaRecorder:
    """Records CUDA graphs. They share one pool of memory: each one's results are copied before another runs."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's own
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], None]) -> None:
        """Does the work on the stream of the recordings."""
        usual = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            work()
        usual.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """Captures a graph; raises RuntimeError if it cannot be captured, torch.OutOfMemoryError if it has no room."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            loss, norm = work()

        def replay() -> Results:
            graph.replay()
            return loss.clone(), norm.clone()

        return replay


class PlainRecorder:
    """Remembers a step and does it again: for devices without graphs, where the curve is that of plain steps."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Does the work."""
        work()

    def record(self, work: Work) -> Work:
        """Returns the work."""
        return work


def recorder(device: torch.device) -> Recorder:
    """The recorder of a device."""
    return CudaRecorder(device) if device.type == "cuda" else PlainRecorder()


@dataclass
class _Recording:
    """The tensors that a step of one shape reads, and its graph."""

    batch: Batch
    warm: int = 0  # steps so far without a graph
    replay: Work | None = None


class StepGraphs:
    """The graphs of a training, which they do not refer to: its memory is free as soon as it is forgotten."""

    def __init__(self, device: torch.device) -> None:
        # The kernel of AdamW reads fp32 on CUDA; elsewhere the number that plain steps have
        self._rate = torch.zeros((), device=device, dtype=torch.float32 if device.type == "cuda" else torch.float64)
        self._recorder = recorder(device)
        self._recordings: dict[torch.Size, _Recording] = {}
        self._refused = False

    def drop(self) -> None:
        """Forgets the graphs: the state of the optimizer is in other tensors now, or their memory is needed."""
        self._recordings.clear()

    def step(self, training: Steps, batch: Batch, rate: float) -> Results | None:
        """Makes a step over a batch all of whose tokens are scored; None: none was made, it needs one without graphs.

        From the first step that runs out of memory or cannot be recorded, there are no graphs any more.
        """
        known = self._recordings.get(batch.tokens.shape)
        if self._refused or batch.positions is not None or (known is None and len(self._recordings) == SHAPES):
            return None
        if known is None or known.replay is None:
            return self._begin(training, batch, rate)
        self._fill(known.batch, batch, rate)
        return known.replay()

    def _begin(self, training: Steps, batch: Batch, rate: float) -> Results | None:
        """A step of a shape that has no graph yet; the last of them records it."""
        undo, records = training.undo(), False
        try:
            known = self._known(batch)
            self._fill(known.batch, batch, rate)
            records = known.warm == WARM
            known.replay = self._record(training, known) if records else None
            results = self._warm_up(training, known) if not records else None
        except (MemoryError, RuntimeError) as error:
            if not records and not ran_out(error):
                raise
            reason = "out of memory" if ran_out(error) else f"{error}".partition("\n")[0] or type(error).__name__
        else:
            if known.replay is not None:
                return known.replay()
            self._recorder.warm_up(lambda: training.update(self._rate))
            return results
        self._refuse(reason, undo)  # only now: until here the traceback kept tensors alive
        return None

    def _known(self, batch: Batch) -> _Recording:
        """The recording of the batch's shape; a new one has tensors of its own."""
        shape = batch.tokens.shape
        if shape not in self._recordings:
            kept = Batch(batch.tokens.clone(), None, batch.targets.clone(), batch.n_tokens)
            self._recordings[shape] = _Recording(kept)
        return self._recordings[shape]

    def _fill(self, kept: Batch, batch: Batch, rate: float) -> None:
        kept.tokens.copy_(batch.tokens)
        kept.targets.copy_(batch.targets)
        self._rate.fill_(rate)

    def _warm_up(self, training: Steps, known: _Recording) -> Results:
        found: list[Results] = []
        self._recorder.warm_up(lambda: found.append(training.gradients(known.batch)))
        known.warm += 1
        return found[0]

    def _record(self, training: Steps, known: _Recording) -> Work:
        def work() -> Results:
            results = training.gradients(known.batch)
            training.update(self._rate)
            return results

        return self._recorder.record(work)

    def _refuse(self, reason: str, undo: Callable[[], None]) -> None:
        self._refused = True
        self.drop()
        undo()
        free()
        _log.warning("cuda_graph: a step cannot be a CUDA graph (%s); the training continues without", reason)
