"""TPE in a long study: it looks at a part of it, and still finds the optimum."""

import math

import optuna
import pytest

from hpsearch.samplers import BEST, ENDED, RUNNING, BoundedTPE, _bounded

RANGE = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}


def filled(finished, running=0, direction="minimize"):
    """A study whose trial 7 is the best, with the given numbers of finished and running trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction)
    sign = 1 if direction == "minimize" else -1
    for number in range(finished + running):
        x = math.modf(number * 0.618)[0] if number != 7 else 0.3
        ended = number < finished
        state = optuna.trial.TrialState.COMPLETE if ended else optuna.trial.TrialState.RUNNING
        value = sign * ((x - 0.3) ** 2 - (number == 7)) if ended else None
        study.add_trial(optuna.trial.create_trial(state=state, value=value, params={"x": x}, distributions=RANGE))
    return study


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_part_has_the_best_and_the_latest(direction):
    part = _bounded(filled(900, 300, direction)).get_trials(deepcopy=False)
    numbers = [trial.number for trial in part]
    assert len(numbers) == BEST + ENDED + RUNNING
    assert numbers == sorted(set(numbers))
    assert 7 in numbers
    assert set(range(600, 900)) | set(range(1000, 1200)) <= set(numbers)


def test_a_study_of_usual_size_is_looked_at_whole():
    study = filled(BEST + ENDED, RUNNING)
    assert _bounded(study) is study


def test_it_proposes_near_the_best_in_a_long_study():
    study = filled(2000, 100)
    study.sampler = BoundedTPE(seed=0, multivariate=True, constant_liar=True)
    proposed = [study.ask(RANGE).params["x"] for _ in range(20)]
    assert sum(abs(x - 0.3) < 0.1 for x in proposed) >= 15
    assert len(set(proposed)) == 20
