"""The trials of a long study that TPE looks at: the best and the latest, the same however they came to be known."""

import math
import random

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from hpsearch.policies.optuna.shortlist import BEST, ENDED, RUNNING, Shortlist
from tests.policies.optuna.test_samplers import RANGE, filled


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_part_has_the_best_and_the_latest(direction):
    part = Shortlist(filled(900, 300, direction)).part().get_trials(deepcopy=False)
    numbers = [trial.number for trial in part]
    assert len(numbers) == BEST + ENDED + RUNNING
    assert numbers == sorted(set(numbers))
    assert 7 in numbers
    assert set(range(600, 900)) | set(range(1000, 1200)) <= set(numbers)


def test_a_study_of_usual_size_is_looked_at_whole():
    study = filled(BEST + ENDED, RUNNING)
    assert Shortlist(study).part() is study


def test_one_that_is_kept_up_to_date_is_the_one_made_anew():
    """While trials begin, complete, are pruned and fail by chance."""
    chance, study = random.Random(0), filled(600, 0, "maximize")
    study.sampler = optuna.samplers.RandomSampler(seed=0)  # quick: what is asked for does not matter
    kept, running = Shortlist(study), list[optuna.Trial]()
    for _ in range(1000):
        running.append(study.ask(RANGE))
        if len(running) > 300 or chance.random() < 0.4:
            trial = running.pop(chance.randrange(len(running)))
            state = chance.choice([TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
            study.tell(trial, chance.random() if state == TrialState.COMPLETE else None, state=state)
        if chance.random() < 0.1:
            parts = [shortlist.part().get_trials(deepcopy=False) for shortlist in (kept, Shortlist(study))]
            assert parts[0] == parts[1]


def test_trials_are_picked_as_a_search_through_all_would():
    study = filled(700, 250)
    study.add_trial(create_trial(state=TrialState.PRUNED, params={"x": 0.5}, distributions=RANGE))
    trials = study.get_trials()
    ended = [t.number for t in trials if t.state.is_finished()]
    completed = [t for t in trials if t.state == TrialState.COMPLETE and t.number not in ended[-ENDED:]]
    best = [t.number for t in sorted(completed, key=lambda t: (t.value, t.number))[:BEST]]
    latest = [t.number for t in trials if not t.state.is_finished()][-RUNNING:]
    assert [t.number for t in Shortlist(study).part().get_trials()] == sorted([*best, *ended[-ENDED:], *latest])
    assert math.isclose(Shortlist(study).part().best_value, study.best_value)
