"""The learning rate at chosen places of the schedule, and the shorter trainings that a training contains."""

import itertools
import math

import pytest

from hpsearch.training.config import TrainingConfig
from hpsearch.training.schedule import Schedule, shorter
from tests.training.tiny import TEXT, tiny

PEAK = 2e-3
STEPS = 2000
HALFWAY_COSINE = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.25))  # a quarter of the way from 1 to 0.1


@pytest.mark.parametrize(
    ("schedule", "progress", "share"),
    [
        ("wsd", 0.0, 0.0),
        ("wsd", 0.05, 0.5),  # half of the warm-up
        ("wsd", 0.1, 1.0),
        ("wsd", 0.75, 1.0),  # the cool-down begins here
        ("wsd", 0.875, 0.55),
        ("wsd", 1.0, 0.1),
        ("cosine", 0.05, 0.5),
        ("cosine", 0.1, 1.0),
        ("cosine", 0.325, HALFWAY_COSINE),
        ("cosine", 0.55, 0.55),
        ("cosine", 1.0, 0.1),
        ("linear", 0.05, 0.5),
        ("linear", 0.1, 1.0),
        ("linear", 0.55, 0.55),
        ("linear", 1.0, 0.1),
        ("constant", 0.05, 0.5),
        ("constant", 0.1, 1.0),
        ("constant", 1.0, 1.0),
    ],
)
def test_schedule(schedule, progress, share):
    config = TrainingConfig(schedule=schedule, learning_rate=PEAK, warmup=0.1, cooldown=0.25, min_lr=0.1)
    step = round(progress * STEPS) - 0.5  # a step's rate is that of its middle
    assert Schedule(config, STEPS).rate(step) == pytest.approx(PEAK * share, rel=1e-12)


@pytest.mark.parametrize("schedule", ["wsd", "cosine", "linear", "constant"])
@pytest.mark.parametrize(("warmup", "cooldown"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.3, 0.7), (0.05, 0.2)])
def test_no_schedule_leaves_its_bounds_or_jumps(schedule, warmup, cooldown):
    config = TrainingConfig(schedule=schedule, learning_rate=1.0, warmup=warmup, cooldown=cooldown)
    rates = [Schedule(config, 1000).rate(step) for step in range(1000)]
    assert min(rates) > 0
    assert max(rates) <= 1
    steepest = max(1 / warmup if warmup else 0, 1 / cooldown if cooldown else 0, math.pi / 2 / max(0.1, 1 - warmup))
    assert max(abs(b - a) for a, b in itertools.pairwise(rates)) <= 1.01 * steepest / 1000


# -------------------------------------------------------------------------------------------------------------- shorter


class Whole:
    """The order of a training with a hundred steps an epoch."""

    def __init__(self, total_steps):
        self.total_steps = total_steps

    def epochs_of(self, steps):
        return steps / 100


@pytest.mark.parametrize("cooldown", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("warmup", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("total", [40, 1000, 1237])
def test_a_shorter_training_has_the_same_rates_up_to_its_cooldown(total, warmup, cooldown):
    config = tiny({"text": TEXT}, training={"warmup": warmup, "cooldown": cooldown, "epochs": total / 100})
    whole, found = Schedule(config.training, total), 0
    for step in range(1, whole.falls_from):
        less = shorter(config, Whole(total), falls_from=step)
        if less is None:
            assert step < whole.warmup or cooldown * (step + 1) <= 0.5  # of which no step would be the cool-down
            continue
        found += 1
        short = Schedule(less.training, round(less.training.epochs * 100))
        assert (short.warmup, short.falls_from) == (whole.warmup, step)
        assert [short.rate(i) for i in range(step)] == [whole.rate(i) for i in range(step)]  # to the last bit
        assert short.rate(step) < config.training.learning_rate
        assert short.falls_from / short.total_steps == pytest.approx(1 - cooldown, abs=1 / short.total_steps)
    assert found or warmup + cooldown >= 1


def test_the_epochs_of_a_shorter_training_have_few_decimals():
    config = tiny({"text": TEXT}, training={"warmup": 0.05, "cooldown": 0.2, "epochs": 25.3})
    less = shorter(config, Whole(2530), falls_from=800)
    assert (less.training.epochs, less.training.warmup) == (10.0, 0.126)  # 126 steps of warm-up, as 0.05 of 2530


@pytest.mark.parametrize("training", [{"schedule": "cosine"}, {"schedule": "constant"}, {"cooldown": 0.0}])
def test_only_a_stable_phase_has_shorter_trainings(training):
    assert shorter(tiny({"text": TEXT}, training=training), Whole(100), falls_from=50) is None
