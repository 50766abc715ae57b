"""A training as a generator of evaluations.

It knows nothing of trials or searches. The caller stops iterating to prune; `Handle.command` pauses or finishes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from hpsearch.contract import CHECKPOINTS, Command, Evaluation, Handle, TrainingPoint
from hpsearch.training import checkpoint
from hpsearch.training.backoff import BatchBackoff
from hpsearch.training.batches import Batch, BatchOrder, Rows
from hpsearch.training.best_weights import BestWeights
from hpsearch.training.branch import Branch, by_promise, earliest
from hpsearch.training.config import FitConfig
from hpsearch.training.device import (
    autocast,
    forget_peak,
    peak_memory,
    precision_of,
    prepare_device,
    resumed_precision,
    rng_state,
    set_rng_state,
    total_memory,
)
from hpsearch.training.evaluation import Measured, shares
from hpsearch.training.evaluation_steps import evaluation_steps
from hpsearch.training.optimizer import make_optimizer, update
from hpsearch.training.parts import Build, parts
from hpsearch.training.schedule import Schedule, shorter
from hpsearch.training.stable_states import StableStates
from hpsearch.training.step_graph import StepGraphs
from hpsearch.training.step_meter import StepMeter
from hpsearch.training.train_loss import TrainLoss

POINTS = 10  # training points between two evaluations, at most
READ = 0.5  # epochs from which states are kept to cool down from: before, nothing is read twice and overfitted


def train(config: FitConfig, handle: Handle, build: Build = parts) -> Iterator[Evaluation]:
    """Trains a config; resumes from a checkpoint in the handle's folder, whose evaluations it yields again first.

    Yields at fixed fractions of the schedule; ends early with an evaluation when the training loss is not finite. For
    COOL_DOWN it goes back to a stable state, cools down from there and yields the end of that. At the end, or for
    FINISH, it writes the weights of the best evaluation to best.pt. Reads commands before each step.

    build: makes the data, the model and the evaluator of a config.
    """
    run = Training(config, handle, build)
    run.resume()
    for evaluation in tuple(run.evaluations):  # the driver may have lost the latest of them
        yield from run.hand_out(evaluation)
    while run.step < run.last_step and not run.diverged:
        command = run.next_command()
        if command is Command.COOL_DOWN and not run.cool_down():
            command = Command.FINISH
        if command > Command.COOL_DOWN:
            break
        run.train_step()
        if run.evaluation_due():
            yield from run.hand_out(run.evaluate())
        run.checkpoint_if_due()
    else:
        command = Command.FINISH
    if command is Command.PAUSE:
        run.save()
    else:
        run.save_best()


class Training:
    """The state of a training: weights, optimizer, position, unpublished training points, best weights."""

    def __init__(self, config: FitConfig, handle: Handle, build: Build = parts) -> None:
        self.config, self.handle = config, handle
        self.device = prepare_device(handle.settings)
        self.precision = precision_of(config.training, self.device)
        forget_peak(self.device)
        made = build(config, handle, self.device)
        self._identity, self._rows, self._draws = made.identity, made.rows, made.draws
        self.evaluator = made.evaluator
        self.train_loss = TrainLoss(shares(made.evaluator.rows, config))
        batch_size = config.training.batch_size
        saying = f"out of memory with micro-batch {{before}}; continues with {{after}} (same batch of {batch_size})"
        self.micro_batch = BatchBackoff(config.training.micro_batch_size or batch_size, saying=saying)
        self._backoffs = {"train": self.micro_batch} | self.evaluator.backoffs
        torch.manual_seed(config.seed)
        self.model = made.model()
        self.model.train()
        self.optimizer = make_optimizer(self.model, config.training)
        self.branch: Branch | None = None
        self._follow(config)
        self.due, self.last_step = evaluation_steps(config, self.schedule.total_steps)
        self.length = self.schedule.total_steps
        self.interval = max(1, math.ceil(self.length / config.evaluation.times / POINTS))
        self._graphs = StepGraphs(self.device) if config.training.cuda_graph else None
        self._loss = torch.compile(made.loss, dynamic=None) if config.training.compile else made.loss
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.evaluations: list[Evaluation] = []
        self.points: list[TrainingPoint] = []
        self.best: BestWeights | None = None
        self._stable = StableStates(handle.folder, config_hash=self._identity)
        self._window = StepMeter(self.device)
        self._saved_at = self._clock = time.monotonic()

    # ------------------------------------------------------------------------------------------------------------ steps

    def next_command(self) -> Command:
        """Says where the training stands, and reads the command for the next step."""
        self.handle.step, self.handle.progress = self.step, self.step / self.length
        return self.handle.command()

    def train_step(self) -> None:
        """One optimizer step over the whole batch, whatever its micro-batches."""
        name, numbers = self.order.named(self.step)
        rows, rate = self.order.sets[name], self.schedule.rate(self.step)
        n_targets = rows.n_targets(numbers)
        loss, norm = self._graphed(rows, numbers, rate) or self._plain(rows, numbers, n_targets, rate)
        self.step += 1
        self._window.add(name, loss, norm, n_targets)
        if self.step % self.interval == 0 or self.step in self.due:
            self._close_window(rate)

    def _graphed(self, rows: Rows, numbers: np.ndarray, rate: float) -> tuple[Tensor, Tensor] | None:
        """The loss sum and the gradient norm of a step by a CUDA graph; None: none was made, it needs a plain one."""
        if self._graphs is None or len(numbers) > self.micro_batch.size or not rows.is_plain(numbers):
            return None
        batch = rows.batch(numbers)
        found = self._graphs.step(self, batch, rate)
        self.tokens += batch.n_tokens if found else 0
        return found

    def gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Clipped gradients of a batch all of whose tokens are scored; returns its loss sum, and their norm before."""
        with autocast(self.precision, self.device, cached=False):
            loss = self._loss(self.model, batch)
        (loss / batch.n_tokens).backward()  # type: ignore[no-untyped-call]  # torch's own
        return loss.detach(), self._clip()

    def update(self, rate: float | Tensor) -> None:
        """The optimizer's step at a learning rate; there are no gradients afterwards."""
        update(self.optimizer, rate)

    def _plain(self, rows: Rows, numbers: np.ndarray, n_targets: int, rate: float) -> tuple[Tensor, Tensor]:
        loss = self._backward(rows, numbers, n_targets)
        norm = self._clip()
        self.update(rate)
        return loss, norm

    def _backward(self, rows: Rows, numbers: np.ndarray, n_targets: int) -> Tensor:
        """Accumulates the gradients of the batch, halves micro-batches if memory runs out; returns the loss sum."""

        def backward(size: int) -> Tensor:
            return self._backward_by(size, rows, numbers, n_targets)

        return self.micro_batch.run(backward, at_most=len(numbers), undo=self.undo())

    def undo(self) -> Callable[[], None]:
        """What takes back a step that has found no room: its gradients, its tokens, the random numbers that it drew."""
        tokens = self.tokens
        rng = rng_state(self.device) if self._draws else None

        def undo() -> None:
            self.tokens = tokens
            self.optimizer.zero_grad(set_to_none=True)
            if rng is not None:
                set_rng_state(rng, self.device)
            if self._graphs is not None:
                self._graphs.drop()

        return undo

    def _backward_by(self, size: int, rows: Rows, numbers: np.ndarray, n_targets: int) -> Tensor:
        total = torch.zeros((), device=self.device)
        for first in range(0, len(numbers), size):
            batch = rows.batch(numbers[first : first + size])
            self.tokens += batch.n_tokens
            with autocast(self.precision, self.device):
                loss = self._loss(self.model, batch)
            (loss / n_targets).backward()  # type: ignore[no-untyped-call]  # torch's own
            total += loss.detach()
        return total

    def _clip(self) -> Tensor:
        limit = self.config.training.grad_clip or math.inf
        return torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit, foreach=True)

    def _close_window(self, rate: float) -> None:
        sums, norm = self._window.close()  # the only device sync of the steps
        found = {
            **self.train_loss.window(sums),
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens_per_second": (self.tokens - self._window.tokens_before) / max(1e-9, self._window.seconds),
        }
        self._window.restart(self.tokens)
        self.points.append(TrainingPoint(self.step, self.tokens, time.time(), found))

    # ------------------------------------------------------------------------------------------------------ evaluations

    def evaluation_due(self) -> bool:
        """Whether an evaluation is due at this step, or the training loss is not finite."""
        latest = self.points[-1].metrics["train/loss"] if self.points else 0.0
        return self.step in self.due or not math.isfinite(latest)

    def evaluate(self) -> Evaluation:
        """Evaluates on the validation split; keeps the weights if they are the best so far."""
        index = self.due.get(self.step) or min(i for step, i in self.due.items() if step > self.step)
        train_loss = self.train_loss.close_interval()
        measured = self._measure(index, train_loss)
        now = time.monotonic()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        evaluation = Evaluation(
            index=index,
            step=self.step,
            tokens=self.tokens,
            epoch=self.schedule.training.epochs * self.step / self.schedule.total_steps,
            progress=self.step / self.length,
            seconds=self.seconds,
            metrics={"train/interval_loss": train_loss, **measured.validated()},
            points=self.points,
            signatures=measured.signatures,
            replicates=measured.validated_replicates(),
            peak_memory=peak_memory(self.device),
            device_memory=total_memory(self.device),
            precision=self.precision,
            branch=self.branch.changes if self.branch else {},
        )
        self.points = []
        self.evaluations.append(evaluation)
        self._keep_if_best(evaluation, measured)
        self._keep_if_stable(evaluation)
        self._window.restart(self.tokens)  # the time of an evaluation is no training time
        return evaluation

    @property
    def diverged(self) -> bool:
        """Whether the training loss was not finite: the weights are not finite either."""
        return bool(self.evaluations) and not math.isfinite(self.evaluations[-1].metrics["train/interval_loss"])

    def hand_out(self, evaluation: Evaluation) -> Iterator[Evaluation]:
        """Yields it; random numbers and time that the caller uses meanwhile do not count for this training."""
        rng = rng_state(self.device)
        self._window.stop_clock()
        yield evaluation
        set_rng_state(rng, self.device)
        self._window.start_clock()
        self._clock = time.monotonic()

    def _measure(self, index: int, train_loss: float) -> Measured:
        if self.config.trains_on_valid:
            return Measured({})
        if not math.isfinite(train_loss):
            return Measured({"loss": math.nan})
        decode = self.step == self.last_step or index % self.config.evaluation.decode_every == 0
        return self.evaluator.measure(self.model, decode=decode)

    def _keep_if_best(self, evaluation: Evaluation, measured: Measured) -> None:
        """Keeps the weights unless an earlier evaluation was better; of equal ones the last wins.

        Where nothing is validated these are the weights at the end.
        """
        objective = self.config.objective
        value = evaluation.metrics.get(objective.metric, math.nan)
        if self.config.trains_on_valid and self.step == self.last_step and not self.diverged:
            self.best = BestWeights.of(value, evaluation, self.model, measured.samples)
        if math.isfinite(value) and (self.best is None or not objective.better(self.best.value, value)):
            self.best = BestWeights.of(value, evaluation, self.model, measured.samples)

    # -------------------------------------------------------------------------------------------------------- cool-down

    def cool_down(self) -> bool:
        """Goes back to a stable state and follows the shorter schedule that cools down from there.

        Returns False if there is none: the training is to end as it is. True also while it cools down already.
        """
        if self.branch is not None:
            return True
        best, latest = self._best_index(), self._latest_index()
        for index in by_promise(self._stable.indices, best=best, latest=latest):
            state = self._stable.load(index, self.device)
            config = state and shorter(self.config, self.order, falls_from=state["place"]["step"])
            if state is not None and config:
                self._restore(state)
                self._enter(Branch.of(index, config, self.config))
                self.points = []
                self._window.restart(self.tokens)
                return True
        here = shorter(self.config, self.order, falls_from=self.step) if best == latest > 0 else None
        if here is None:
            return False
        self._enter(Branch.of(latest, here, self.config))  # no state is kept yet, and none is better than this one
        return True

    def _follow(self, config: FitConfig) -> None:
        """Sets batches and learning rates to those of a config."""
        self.order = BatchOrder(
            self._rows,
            batch_size=config.training.batch_size,
            seed=config.seed,
            epochs=config.training.epochs,
            weights={name: data_set.weight for name, data_set in config.data.items()},
        )
        self.schedule = Schedule(config.training, self.order.total_steps)

    def _enter(self, branch: Branch) -> None:
        """Trains as the config of a branch says, to its end, where it is evaluated."""
        self.branch = branch
        self._follow(branch.applied(self.config))
        self.last_step = self.schedule.total_steps
        self.due = {self.last_step: branch.index}

    def _keep_if_stable(self, evaluation: Evaluation) -> None:
        """Keeps the state if the training may have to cool down from here."""
        stable = self.schedule.warmup <= self.step <= self.schedule.falls_from
        read = evaluation.epoch * max(self.order.weights.values())  # what is read once is not overfitted
        if self.branch is None and stable and read > READ and self.config.training.schedule == "wsd":
            self._stable.keep(evaluation.index, self._position())
            self._stable.drop(below=earliest(self._best_index()))

    def _latest_index(self) -> int:
        return max((e.index for e in self.evaluations if not e.branch), default=0)

    def _best_index(self) -> int:
        return self.best.evaluation.index if self.best else 0

    # ------------------------------------------------------------------------------------------------------ checkpoints

    def checkpoint_if_due(self) -> None:
        """Saves if the last checkpoint is older than `checkpoint_seconds`."""
        if time.monotonic() - self._saved_at > self.handle.settings.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Writes last.pt, best weights included; the previous checkpoint is kept as previous.pt."""
        now = time.monotonic()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self._window.stop_clock()  # saving is no training time either
        state = self._position() | {
            "at_once": {name: backoff.size for name, backoff in self._backoffs.items() if backoff.halved},
            "evaluations": [evaluation.to_dict() for evaluation in self.evaluations],
            "points": [vars(point) for point in self.points],
            "window": self._window.state(),
            "precision": self.precision,
            "best": self.best.state() if self.best else None,
            "branch": vars(self.branch) if self.branch else None,
        }
        self._stable.write()
        last, previous = (self.handle.folder / name for name in CHECKPOINTS)
        checkpoint.save(last, state, config_hash=self._identity, previous=previous)
        self._saved_at = time.monotonic()
        self._window.start_clock()

    def save_best(self) -> None:
        """Writes best.pt and samples.json of the best evaluation; nothing if none was finite.

        Decodes the sets that were not decoded at that evaluation.
        """
        self._stable.drop(above=0)
        if self.best is None:
            return
        if not self.config.trains_on_valid and self.evaluator.decoded_sets() - self.best.samples.keys():
            self.model.load_state_dict(self.best.weights)
            self.best = self.best.with_decoded(self.evaluator.decode(self.model))
        self.best.write(self.handle.folder, precision=self.precision, config_hash=self.config.digest())

    def resume(self) -> bool:
        """Restores the newest intact checkpoint of this config and data; returns False if there is none."""
        paths = [self.handle.folder / name for name in CHECKPOINTS]
        state = checkpoint.load_newest(paths, config_hash=self._identity, device=self.device)
        if state is None:
            self._stable.drop(above=0)  # of an attempt that saved nothing else
            return False
        self._restore(state)
        self.seconds = state["place"]["seconds"]
        self.evaluations = [Evaluation.from_dict(evaluation) for evaluation in state["evaluations"]]
        self.points = [TrainingPoint.from_dict(point) for point in state["points"]]
        self.precision = resumed_precision(state["precision"], self.config.training, self.device)
        self.evaluator.precision = self.precision
        self.best = BestWeights.of_state(state["best"]) if state["best"] else None
        self._window.load(state["window"])
        for name, size in state["at_once"].items():
            self._backoffs[name].resume_with(size)
        self._stable.drop(above=self._latest_index())  # of steps that are trained again
        if state.get("branch"):
            self._enter(Branch(**state["branch"]))
        return True

    def _position(self) -> checkpoint.State:
        """The state that the next steps depend on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "place": {"step": self.step, "tokens": self.tokens, "seconds": self.seconds},
            "rng": rng_state(self.device),
            "train_loss": self.train_loss.state(),
        }

    def _restore(self, state: checkpoint.State) -> None:
        """Restores a position; `seconds` keeps its value."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self._graphs is not None:  # they know the optimizer's former state
            self._graphs.drop()
        self.step, self.tokens = state["place"]["step"], state["place"]["tokens"]
        self.train_loss.load(state["train_loss"])
        set_rng_state(state["rng"], self.device)
