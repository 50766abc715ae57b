"""TPE in a long study: it looks at a part of it, and still finds the optimum."""

import math

import optuna
import pytest

from hpsearch.policies.optuna.samplers import AmongPeers, BoundedTPE, make_pruner
from hpsearch.policies.optuna.shortlist import Shortlist
from hpsearch.space.search import Search

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


class Harsh(optuna.pruners.BasePruner):
    """A halving that would stop everyone; it counts how often it is asked."""

    asked = 0

    def prune(self, study, trial):
        self.asked += 1
        return True


@pytest.mark.parametrize(("peers", "stops"), [(1, False), (3, False), (4, True), (6, True)])
def test_halving_stops_no_one_before_four_trials_have_come_as_far(peers, stops):
    """The trial itself is one of them; those that have not come to its evaluation, or were never asked, are not."""
    harsh = Harsh()
    study = optuna.create_study(pruner=AmongPeers(harsh))
    for number in range(8):
        trial = study.ask()
        for step in range(1, 4 if number < peers else 3):
            trial.report(1.0 + number, step)
        if number == 0:
            first = trial
    assert first.should_prune() is stops
    assert harsh.asked == 1  # it notes who reached which rung


def test_successive_halving_of_a_space_file_waits_for_four():
    """Real rungs: at the second evaluation the worst of three goes on, the worst of four does not."""
    pruner = Search.model_validate({"pruner": {"name": "successive_halving", "min_resource": 1}}).pruner
    for count, stops in ((3, False), (4, True)):
        study = optuna.create_study(pruner=make_pruner(pruner, evaluations=20))
        answers = []
        for number in range(count):
            trial = study.ask()
            trial.report(1.0 + number, 1)
            answers.append(trial.should_prune())
        assert answers == [False] * (count - 1) + [stops]
