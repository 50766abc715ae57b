"""A cool-down from a stable state ends where the shorter training of its branch ends, to the last bit."""

from __future__ import annotations

import itertools

import pytest

from hpsearch.contract import STABLE, Command
from hpsearch.training import checkpoint
from hpsearch.training.config import TrainConfig
from hpsearch.training.loop import train
from tests.training.tiny import MIXED, PAIRS, TEXT, handle, tiny

CASES = {
    "text": {"text": TEXT},
    "pairs": {"pairs": PAIRS},
    "mixed": MIXED,
}


def config_of(case: str, **training) -> TrainConfig:
    """A training with dropout and warm-up whose epochs are no whole number."""
    given = {"epochs": 6.3 if case != "mixed" else 2.3, "warmup": 0.11, "cooldown": 0.2, "learning_rate": 0.01}
    return tiny(CASES[case], model={"dropout": 0.1}, training=given | training, evaluation={"times": 10})


def cooled(config, given, *, after: int):
    """The evaluations of a training that is told to cool down after this many of them, and the last one."""
    seen = []
    given.command = lambda: Command.COOL_DOWN if len(seen) >= after else Command.CONTINUE
    for evaluation in train(config, given):
        seen.append(evaluation)  # extend() would add them at its end, and `command` looks at them before
    return seen


def values(evaluation):
    """What does not depend on the machine's speed."""
    return {name: value for name, value in evaluation.metrics.items() if name.startswith("val/")}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("after", [3, 5, 7])
def test_a_cooldown_is_the_end_of_a_shorter_training(tmp_path, corpus_files, case, after):
    config = config_of(case)
    branch = cooled(config, handle(tmp_path, "cooled"), after=after)[-1]
    assert branch.branch
    values_of = config.model_dump() | {"training": config.training.model_dump() | branch.branch["training"]}
    shorter = TrainConfig.model_validate(values_of)
    *_, last = train(shorter, handle(tmp_path, "shorter"))
    assert (last.step, last.tokens, last.epoch) == (branch.step, branch.tokens, branch.epoch)
    assert values(last) == values(branch)
    assert branch.epoch == pytest.approx(shorter.training.epochs)
    assert branch.progress < 1.0


# ------------------------------------------------------------------------------------------- interrupted and impossible


@pytest.mark.parametrize("case", ["text", "pairs"])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_cooldown_that_is_paused_is_resumed(tmp_path, corpus_files, case, at):
    """Paused at the step `at` of the cool-down, and told to cool down or to continue afterwards."""
    config = config_of(case, epochs=9)
    whole = cooled(config, handle(tmp_path, "whole"), after=7)
    for name, then in {"again": Command.COOL_DOWN, "continued": Command.CONTINUE}.items():
        given, seen, cooling = handle(tmp_path, name), [], itertools.count()

        def command(seen=seen, cooling=cooling):
            if len(seen) < 7:
                return Command.CONTINUE
            return Command.PAUSE if next(cooling) > at else Command.COOL_DOWN

        given.command = command
        for evaluation in train(config, given):
            seen.append(evaluation)
        assert not any(evaluation.branch for evaluation in seen)
        given.command = lambda then=then: then
        again = list(train(config, given))
        assert [e.index for e in again] == [e.index for e in whole]
        assert values(again[-1]) == values(whole[-1])
        assert again[-1].branch == whole[-1].branch
        assert not list(given.folder.glob(STABLE))


def test_a_training_killed_before_its_cooldown_finds_its_stable_states(tmp_path, corpus_files):
    config, given = config_of("text"), handle(tmp_path, "killed", checkpoint_seconds=0)
    training = train(config, given)
    for _ in range(7):
        next(training)
    training.close()  # as a kill: nothing is saved any more
    assert list(given.folder.glob(STABLE))
    resumed = cooled(config, given, after=7)
    assert values(resumed[-1]) == values(cooled(config, handle(tmp_path, "whole"), after=7)[-1])
    assert not list(given.folder.glob(STABLE))


def test_a_damaged_stable_state_is_passed_over(tmp_path, corpus_files):
    config, given = config_of("text"), handle(tmp_path, "damaged", checkpoint_seconds=0)
    training = train(config, given)
    for _ in range(7):
        next(training)
    training.close()
    paths = sorted(given.folder.glob(STABLE))
    assert len(paths) >= 2
    for path in paths[:-1]:
        path.write_bytes(path.read_bytes()[:-7])
    branch = cooled(config, given, after=7)[-1]
    assert branch.branch
    assert branch.index not in {int(path.stem.split("-")[1]) for path in paths[:-1]}


@pytest.mark.parametrize(
    "training", [{"schedule": "cosine"}, {"cooldown": 0.0}, {"warmup": 0.8}], ids=["cosine", "no cool-down", "warm-up"]
)
def test_without_a_stable_phase_it_ends_with_its_best_weights(tmp_path, corpus_files, training):
    config, given = config_of("text", **training), handle(tmp_path)
    seen = cooled(config, given, after=5)
    assert len(seen) == 5
    assert checkpoint.load(given.folder / "best.pt", config_hash=config.digest())["evaluation"]["index"] in range(1, 6)


def test_the_best_weights_are_those_of_the_cooldown(tmp_path, corpus_files):
    config, given = config_of("text", learning_rate=0.1), handle(tmp_path)
    seen = cooled(config, given, after=7)
    best = min(seen, key=lambda evaluation: evaluation.metrics["val/loss"])
    assert best.branch  # the rate is high: the cool-down is worth more than what is left of the curve
    kept = checkpoint.load(given.folder / "best.pt", config_hash=config.digest())
    assert kept["evaluation"]["branch"] == best.branch
    assert kept["value"] == best.metrics["val/loss"]


def test_before_any_state_is_kept_it_cools_down_from_where_it_is(tmp_path, corpus_files):
    """As at the end of the budget's hours, in a training that reads its data less than once."""
    config = config_of("text", epochs=0.48, batch_size=1)
    given = handle(tmp_path, "cooled")
    branch = cooled(config, given, after=5)[-1]
    assert branch.branch
    assert branch.progress < 1.0
    values_of = config.model_dump() | {"training": config.training.model_dump() | branch.branch["training"]}
    *_, last = train(TrainConfig.model_validate(values_of), handle(tmp_path, "shorter"))
    assert (last.step, last.tokens) == (branch.step, branch.tokens)
    assert values(last) == values(branch)
