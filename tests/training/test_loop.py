"""The generator's contract: the curve depends on the config alone, wherever a training is stopped and resumed."""

from __future__ import annotations

import itertools
import json
import math
import random
import stat

import pytest
import torch

from hpsearch.contract import STABLE, Command
from hpsearch.training import checkpoint
from hpsearch.training.evaluation import Evaluator, OnSet
from hpsearch.training.loop import Training, train
from hpsearch.training.loss import loss_sum
from tests.training.tiny import MIXED, MOODS, PAIRS, TEXT, handle, tiny

CASES = {
    "text": ({"text": TEXT}, {"objective": {"metric": "val/loss"}}),
    "text, points of two steps": ({"text": TEXT}, {"evaluation": {"times": 1}, "training": {"epochs": 2}}),
    "mixed": (MIXED, {"objective": {"metric": "val/bleu", "direction": "maximize"}}),
    "mixed in bf16, decoding now and then": (
        MIXED,
        {"evaluation": {"decode_every": 2, "times": 4}, "training": {"epochs": 0.4, "precision": "bf16"}},
    ),
}

TIMES = ("seconds", "points", "peak_memory")  # what of an evaluation depends on the machine


def config_of(case, **given):
    """A training of about a dozen steps with dropout."""
    data, more = CASES[case]
    sections = {**more, **given}
    sections["model"] = {"dropout": 0.2, **sections.get("model", {})}
    sections["training"] = (
        {"epochs": 0.5 if len(data) > 1 else 1.5} | more.get("training", {}) | given.get("training", {})
    )
    return tiny(data, **sections)


def essence(evaluation):
    """All of an evaluation that a config decides: everything but times, speeds and memory."""
    names = ("train/loss", "learning_rate", "gradient_norm")
    points = [(p.step, p.tokens, *(p.metrics[name] for name in names)) for p in evaluation.points]
    place = evaluation.index, evaluation.step, evaluation.tokens, evaluation.epoch, evaluation.progress
    return (*place, evaluation.metrics, evaluation.signatures, points)


def run(config, given):
    return [essence(evaluation) for evaluation in train(config, given)]


def best_of(config, given):
    """best.pt as (weights, value, essence of its evaluation, samples)."""
    state = checkpoint.load(given.folder / "best.pt", config_hash=config.digest())
    evaluation = {key: value for key, value in state["evaluation"].items() if key not in TIMES}
    weights = {name: weight.tolist() for name, weight in state["model"].items()}
    return weights, state["value"], evaluation, state["samples"]


def told_at(step, told, *, done=0):
    """Says CONTINUE until `step` steps are done, where `done` were done before."""
    asked = itertools.count(done)
    return lambda: told if next(asked) >= step else Command.CONTINUE


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Each case trained once without a break: (evaluations, best, number of steps); made when first asked for."""
    known = {}

    def get(case, folder):
        if case not in known:
            given = handle(folder, "undisturbed")
            known[case] = run(config_of(case), given), best_of(config_of(case), given)
        return known[case]

    return get


# --------------------------------------------------------------------------------------------------- resuming anywhere


@pytest.mark.parametrize("case", CASES)
def test_a_training_paused_at_any_step_goes_on_as_if_it_had_not_been(tmp_path, corpus_files, undisturbed, case):
    config, (expected, best) = config_of(case), undisturbed(case, tmp_path)
    n_steps = expected[-1][1]
    assert 8 <= n_steps <= 20  # several steps before, between and after evaluations
    for step in range(n_steps):
        given = handle(tmp_path, f"paused-{step}", command=told_at(step, Command.PAUSE))
        before = run(config, given)
        assert [path.name for path in given.folder.iterdir() if not path.match(STABLE)] == ["last.pt"]
        torch.rand(7)  # as another training in this process would
        given.command = lambda: Command.CONTINUE
        after = run(config, given)
        assert after == expected  # what the driver may have missed comes again, all of it
        assert before == expected[: len(before)]
        assert best_of(config, given) == best


@pytest.mark.parametrize("case", CASES)
def test_a_training_killed_after_any_evaluation_goes_on_from_its_last_checkpoint(
    tmp_path, corpus_files, undisturbed, case
):
    config, (expected, best) = config_of(case), undisturbed(case, tmp_path)
    for k in range(1, len(expected) + 1):
        given = handle(tmp_path, f"killed-{k}", checkpoint_seconds=0)
        generator = train(config, given)
        before = [essence(next(generator)) for _ in range(k)]
        del generator  # at its evaluation: the checkpoint is that of the step before
        assert before == expected[:k]
        assert run(config, given) == expected  # those of the checkpoint again, then the rest
        assert best_of(config, given) == best


def test_a_training_resumed_after_every_single_step_is_the_same(tmp_path, corpus_files, undisturbed):
    case = "mixed"
    config, (expected, best) = config_of(case), undisturbed(case, tmp_path)
    given = handle(tmp_path, "step-by-step")
    for step in range(1, expected[-1][1] + 1):
        given.command = told_at(step, Command.PAUSE, done=step - 1)
        seen = run(config, given)
        assert seen == expected[: len(seen)]
    assert seen == expected
    assert best_of(config, given) == best


def test_checkpoints_do_not_disturb(tmp_path, corpus_files, undisturbed):
    config, (expected, best) = config_of("mixed"), undisturbed("mixed", tmp_path)
    given = handle(tmp_path, "saving", checkpoint_seconds=0)
    assert run(config, given) == expected
    assert best_of(config, given) == best


def test_a_finished_training_started_again_gives_its_evaluations_and_its_best(tmp_path, corpus_files, undisturbed):
    config, (expected, best) = config_of("mixed"), undisturbed("mixed", tmp_path)
    given = handle(tmp_path, "again", checkpoint_seconds=0)
    run(config, given)
    (given.folder / "best.pt").unlink()
    assert run(config, given) == expected
    assert best_of(config, given) == best


def test_what_the_caller_does_between_evaluations_does_not_matter(tmp_path, corpus_files, undisturbed):
    config, (expected, best) = config_of("text"), undisturbed("text", tmp_path)
    given = handle(tmp_path, "drawing")
    seen = []
    for evaluation, _ in zip(train(config, given), train(config_of("mixed"), handle(tmp_path, "other")), strict=False):
        seen.append(essence(evaluation))
        torch.manual_seed(99)
    assert seen == expected
    assert best_of(config, given) == best


def test_seconds_go_on_over_attempts_and_leave_the_waiting_out(tmp_path, corpus_files, monkeypatch):
    config = config_of("text")
    clock = iter(range(10**9))  # each look at the clock is a second later
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    given = handle(tmp_path, command=told_at(8, Command.PAUSE))
    first = list(train(config, given))
    given.command = lambda: Command.CONTINUE
    seconds = [evaluation.seconds for evaluation in train(config, given)]
    assert seconds[: len(first)] == [evaluation.seconds for evaluation in first]
    assert seconds[0] > 0
    assert seconds == sorted(seconds)
    generator = train(config, handle(tmp_path, "waiting"))
    before = next(generator).seconds
    for _ in range(10_000):
        next(clock)
    assert next(generator).seconds - before < 1000


# -------------------------------------------------------------------------------------------------- damaged checkpoints


def flip(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


DAMAGES = {
    "flipped byte": flip,
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "old temporary file": lambda path: path.rename(path.with_name(".last.pt.tmp")),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("former", ["whole", "damaged", "none"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(
    tmp_path, corpus_files, undisturbed, damage, former, caplog
):
    config, (expected, best) = config_of("text"), undisturbed("text", tmp_path)
    given = handle(tmp_path, command=told_at(5, Command.PAUSE))
    if former != "none":
        run(config, given)
    given.command = told_at(8, Command.PAUSE, done=0 if former == "none" else 5)
    run(config, given)
    assert (given.folder / "previous.pt").exists() == (former != "none")
    DAMAGES[damage](given.folder / "last.pt")
    if former == "damaged":
        flip(given.folder / "previous.pt")
    given.command = lambda: Command.CONTINUE
    training, steps = Training(config, given), {"whole": 5, "damaged": 0, "none": 0}
    assert (training.resume(), training.step) == (former == "whole", steps[former])
    if damage != "old temporary file":
        assert str(given.folder / "last.pt") in caplog.text
    assert run(config, given) == expected
    assert best_of(config, given) == best


def test_the_checkpoint_of_another_config_is_not_used(tmp_path, corpus_files, undisturbed):
    expected, _ = undisturbed("text", tmp_path)
    given = handle(tmp_path, command=told_at(8, Command.PAUSE))
    run(config_of("text", seed=5), given)
    given.command = lambda: Command.CONTINUE
    assert run(config_of("text"), given) == expected


def test_the_checkpoint_of_other_data_is_not_used(tmp_path, corpus_files):
    config = config_of("text")
    given = handle(tmp_path, command=told_at(8, Command.PAUSE))
    run(config, given)
    (corpus_files / "train.txt").write_text("quite another text " * 100)
    given.command = lambda: Command.CONTINUE
    resumed = run(config, given)
    assert resumed == run(config, handle(tmp_path, "fresh"))


# ---------------------------------------------------------------------------------------------------------- the endings


def test_finish_writes_the_weights_and_samples_of_the_best_evaluation(tmp_path, corpus_files, undisturbed):
    config, (expected, _) = config_of("mixed"), undisturbed("mixed", tmp_path)
    given = handle(tmp_path, command=told_at(expected[1][1], Command.FINISH))
    assert run(config, given) == expected[:2]
    weights, value, evaluation, samples = best_of(config, given)
    best = max(expected[:2], key=lambda one: (one[5]["val/bleu"], one[0]))
    assert (evaluation["index"], value) == (best[0], best[5]["val/bleu"])
    assert json.loads((given.folder / "samples.json").read_text()) == samples
    assert samples.keys() == {"pairs", "moods"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in given.folder.iterdir()} == {0o600}
    fresh = Training(config, handle(tmp_path, "fresh"))
    fresh.model.load_state_dict({name: torch.tensor(weight) for name, weight in weights.items()})
    again = fresh.evaluator.measure(fresh.model).metrics
    assert {f"val/{name}": x for name, x in again.items()} == {k: v for k, v in best[5].items() if k.startswith("val/")}


def test_the_best_is_not_the_last_where_training_overfits(tmp_path, corpus_files):
    valid = corpus_files / "valid.txt"
    letters = list(valid.read_text())
    random.Random(0).shuffle(letters)
    valid.write_text("".join(letters))
    config = config_of("text", training={"epochs": 10}, model={"dropout": 0.0}, evaluation={"times": 12})
    given = handle(tmp_path)
    values = [one[5]["val/loss"] for one in run(config, given)]
    _, value, evaluation, _ = best_of(config, given)
    assert value == min(values)
    assert values[evaluation["index"] - 1] == value
    assert evaluation["index"] < 12


def test_ceasing_to_iterate_writes_nothing(tmp_path, corpus_files):
    given = handle(tmp_path)
    generator = train(config_of("text"), given)
    next(generator)
    next(generator)
    generator.close()
    assert list(given.folder.iterdir()) == []


def test_told_to_end_before_the_first_step(tmp_path, corpus_files, undisturbed):
    config, (expected, _) = config_of("text"), undisturbed("text", tmp_path)
    given = handle(tmp_path, command=lambda: Command.FINISH)
    assert run(config, given) == []
    assert list(given.folder.iterdir()) == []
    given.command = lambda: Command.PAUSE
    assert run(config, given) == []
    given.command = lambda: Command.CONTINUE
    assert run(config, given) == expected


def test_weights_that_are_no_numbers_give_an_early_evaluation_and_an_end(tmp_path, corpus_files, monkeypatch):
    config, given = config_of("text", training={"epochs": 8}), handle(tmp_path, checkpoint_seconds=0)
    whole_step = Training.train_step

    def step_then_break(self):
        whole_step(self)
        if self.step == 23:
            torch.nn.init.constant_(self.model.norm.weight, math.nan)

    monkeypatch.setattr(Training, "train_step", step_then_break)
    seen = list(train(config, given))
    sound, broken = seen
    assert (sound.step, broken.step) == (22, 24)  # a third of 64 steps; the next point of the curve (every third step)
    assert math.isnan(broken.metrics["val/loss"])
    assert math.isnan(broken.metrics["train/interval_loss"])
    assert (sound.index, broken.index) == (1, 2)
    again = list(train(config, given))
    assert len(again) == 2  # nor does resuming mend it
    assert math.isnan(again[1].metrics["val/loss"])
    assert best_of(config, given)[1] == sound.metrics["val/loss"]


def test_an_absurd_learning_rate_ends_in_numbers_or_in_an_early_nan(tmp_path, corpus_files):
    config = config_of("text", training={"learning_rate": 10, "grad_clip": 0, "epochs": 10})
    seen = list(train(config, handle(tmp_path)))
    assert len({evaluation.index for evaluation in seen}) == len(seen)
    assert all(math.isfinite(evaluation.metrics["train/interval_loss"]) for evaluation in seen[:-1])


# -------------------------------------------------------------------------------------------- when evaluations are made


@pytest.mark.parametrize(("times", "epochs"), [(3, 8), (1, 3), (7, 5), (20, 1.5), (5, 0.01)])
def test_evaluations_are_at_equal_fractions_and_at_the_end(tmp_path, corpus_files, times, epochs):
    config = config_of("text", evaluation={"times": times}, training={"epochs": epochs, "batch_size": 16})
    seen = list(train(config, handle(tmp_path)))
    n_steps = seen[-1].step
    assert n_steps == max(1, round(epochs * seen[-1].step / seen[-1].epoch))
    assert [one.step for one in seen] == sorted({math.ceil(i * n_steps / times) for i in range(1, times + 1)})
    for evaluation in seen:
        assert evaluation.step == math.ceil(evaluation.index * n_steps / times)
        assert evaluation.progress == evaluation.step / n_steps
    assert seen[-1].index == times


def test_the_points_between_evaluations_come_once_and_end_at_the_evaluation(tmp_path, corpus_files):
    config = config_of("text", training={"epochs": 20})
    seen = list(train(config, handle(tmp_path)))
    at = [point.step for evaluation in seen for point in evaluation.points]
    assert at == sorted(set(at))
    assert all(len(evaluation.points) <= 11 for evaluation in seen)
    assert all(evaluation.points[-1].step == evaluation.step for evaluation in seen)
    assert all(evaluation.points[-1].tokens == evaluation.tokens for evaluation in seen)
    for evaluation in seen:
        losses = [point.metrics["train/loss"] for point in evaluation.points]
        assert min(losses) <= evaluation.metrics["train/interval_loss"] <= max(losses)


@pytest.mark.parametrize("case", ["text", "mixed"])
def test_stop_at_is_the_exact_beginning_of_the_whole_schedule(tmp_path, corpus_files, case):
    whole = config_of(case, evaluation={"times": 7}, training={"warmup": 0.2})
    expected = run(whole, handle(tmp_path, "whole"))
    assert len(expected) == 7
    for k in range(1, 8):
        config = config_of(case, evaluation={"times": 7}, training={"warmup": 0.2, "stop_at": k / 7})
        given = handle(tmp_path, f"stopped-{k}")
        assert run(config, given) == expected[:k]
        metric, better = config.objective.metric, config.objective.better
        value = best_of(config, given)[1]
        assert value in [one[5][metric] for one in expected[:k]]
        assert not any(better(one[5][metric], value) for one in expected[:k])


def counted(monkeypatch):
    """How often each of the evaluator's passes is made."""
    calls = {"_losses": 0, "_choices": 0, "_decode": 0}
    for name in calls:
        whole = getattr(OnSet, name)

        def count(self, *args, whole=whole, name=name):
            calls[name] += 1
            return whole(self, *args)

        monkeypatch.setattr(OnSet, name, count)
    return calls


@pytest.mark.parametrize(("direction", "decodings"), [("minimize", 1), ("maximize", 2)])
def test_decoding_every_twentieth_time_costs_one_decoding_and_one_more_for_a_best_before(
    tmp_path, corpus_files, monkeypatch, direction, decodings
):
    """Each evaluation of a falling loss is a new best; where loss is maximized, the first is the best."""
    more = {"evaluation": {"times": 20, "decode_every": 20}, "training": {"epochs": 4, "learning_rate": 1e-3}}
    config = config_of("mixed", **more, objective={"metric": "val/loss", "direction": direction})
    calls, given = counted(monkeypatch), handle(tmp_path)
    seen = list(train(config, given))
    assert len(seen) == 20
    assert calls == {"_losses": 20 * 2, "_choices": 20, "_decode": decodings}
    assert ["val/bleu" in one.metrics for one in seen] == [False] * 19 + [True]
    state = checkpoint.load(given.folder / "best.pt", config_hash=config.digest())
    assert state["evaluation"]["index"] == (20 if decodings == 1 else 1)
    assert state["samples"].keys() == {"pairs", "moods"}
    assert {"val/bleu", "val/pairs/bleu", "val/pairs/chrf"} <= state["evaluation"]["metrics"].keys()
    best = Training(config, handle(tmp_path, "fresh"))
    best.model.load_state_dict(state["model"])
    metrics = best.evaluator.measure(best.model).metrics  # what one whole pass over these weights gives
    found = {name: value for name, value in state["evaluation"]["metrics"].items() if name.startswith("val/")}
    assert found == {f"val/{name}": value for name, value in metrics.items()}


def test_a_stop_at_the_best_gives_its_weights_however_seldom_it_decodes(tmp_path, corpus_files):
    more = {"evaluation": {"times": 6, "decode_every": 4}, "objective": {"metric": "val/loss"}}
    expected = run(config_of("mixed", **more), handle(tmp_path, "whole"))
    assert ["val/bleu" in one[5] for one in expected] == [False, False, False, True, False, True]
    found = run(config_of("mixed", **more, training={"stop_at": 5 / 6}), handle(tmp_path, "stopped"))
    assert [one[:5] for one in found] == [one[:5] for one in expected[:5]]
    assert found[4][5].items() >= expected[4][5].items()  # the last is decoded


def test_of_equal_values_the_later_evaluation_is_the_best(tmp_path, corpus_files):
    config = config_of("text", training={"learning_rate": 1e-12, "weight_decay": 0}, objective={"metric": "val/loss"})
    given = handle(tmp_path)
    seen = list(train(config, given))
    assert len({one.metrics["val/loss"] for one in seen}) == 1
    assert best_of(config, given)[2]["index"] == 3


# ------------------------------------------------------------------------------------------------- the training's curve


def test_tokens_per_second_are_those_of_the_steps_however_often_it_was_resumed(tmp_path, corpus_files, monkeypatch):
    """Each step takes a second of a clock of our own, each break a thousand."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    config = config_of("text", evaluation={"times": 2}, training={"epochs": 6})

    def ticking(limit):
        def told():
            limit[0] -= 1
            if limit[0] < 0:
                return Command.PAUSE
            clock[0] += 1
            return Command.CONTINUE

        return told

    def speeds(name, steps):
        given, seen = handle(tmp_path, name), []
        for _ in range(100):
            given.command = ticking([steps])
            seen = [point for evaluation in train(config, given) for point in evaluation.points]
            clock[0] += 1000
            if (given.folder / "best.pt").exists():
                return [(p.step, p.tokens, p.metrics["tokens_per_second"]) for p in seen]
        raise AssertionError("it never ends")

    whole = speeds("whole", 1000)
    assert whole[1][0] - whole[0][0] == 3  # steps in a window: it is resumed within
    before = 0, 0
    for step, tokens, speed in whole:
        assert speed == pytest.approx((tokens - before[1]) / (step - before[0]))
        before = step, tokens
    assert speeds("every step", 1) == whole
    assert speeds("every second step", 2) == whole


def test_of_several_sets_each_has_its_curve_and_their_mean_is_in_the_shares_of_the_validation(tmp_path, corpus_files):
    """A point for each step, of one set: the mean goes on from the sets' latest values, as computed here by hand."""
    config = config_of("mixed", evaluation={"times": 1}, training={"epochs": 0.3}, model={"dropout": 0.0})
    training = Training(config, handle(tmp_path))
    training.interval = 1
    rows, latest = training.evaluator.rows, {}
    shares = {name: sum(batch.targets.numel() for batch in batches(rows[name])) for name in rows}
    while training.step < 8:
        name, numbers = training.order.named(training.step)
        with torch.no_grad():
            batch = training.order.sets[name].batch(numbers)
            latest[name] = float(loss_sum(training.model, batch)) / batch.targets.numel()
        training.train_step()
        found = training.points[-1].metrics
        assert {key: found[key] for key in found if key.endswith("/loss") and key != "train/loss"} == {
            f"train/{name}/loss": pytest.approx(latest[name], rel=1e-5)
        }
        mean = sum(shares[key] * latest[key] for key in latest) / sum(shares[key] for key in latest)
        assert found["train/loss"] == pytest.approx(mean, rel=1e-5)
    assert len(latest) > 1


def batches(rows):
    return (found[1] if isinstance(found, tuple) else found for found in rows.in_turn(64))


# ---------------------------------------------------------------------------------------------------------- precision


@pytest.mark.parametrize("fast", [False, True])
def test_a_resumed_training_keeps_its_precision_and_says_so(tmp_path, corpus_files, monkeypatch, caplog, fast):
    config = config_of("text", training={"precision": "auto"})
    monkeypatch.setattr("hpsearch.training.device.fast_bf16", lambda device: fast)
    began = "bf16" if fast else "fp32"
    expected = run(config, handle(tmp_path, "whole"))
    given = handle(tmp_path, command=told_at(5, Command.PAUSE))
    run(config, given)
    monkeypatch.setattr("hpsearch.training.device.fast_bf16", lambda device: not fast)
    given.command = lambda: Command.CONTINUE
    seen = list(train(config, given))
    assert [essence(one) for one in seen] == expected
    assert {one.precision for one in seen} == {began}
    assert f"continues in {began}, as it started" in caplog.text
    assert checkpoint.load(given.folder / "best.pt", config_hash=config.digest())["precision"] == began


# --------------------------------------------------------------------------------------------------------------- seeds


def test_equal_seeds_equal_curves_and_other_seeds_others(tmp_path, corpus_files, undisturbed):
    expected, best = undisturbed("mixed", tmp_path)
    given = handle(tmp_path, "same")
    assert run(config_of("mixed"), given) == expected
    assert best_of(config_of("mixed"), given) == best
    other = run(config_of("mixed", seed=1), handle(tmp_path, "other"))
    assert [one[1:3] for one in other] != [one[1:3] for one in expected] or other != expected
    assert all(a[5]["val/loss"] != b[5]["val/loss"] for a, b in zip(other, expected, strict=True))


def test_a_prepared_corpus_gives_the_same_curve(tmp_path, corpus_files, undisturbed):
    config, (expected, _) = config_of("mixed"), undisturbed("mixed", tmp_path)
    given = handle(tmp_path)
    run(config, handle(tmp_path, "preparing", command=lambda: Command.FINISH))
    (prepared,) = (path.parent for path in given.settings.cache.glob("*/corpus.json"))
    given.settings.prepared[config.corpus_digest()] = prepared
    assert run(config, given) == expected


# ------------------------------------------------------------------------------------------------- batches and clipping


@pytest.mark.parametrize("data", [{"text": TEXT}, {"pairs": PAIRS}], ids=["text", "pairs"])
@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_micro_batches_give_the_same_gradients(tmp_path, corpus_files, data, size):
    def trained(micro_batch_size):
        given = handle(tmp_path, str(micro_batch_size))
        return run(tiny(data, training={"micro_batch_size": micro_batch_size, "epochs": 2}), given)

    for one, other in zip(trained(None), trained(size), strict=True):
        assert one[:5] == other[:5]
        assert one[5] == pytest.approx(other[5], abs=1e-4, rel=1e-4)
        for point, its in zip(one[-1], other[-1], strict=True):
            assert point == pytest.approx(its, abs=1e-4, rel=1e-4)


def gradients(config, given):
    """The gradients and their norm before the optimizer uses them, at the first step."""
    training = Training(config, given)
    kept = {}

    def keep(*args):
        kept.update({name: weight.grad.clone() for name, weight in training.model.named_parameters()})

    training.optimizer.register_step_pre_hook(keep)
    training.train_step()
    return kept, training.points[0].metrics["gradient_norm"]


@pytest.mark.parametrize("limit", [0.0, 0.1, 1e6])
def test_gradients_are_clipped_to_their_limit_and_zero_means_none(tmp_path, corpus_files, limit):
    config = tiny({"text": TEXT}, training={"grad_clip": limit})
    found, norm = gradients(config, handle(tmp_path))
    after = math.sqrt(sum(float((grad.double() ** 2).sum()) for grad in found.values()))
    assert norm > 0.2  # what is reported is the norm before clipping
    assert after == pytest.approx(0.1 if limit == 0.1 else norm, rel=1e-4)


def test_the_gradient_is_that_of_the_mean_loss_of_a_target(tmp_path, corpus_files):
    config = tiny({"pairs": PAIRS}, training={"grad_clip": 0, "batch_size": 4, "micro_batch_size": 3})
    found, _ = gradients(config, handle(tmp_path))
    again = Training(config, handle(tmp_path, "again"))
    kind, numbers = again.order.at(0)
    losses = []
    for i in numbers:
        tokens = torch.tensor(kind.row(i))
        log_probs = again.model(tokens[None, :-1])[0].log_softmax(-1)
        first = int(kind.prompts[i]) - 1
        losses += [-log_probs[place, tokens[place + 1]] for place in range(first, len(tokens) - 1)]
    torch.stack(losses).mean().backward()
    for name, weight in again.model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_the_learning_rate_is_that_of_the_middle_of_each_step(tmp_path, corpus_files):
    config = tiny(
        {"text": TEXT}, training={"schedule": "linear", "warmup": 0, "epochs": 3, "learning_rate": 1, "batch_size": 16}
    )
    points = [point for evaluation in train(config, handle(tmp_path)) for point in evaluation.points]
    n_steps = points[-1].step
    for point in points:
        assert point.metrics["learning_rate"] == pytest.approx(1 - (point.step - 0.5) / n_steps)


# ------------------------------------------------------------------------------------------------------------- learning


def test_an_easy_text_is_learnt(tmp_path):
    (tmp_path / "data").mkdir()
    for part in ("train", "valid", "test"):
        (tmp_path / "data" / f"{part}.txt").write_text("abcdefg " * 300)
    config = tiny({"text": TEXT}, training={"epochs": 10}, evaluation={"times": 6})
    seen = list(train(config, handle(tmp_path)))
    losses = [evaluation.metrics["train/interval_loss"] for evaluation in seen]
    assert losses == sorted(losses, reverse=True)
    assert seen[-1].metrics["val/loss"] < 0.05
    assert seen[-1].metrics["val/perplexity"] < 1.05


def test_labels_are_learnt(tmp_path, corpus_files):
    moods = {**MOODS, "split": {"valid": 0.3, "test": 0}}
    config = tiny({"moods": moods}, training={"epochs": 20, "learning_rate": 3e-3}, model={"width": 32})
    last = list(train(config, handle(tmp_path)))[-1]
    assert last.metrics["val/accuracy"] == 1.0
    assert last.metrics["val/f1_macro"] == 1.0


def test_translating_is_learnt(tmp_path, corpus_files):
    pairs = {**PAIRS, "split": {"valid": 0.2, "test": 0}}
    config = tiny(
        {"pairs": pairs},
        tokenizer={"kind": "bpe", "vocab_size": 280},
        training={"epochs": 60, "learning_rate": 5e-3},
        model={"width": 32, "n_layers": 2},
        evaluation={"times": 2, "decode_sample": 100, "max_new_tokens": 24},
    )
    given = handle(tmp_path)
    last = list(train(config, given))[-1]
    assert last.metrics["val/bleu"] > 80
    assert last.metrics["val/chrf"] > 80
    examples = best_of(config, given)[3]["pairs"]["examples"]
    assert any(example["hypothesis"] == example["reference"] for example in examples)


@pytest.mark.parametrize("data", [{"text": TEXT}, {"pairs": PAIRS}, MIXED], ids=["text", "pairs", "mixed"])
def test_equal_epochs_are_as_many_tokens_at_each_batch_size(tmp_path, corpus_files, data):
    ends = set()
    for size in (5, 8, 21, 500):
        config = tiny(data, training={"epochs": 2, "batch_size": size}, evaluation={"times": 1})
        *_, last = train(config, handle(tmp_path, str(size)))
        ends.add((last.epoch, last.tokens))
    assert len(ends) == 1


@pytest.mark.parametrize("epochs", [0.3, 1.5])
def test_a_training_ends_at_its_epochs_within_a_batch(tmp_path, corpus_files, epochs):
    ends = set()
    for size in (2, 5, 500):
        config = tiny({"text": TEXT}, training={"epochs": epochs, "batch_size": size}, evaluation={"times": 4})
        seen = list(train(config, handle(tmp_path, str(size))))
        assert [e.epoch for e in seen] == pytest.approx([epochs * e.progress for e in seen])
        ends.add((seen[-1].epoch, seen[-1].tokens // 32))  # in one of them the row that is shorter may be seen
    assert {epoch for epoch, _ in ends} == {epochs}
    assert max(n for _, n in ends) - min(n for _, n in ends) <= 1


# ------------------------------------------------------------------------------------------------------ clocks, weights


def test_an_evaluation_is_no_time_of_the_steps_and_a_save_is_counted_once(tmp_path, corpus_files, monkeypatch):
    """A step takes a second of a clock of our own, an evaluation a hundred, a save a thousand.

    With the save after an evaluation a file of its own is written, to cool down from.
    """
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def ticking(owner, name, seconds):
        whole = getattr(owner, name)

        def tick(*args, **given):
            clock[0] += seconds
            return whole(*args, **given)

        monkeypatch.setattr(owner, name, tick)

    ticking(Training, "_backward", 1)
    ticking(Evaluator, "measure", 100)
    ticking(checkpoint, "save", 1000)
    config = config_of("text", evaluation={"times": 2}, training={"epochs": 3})
    seen = list(train(config, handle(tmp_path, checkpoint_seconds=0)))
    points, before = [point for evaluation in seen for point in evaluation.points], (0, 0)
    for point in points:
        speed = (point.tokens - before[1]) / (point.step - before[0])
        assert point.metrics["tokens_per_second"] == pytest.approx(speed)
        before = point.step, point.tokens
    first, last = seen
    assert first.seconds == first.step + 100 + 1000 * (first.step - 1)  # saved after each step but the one it ends on
    assert last.seconds - first.seconds == last.step - first.step + 100 + 1000 * (last.step - first.step + 1)


def test_a_weight_is_the_batches_of_a_set_in_the_training(tmp_path, corpus_files):
    data = {"text": TEXT, "moods": {**MOODS, "weight": 3}}
    training = Training(tiny(data), handle(tmp_path))
    n = {name: kind.n_batches(8) for name, kind in training.order.sets.items()}
    names = [training.order.named(step)[0] for step in range(training.order.total_steps)]
    assert (names.count("text"), names.count("moods")) == (n["text"], 3 * n["moods"])


def test_what_is_decoded_at_the_end_has_its_signatures(tmp_path, corpus_files):
    more = {"evaluation": {"times": 3, "decode_every": 3}}
    config = config_of("mixed", **more, objective={"metric": "val/loss", "direction": "maximize"})
    given = handle(tmp_path)
    first, *_, last = train(config, given)
    best = best_of(config, given)[2]
    assert (best["index"], first.signatures) == (1, {})
    assert best["signatures"] == last.signatures
    assert "version:" in best["signatures"]["bleu"]
