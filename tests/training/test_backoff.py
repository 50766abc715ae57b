"""Memory that runs out in a training: smaller parts of the same batch, the same result, and an end where none helps."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hpsearch.contract import Command
from hpsearch.training.backoff import BatchBackoff
from hpsearch.training.loop import Training, train
from hpsearch.training.model import Llama
from tests.training.test_evaluation import evaluator
from tests.training.test_loop import essence
from tests.training.tiny import MIXED, PAIRS, TEXT, handle, model, opened, tiny

ROOT = Path(__file__).parents[2]
LINE = "out of memory with micro-batch {}; continues with {} (same batch of 32)"


def config_of(**training):
    """Batches of 32 rows, the first of them full, and dropout: a step that is done again draws its numbers again."""
    return tiny(
        {"text": TEXT},
        seed=1,
        model={"dropout": 0.2, "context": 16},
        training={"batch_size": 32, "epochs": 3, **training},
    )


@pytest.fixture
def room(monkeypatch):
    """Lets memory run out, after the random numbers of a forward pass were drawn, when more rows come than this says.

    It says how many rows came, in turn, in `seen`; entries of `fails_at` are calls that fail whatever their rows.
    `training`: whether the calls meant are those of steps, or of evaluations.
    """

    class Room:
        rows, training = 10**9, True

    whole, given = Llama.hidden, Room()
    given.seen, given.fails_at = [], set()

    def hidden(self, tokens):
        found = whole(self, tokens)
        meant = self.training == given.training
        if meant:
            given.seen.append(len(tokens))
        if meant and (len(tokens) > given.rows or len(given.seen) in given.fails_at):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")
        return found

    monkeypatch.setattr(Llama, "hidden", hidden)
    return given


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "hpsearch.training.backoff"]


def test_the_micro_batch_is_halved_until_it_fits_and_the_curve_is_that_of_this_size(
    tmp_path, corpus_files, room, caplog
):
    expected = [essence(e) for e in train(config_of(micro_batch_size=8), handle(tmp_path, "given"))]
    room.rows, room.seen[:] = 8, []
    found = [essence(e) for e in train(config_of(), handle(tmp_path, "found"))]
    assert found == expected  # to the last bit: tokens counted once, random numbers, gradients, points
    assert room.seen[:6] == [32, 16, 8, 8, 8, 8]
    assert set(room.seen[6:]) <= set(range(1, 9))
    assert warned(caplog) == [LINE.format(32, 16), LINE.format(16, 8)]


def test_the_gradients_of_the_parts_before_are_dropped(tmp_path, corpus_files, room, caplog):
    expected = [essence(e) for e in train(config_of(micro_batch_size=4), handle(tmp_path, "given"))]
    room.seen.clear()
    room.fails_at = {3}  # the third of four parts of the first step
    found = [essence(e) for e in train(config_of(micro_batch_size=8), handle(tmp_path, "found"))]
    assert found == expected
    assert warned(caplog) == [LINE.format(8, 4)]


def test_a_later_step_that_finds_no_room_is_done_again_alone(tmp_path, corpus_files, room):
    """Without dropout: equal up to the order of sums."""
    config = tiny({"pairs": PAIRS}, training={"batch_size": 8, "epochs": 3})
    expected = [essence(e) for e in train(config, handle(tmp_path, "undisturbed"))]
    room.seen.clear()
    room.fails_at = {3}
    found = [essence(e) for e in train(config, handle(tmp_path, "found"))]
    for one, other in zip(found, expected, strict=True):
        assert one[:5] == other[:5]
        assert one[5] == pytest.approx(other[5], abs=1e-4, rel=1e-4)


def test_where_one_row_finds_no_room_the_error_goes_out(tmp_path, corpus_files, room, caplog):
    room.rows = 0
    with pytest.raises(torch.OutOfMemoryError):
        next(train(config_of(), handle(tmp_path)))
    assert room.seen == [32, 16, 8, 4, 2, 1]
    assert len(warned(caplog)) == 5


def test_a_resumed_training_begins_with_the_size_that_it_had(tmp_path, corpus_files, room, caplog):
    room.rows, asked = 8, itertools.count()
    given = handle(tmp_path, command=lambda: Command.PAUSE if next(asked) >= 2 else Command.CONTINUE)
    list(train(config_of(), given))
    caplog.clear()
    room.seen.clear()
    again = Training(config_of(), given)
    assert again.resume()
    again.train_step()
    assert again.micro_batch.size == 8
    assert room.seen == [8, 8, 8, 8]
    assert warned(caplog) == []


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), ValueError("out of memory")])
def test_no_other_error_is_tried_again(error):
    tried = []

    def work(size):
        tried.append(size)
        raise error

    with pytest.raises(type(error), match=str(error)):
        BatchBackoff(8, saying="").run(work)
    assert tried == [8]


def test_what_the_failed_try_held_is_free_before_the_next(tmp_path):
    """The error's traceback holds the frames, and these the tensors: they must be gone when it is tried again."""
    alive = []

    class Big:
        def __init__(self):
            alive.append(self.__class__.__name__)

        def __del__(self):
            alive.pop()

    def work(size):
        held = Big()
        held.itself = held  # only the garbage collector sees its end
        if size > 2:
            raise MemoryError
        return len(alive)

    assert BatchBackoff(8, saying="").run(work) == 1


# ----------------------------------------------------------------------------------------------------------- evaluating


def test_an_evaluation_without_room_is_done_in_smaller_parts_and_says_the_same(tmp_path, corpus_files, room, caplog):
    config = tiny(MIXED, evaluation={"decode_sample": 100})
    net, made = model(config, opened(config, tmp_path)), evaluator(config, tmp_path)
    expected = made.measure(net)
    room.rows, room.training = 3, False
    found = made.measure(net)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-5)
    assert found.samples == expected.samples
    assert made.max_tokens.size <= 4 * config.model.context
    assert all("tokens evaluated at once; continues with" in line for line in warned(caplog))
    caplog.clear()
    assert made.measure(net).metrics == pytest.approx(expected.metrics, rel=1e-5)
    assert warned(caplog) == []  # it goes on with what it found


@pytest.mark.parametrize("beam_size", [1, 3])
def test_decoding_without_room_is_done_for_fewer_prompts_at_once(
    tmp_path, corpus_files, monkeypatch, caplog, beam_size
):
    config = tiny({"pairs": PAIRS}, evaluation={"decode_sample": 100, "beam_size": beam_size})
    net, made = model(config, opened(config, tmp_path)), evaluator(config, tmp_path)
    expected, whole, rows = made.measure(net), Llama.cache, []

    def cache(self, n_rows, slots):
        rows.append(n_rows)
        if n_rows > 2:
            raise MemoryError
        return whole(self, n_rows, slots)

    monkeypatch.setattr(Llama, "cache", cache)
    found = made.measure(net)
    assert found.samples == expected.samples
    assert found.metrics["bleu"] == expected.metrics["bleu"]
    assert rows[0] > 2
    assert set(rows[-2:]) <= {1, 2}
    assert warned(caplog)[0] == "out of memory with 128 rows decoded at once; continues with 64"


def test_an_evaluation_in_which_one_row_finds_no_room_fails(tmp_path, corpus_files, room):
    config = tiny({"text": TEXT})
    net, made = model(config, opened(config, tmp_path)), evaluator(config, tmp_path)
    room.rows, room.training = 0, False
    with pytest.raises(torch.OutOfMemoryError):
        made.measure(net)
    assert room.seen[-1] == 1


# ------------------------------------------------------------------------------------------------------- a real want


def limited(folder, mebibytes, micro_batch=0):
    """A training of its own process with so much memory: (what it printed, its warnings)."""
    command = [sys.executable, "-m", "tests.training.little_memory", folder, str(mebibytes), str(micro_batch)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.strip().splitlines()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_f12_a_batch_that_finds_no_room_is_trained_in_parts_with_the_same_curve(tmp_path):
    """F12: RLIMIT_AS, so that the whole batch does not fit and a part of it does."""
    (tmp_path / "data").mkdir()
    text = "".join(f"{i * i} bottles of beer, " for i in range(1000))
    for part, length in (("train", len(text)), ("valid", 2000), ("test", 2000)):
        (tmp_path / "data" / f"{part}.txt").write_text(text[:length])
    (size, tokens, losses, value, peak), warnings = limited(tmp_path, 60)
    said = r"out of memory with micro-batch (\d+); continues with (\d+) \(same batch of 64\)"
    halvings = [tuple(map(int, re.fullmatch(said, warning).groups())) for warning in warnings]
    assert all(after == -(-before // 2) for before, after in halvings)
    assert 2 <= halvings[0][0] <= 64  # an epoch's last batch has fewer rows, and may be what finds no room first
    assert halvings[-1][1] == size
    (given, its_tokens, its_losses, its_value, _), none = limited(tmp_path, 0, micro_batch=size)
    assert (given, its_tokens, none) == (size, tokens, [])
    assert losses == pytest.approx(its_losses, rel=1e-4)
    assert value == pytest.approx(its_value, rel=1e-4)
    assert peak > 2**26
