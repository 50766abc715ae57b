"""TPE in a long study: it looks at a part of it, and still finds the optimum."""

import math

import optuna

from hpsearch.sampling.samplers import BoundedTPE
from hpsearch.sampling.shortlist import Shortlist

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


def test_it_proposes_near_the_best_in_a_long_study():
    study = filled(2000, 100)
    study.sampler = BoundedTPE(Shortlist(study), seed=0, multivariate=True, constant_liar=True)
    proposed = [study.ask(RANGE).params["x"] for _ in range(20)]
    assert sum(abs(x - 0.3) < 0.1 for x in proposed) >= 15
    assert len(set(proposed)) == 20
