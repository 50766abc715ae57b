"""Steps as graphs: on the CPU, where a recorder that remembers stands in, they are plain steps to the last bit.

What only a device can show is compared there (marked gpu).
"""

import itertools
import logging
import math

import pytest
import torch
from torch import nn

from hpsearch.contract import Command
from hpsearch.training import step_graph
from hpsearch.training.batches import Batch
from hpsearch.training.config import TrainingConfig
from hpsearch.training.loop import Training, train
from hpsearch.training.optimizer import make_optimizer, update
from hpsearch.training.step_graph import SHAPES, WARM, PlainRecorder, StepGraphs
from tests.training.test_cooldown import cooled, values
from tests.training.test_gpu import GPU, ON_GPU, placed
from tests.training.tiny import CPU, MIXED, PAIRS, TEXT, handle, tiny


def config_of(data, *, graphs, dropout=0.1, times=3, **training):
    return tiny(
        data,
        model={"dropout": dropout},
        training={"epochs": 4.3, "cuda_graph": graphs, **training},
        evaluation={"times": times, "decode_every": times},
    )


def curve(evaluations):
    return [(e.step, e.tokens, e.metrics["train/interval_loss"], e.metrics["val/loss"]) for e in evaluations]


class Counting(PlainRecorder):
    """Counts what is recorded and what is done of it."""

    def __init__(self):
        self.warmed = self.recorded = self.replayed = 0

    def warm_up(self, work):
        self.warmed += 1
        super().warm_up(work)

    def record(self, work):
        self.recorded += 1

        def counted():
            self.replayed += 1
            return work()

        return super().record(counted)


@pytest.fixture
def counts(monkeypatch):
    """The recorders of all trainings in this test, in their order."""
    made = []

    def recorder(device):
        made.append(Counting())
        return made[-1]

    monkeypatch.setattr(step_graph, "recorder", recorder)
    return made


# ------------------------------------------------------------------------------------------------------ the same curve


@pytest.mark.parametrize(
    ("data", "training"),
    [({"text": TEXT}, {}), ({"text": TEXT}, {"precision": "bf16"}), (MIXED, {"epochs": 1.3})],
    ids=["fp32", "bf16", "mixed"],
)
def test_the_curve_is_that_of_plain_steps(tmp_path, corpus_files, counts, data, training):
    plain, graphed = (config_of(data, graphs=on, **training) for on in (False, True))
    assert curve(train(graphed, handle(tmp_path, "graphed"))) == curve(train(plain, handle(tmp_path, "plain")))
    assert counts[0].replayed > 5


def test_pairs_have_no_graphs(tmp_path, corpus_files, counts):
    training = Training(config_of({"pairs": PAIRS}, graphs=True), handle(tmp_path))
    for _ in range(WARM + 3):
        training.train_step()
    assert (counts[0].warmed, counts[0].recorded) == (0, 0)


def test_of_a_shape_the_first_steps_are_made_without_a_graph(tmp_path, corpus_files, counts):
    training = Training(config_of({"text": TEXT}, graphs=True), handle(tmp_path))
    plain = [len(n) for n in (training.order.named(step)[1] for step in range(training.last_step)) if n.min() >= 0]
    while training.step < training.last_step:
        training.train_step()
    shapes = {size: plain.count(size) for size in set(plain)}
    [recorder] = counts
    assert recorder.recorded == sum(n > WARM for n in shapes.values()) >= 1
    assert recorder.warmed == 2 * sum(min(WARM, n) for n in shapes.values())  # the gradients, then the update
    assert recorder.replayed == sum(max(0, n - WARM) for n in shapes.values())


def test_a_paused_training_goes_on_with_new_graphs_as_if_it_had_not_been(tmp_path, corpus_files, counts):
    """The restored optimizer has its state in other tensors."""
    config, asked = config_of({"text": TEXT}, graphs=True), itertools.count()
    undisturbed = curve(train(config, handle(tmp_path, "undisturbed")))
    half = undisturbed[-1][0] // 2
    paused = handle(tmp_path, "paused", command=lambda: Command.PAUSE if next(asked) >= half else Command.CONTINUE)
    before = curve(train(config, paused))
    after = curve(train(config, handle(tmp_path, "paused")))
    assert before[: len(before)] + after[len(before) :] == undisturbed
    assert [recorder.recorded > 0 for recorder in counts] == [True, True, True]


@pytest.mark.parametrize("after", [7])
def test_a_cooldown_is_that_of_plain_steps(tmp_path, corpus_files, counts, after):
    configs = [config_of({"text": TEXT}, graphs=on, epochs=6.3, times=10) for on in (False, True)]
    found = [cooled(one, handle(tmp_path, str(on)), after=after) for on, one in enumerate(configs)]
    assert [values(e) for e in found[0]] == [values(e) for e in found[1]]
    assert found[1][-1].branch == found[0][-1].branch != {}


def test_what_is_restored_has_no_graph_of_before(tmp_path, corpus_files, counts):
    training = Training(config_of({"text": TEXT}, graphs=True), handle(tmp_path))
    for _ in range(15):
        training.train_step()
    [recorder] = counts
    recorded, replayed = recorder.recorded, recorder.replayed
    assert recorded
    training._restore(training._position())
    training.train_step()
    assert (recorder.recorded, recorder.replayed) == (recorded, replayed)


def test_a_checkpoint_has_a_number_as_its_rate(tmp_path, corpus_files):
    """It is loaded where there are no graphs, and the other way round."""
    training = Training(config_of({"text": TEXT}, graphs=True), handle(tmp_path))
    for _ in range(8):
        training.train_step()
    for group in training.optimizer.state_dict()["param_groups"]:
        assert (type(group["lr"]), group["capturable"]) == (float, False)


def test_a_step_in_micro_batches_has_no_graph(tmp_path, corpus_files, counts):
    config = config_of({"text": TEXT}, graphs=True, micro_batch_size=3, batch_size=8)
    plain = config_of({"text": TEXT}, graphs=False, micro_batch_size=3, batch_size=8)
    assert curve(train(config, handle(tmp_path, "a"))) == curve(train(plain, handle(tmp_path, "b")))
    assert counts[0].replayed < 8  # the small batches at the end of an epoch may have one


def test_compiling_excludes_it(corpus_files):
    with pytest.raises(ValueError, match="compile and cuda_graph exclude each other: set one of them to false"):
        TrainingConfig(compile=True, cuda_graph=True)


# -------------------------------------------------------------------------------------------------- what goes wrong


class NoRoom(PlainRecorder):
    """Fails at the nth work of a kind: memory runs out, or something else."""

    def __init__(self, kind, at, error):
        self.kind, self.at, self.error, self.n = kind, at, error, {"warm_up": 0, "record": 0}

    def _fail(self, kind):
        self.n[kind] += 1
        if (kind, self.n[kind]) == (self.kind, self.at):
            raise self.error

    def warm_up(self, work):
        work()
        self._fail("warm_up")

    def record(self, work):
        self._fail("record")
        return work


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
UNSUPPORTED = RuntimeError("CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors ...")


@pytest.mark.parametrize(
    ("kind", "at", "error", "reason"),
    [
        ("warm_up", 1, FULL, "out of memory"),
        ("record", 1, FULL, "out of memory"),
        ("record", 1, UNSUPPORTED, "CUDA error: operation not permitted when stream is capturing"),
    ],
    ids=["gradients", "recording", "unsupported"],
)
def test_a_step_that_finds_no_room_is_made_without_graphs(
    tmp_path, corpus_files, monkeypatch, caplog, kind, at, error, reason
):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(step_graph, "recorder", lambda device: NoRoom(kind, at, error))
    plain, graphed = (config_of({"text": TEXT}, graphs=on, epochs=2.3, times=1) for on in (False, True))
    assert curve(train(graphed, handle(tmp_path, "a"))) == curve(train(plain, handle(tmp_path, "b")))
    assert caplog.messages == [f"cuda_graph: a step cannot be a CUDA graph ({reason}); the training continues without"]


@pytest.mark.parametrize(
    ("at", "error"),
    [(1, RuntimeError("a bug")), (2, RuntimeError("a bug")), (2, FULL)],
    ids=["gradients", "update", "memory of the optimizer"],
)
def test_other_errors_go_out(tmp_path, corpus_files, monkeypatch, at, error):
    """The optimizer's step is not repeated: some of its weights may have changed."""
    monkeypatch.setattr(step_graph, "recorder", lambda device: NoRoom("warm_up", at, error))
    with pytest.raises(type(error), match=str(error)[:5]):
        list(train(config_of({"text": TEXT}, graphs=True), handle(tmp_path)))


class Line:
    """A training of one weight."""

    def __init__(self):
        self.layer = nn.Linear(1, 1, bias=False)
        self.optimizer = make_optimizer(self.layer, TrainingConfig())

    def gradients(self, batch):
        loss = self.layer(batch.tokens.float().flatten()[:, None]).sum()
        loss.backward()
        return loss.detach(), self.layer.weight.grad.norm()

    def update(self, rate):
        update(self.optimizer, rate)

    def undo(self):
        return lambda: None


def batch_of(length, *, positions=None):
    tokens = torch.arange(length)[None]
    return Batch(tokens, positions, tokens.flatten(), length)


def test_there_are_graphs_for_a_few_shapes():
    graphs, training = StepGraphs(CPU), Line()
    for length in range(1, SHAPES + 1):
        assert graphs.step(training, batch_of(length), 0.1) is not None
    assert graphs.step(training, batch_of(SHAPES + 1), 0.1) is None
    assert graphs.step(training, batch_of(1), 0.1) is not None
    graphs.drop()
    assert graphs.step(training, batch_of(SHAPES + 1), 0.1) is not None


def test_a_batch_of_which_not_all_is_scored_has_no_graph():
    assert StepGraphs(CPU).step(Line(), batch_of(3, positions=torch.tensor([1])), 0.1) is None


def test_each_step_has_its_own_batch_and_rate():
    graphs, training = StepGraphs(CPU), Line()
    plain = Line()
    plain.layer.load_state_dict(training.layer.state_dict())
    for step in range(2 * WARM):
        batch, rate = Batch(torch.full((1, 2), step), None, torch.zeros(2), 2), 0.1 / (1 + step)
        loss, norm = graphs.step(training, batch, rate)
        wanted = plain.gradients(batch)
        plain.update(rate)
        assert (loss.item(), norm.item()) == (wanted[0].item(), wanted[1].item())
        assert torch.equal(training.layer.weight, plain.layer.weight)


# ---------------------------------------------------------------------------------------------------------- on a device


def on_gpu(test):
    """Marks a test that needs a GPU."""
    for mark in GPU:
        test = mark(test)
    return test


@on_gpu
@pytest.mark.parametrize("data", [{"text": TEXT}, MIXED], ids=["text", "mixed"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_the_curve_is_that_of_plain_steps(tmp_path, corpus_files, data, precision, caplog):
    """Without dropout, whose random numbers differ."""
    configs = [config_of(data, graphs=on, precision=precision, dropout=0.0) for on in (False, True)]
    found = [curve(train(one, placed(handle(tmp_path, str(on)), "cuda:0"))) for on, one in enumerate(configs)]
    assert not caplog.messages
    for plain, graphed in zip(*found, strict=True):
        assert graphed == pytest.approx(plain, rel=2e-2 if precision == "bf16" else 2e-3)


@pytest.mark.parametrize("device", ["cpu", ON_GPU])
def test_dropout_differs_from_step_to_step(tmp_path, corpus_files, device):
    """At a rate of 0 the loss of a batch changes by its dropout alone."""
    training = Training(config_of({"text": TEXT}, graphs=True, dropout=0.3), placed(handle(tmp_path), device))
    rows, numbers = training.order.at(next(s for s in range(99) if training.order.at(s)[1].min() >= 0))
    losses = {training._graphed(rows, numbers, 0.0)[0].item() for _ in range(WARM + 5)}
    assert len(losses) == WARM + 5
    assert all(math.isfinite(loss) for loss in losses)


@on_gpu
def test_on_a_gpu_a_paused_training_goes_on(tmp_path, corpus_files):
    config, asked = config_of({"text": TEXT}, graphs=True, dropout=0.0), itertools.count()
    undisturbed = curve(train(config, placed(handle(tmp_path, "undisturbed"), "cuda:0")))
    paused = handle(tmp_path, "paused", command=lambda: Command.PAUSE if next(asked) >= 12 else Command.CONTINUE)
    before = curve(train(config, placed(paused, "cuda:0")))
    after = curve(train(config, placed(handle(tmp_path, "paused"), "cuda:0")))
    for found, wanted in zip(before + after[len(before) :], undisturbed, strict=True):
        assert found == pytest.approx(wanted, rel=2e-3)


@on_gpu
def test_on_a_gpu_no_memory_for_the_recording_is_no_end(tmp_path, corpus_files, monkeypatch, caplog):
    """A recording that fails half-way leaves a training that goes on."""
    real = step_graph.CudaRecorder.record

    def record(self, work):
        def failing():
            work()
            raise torch.OutOfMemoryError("CUDA out of memory")

        return real(self, failing)

    monkeypatch.setattr(step_graph.CudaRecorder, "record", record)
    plain, graphed = (config_of({"text": TEXT}, graphs=on, dropout=0.0) for on in (False, True))
    found = curve(train(graphed, placed(handle(tmp_path, "a"), "cuda:0")))
    for one, other in zip(found, curve(train(plain, placed(handle(tmp_path, "b"), "cuda:0"))), strict=True):
        assert one == pytest.approx(other, rel=2e-3)
    assert caplog.messages[0].startswith("cuda_graph: a step cannot be a CUDA graph (")
