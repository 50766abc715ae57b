"""Which trials are trained again, with how many seeds."""

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies.finalists import expected, fresh_seed, missing, not_confirmed, plan, reserve
from hpsearch.space.search import Confirm

DEFAULT = Confirm()


def trial(number, value, *, seconds=10.0, outcome=Outcome.COMPLETED, times=10, **more):
    """A trial whose value is that of its last evaluation."""
    evaluations = {
        index: Evaluation(index, index, index / times, {"val/loss": value}, seconds=seconds * index / times)
        for index in range(1, times + 1)
    }
    best = BestEvaluation(times, value, step=times)
    return TrialHistory(
        number, outcome=outcome, value=value, best=best, seconds=seconds, evaluations=evaluations, **more
    )


def history(*trials):
    return History(trials={one.number: one for one in trials}, finished=[one.number for one in trials])


def study(count, **options):
    """Trials of equal cost, the later the better."""
    return history(*(trial(number, 2.0 - number / 100, **options) for number in range(count)))


def test_a_study_of_a_few_trials_is_not_confirmed_and_says_so():
    assert plan(study(9), DEFAULT).trials == ()
    assert not_confirmed(study(9), DEFAULT) == (
        "the winner is not confirmed with fresh seeds: it has fewer than 10 trials"
    )


def test_paused_trials_count_as_trials_and_are_no_finalists():
    found = study(10)
    for number in range(2, 10):
        found.trials[number].outcome, found.trials[number].paused = None, True
    found.finished = [0, 1]
    assert plan(found, DEFAULT).trials == (1, 0)


def test_trials_that_take_more_than_a_fifth_are_not_trained_again():
    assert plan(study(10), DEFAULT).trials == (9, 8)  # 20 s of the 100 s
    dear = history(*(trial(n, 2.0 - n / 100, seconds=10.0 if n > 5 else 1.0) for n in range(10)))
    assert not_confirmed(dear, DEFAULT) == (
        "the winner is not confirmed with fresh seeds: training 2 of its trials again would take 20.0 s, more than a "
        "fifth of the 46.0 s that its trials took"
    )


@pytest.mark.parametrize(
    ("count", "trials", "seeds"),
    [(10, 2, 1), (12, 2, 1), (15, 3, 1), (30, 3, 2), (45, 3, 3), (500, 3, 3)],
)
def test_the_best_are_trained_again_as_often_as_a_fifth_allows(count, trials, seeds):
    found = plan(study(count), DEFAULT)
    assert found.trials == tuple(range(count - 1, count - 1 - trials, -1))
    assert found.seeds == seeds
    assert found.seconds <= 0.2 * 10 * count


def test_up_to_twelve_trials_one_seed_is_enough():
    cheap = history(*(trial(n, 2.0 - n / 100, seconds=0.1 if n > 5 else 10.0) for n in range(12)))
    assert (plan(cheap, DEFAULT).trials, plan(cheap, DEFAULT).seeds) == ((11, 10, 9), 1)


def test_what_a_person_asks_for_is_done_whatever_it_takes():
    found = plan(study(3), Confirm(top=3, seeds=4))
    assert (found.trials, found.seeds, found.seconds) == ((2, 1, 0), 4, 120.0)
    assert plan(study(2), Confirm(top=3, seeds=1)).trials == (1, 0)
    assert plan(study(1), Confirm(top=3, seeds=1)).trials == (0,)


def test_one_number_alone_leaves_the_other_to_the_share():
    assert plan(study(30), Confirm(top=2)).seeds == 3
    assert plan(study(30), Confirm(seeds=3)).trials == (29, 28)
    assert plan(study(30), Confirm(top=30)).reason.startswith("training 30 of its trials again would take")


def test_the_default_config_is_trained_again_beside_the_best_where_that_fits():
    found = study(45)
    found.trials[0].label = "default"
    assert (plan(found, DEFAULT).trials, plan(found, DEFAULT).seeds) == ((44, 43, 42, 0), 2)
    assert plan(found, Confirm(top=1, seeds=1)).trials == (44, 0)
    small = study(10)
    small.trials[0].label = "default"
    assert plan(small, DEFAULT).trials == (9, 8)
    best = study(45)
    best.trials[44].label = "default"
    assert plan(best, DEFAULT).trials == (44, 43, 42)
    pruned = study(45)
    pruned.trials[0].label, pruned.trials[0].outcome = "default", Outcome.PRUNED
    assert plan(pruned, DEFAULT).trials == (44, 43, 42)


def test_it_can_be_switched_off_without_a_word():
    assert plan(study(100), Confirm(enabled=False)).trials == ()
    assert not_confirmed(study(100), Confirm(enabled=False)) == ""


def test_trials_that_cannot_win_are_no_finalists():
    pruned = [trial(n, 1.0, outcome=Outcome.PRUNED) for n in range(10, 20)]
    found = plan(history(*study(10).trials.values(), *pruned), DEFAULT)
    assert found.trials == (9, 8, 7)
    assert not_confirmed(history(trial(30, 1.5), *pruned), DEFAULT).endswith("only one of its trials has completed")


def test_a_trial_that_went_back_costs_what_the_shorter_training_costs():
    found = study(10)
    branch = {"training": {"epochs": 3.0}}
    found.trials[9].best = BestEvaluation(3, 1.0, step=4, branch=branch)  # ends where evaluation 4 was
    found.trials[9].branches[3] = Evaluation(3, 4, 0.4, {"val/loss": 1.0}, seconds=12.0, branch=branch)
    assert plan(found, Confirm(top=1, seeds=1)).seconds == pytest.approx(4.0)


def test_the_reserve_is_the_time_on_all_workers():
    assert reserve(study(45), DEFAULT, workers=2, seconds=1000) == pytest.approx(1.1 * 9 * 10 / 2)
    assert reserve(study(45), DEFAULT, workers=100, seconds=1000) == pytest.approx(1.1 * 10)
    assert reserve(study(3), DEFAULT, workers=2, seconds=1000) == 0


def test_times_are_shown_in_as_many_digits_as_show_that_it_is_more_than_a_fifth():
    """2.605 s and 13 s: to one digit, 2.6 s are no more than a fifth of 13.0 s."""
    dear = history(*(trial(n, 2.0 - n / 100, seconds=1.3025 if n > 7 else 1.299375) for n in range(10)))
    assert not_confirmed(dear, DEFAULT).endswith(
        "training 2 of its trials again would take 2.605 s, more than a fifth of the 13.000 s that its trials took"
    )


def test_the_reserve_is_at_most_a_fifth_unless_a_person_asks_for_more():
    assert reserve(study(45), DEFAULT, workers=2, seconds=200) == 0
    assert reserve(study(45), Confirm(top=3, seeds=3), workers=2, seconds=200) == pytest.approx(1.1 * 9 * 10 / 2)


def test_the_first_seed_of_each_comes_before_the_second_of_any():
    found, wanted = study(30), plan(study(30), DEFAULT)
    asked = []
    while (pair := missing(found, wanted, 0)) is not None:
        asked.append(pair)
        number, seed = pair
        at = FIRST_REPEAT + len(found.repeats)
        found.repeats[at] = TrialHistory(at, confirms=number, config={"seed": seed})
    assert asked == [(number, fresh_seed(0, number, n)) for n in (1, 2) for number in (29, 28, 27)]


def test_fresh_seeds_differ_and_are_never_the_search_s():
    seeds = [fresh_seed(0, number, n) for number in range(50) for n in range(1, 20)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert fresh_seed(seeds[0], 0, 1) != seeds[0]


def test_what_is_expected_of_a_confirmation_before_there_are_trials():
    def count(trials, share=1.0, **given):
        return expected(Confirm(**given), trials=trials, cost=10.0, spent=10.0 * share * trials)

    assert count(9) == 0  # fewer than FEWEST_TRIALS
    assert count(12) == 2  # a fifth of 12 trainings: two of the best, one seed
    assert count(20) == 4  # three of the best and the default config
    assert count(60) == 12  # three seeds each
    assert count(20, share=0.5) == 2
    assert count(5, top=2, seeds=3) == 9  # asked for: whatever it takes
    assert count(60, enabled=False) == 0
