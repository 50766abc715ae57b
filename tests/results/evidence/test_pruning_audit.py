"""What an audit says of a pruner, worked out by hand."""

import math

import pytest
from scipy.stats import spearmanr

from hpsearch.displays.text import audited
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.results.evidence.pruning_audit import audit_of, sample, spearman, stopped, wilson
from tests.results.evidence.test_caveats import event
from tests.searching import evaluation


def history(best=4.0, pruned=(), ended=(), *, metric="val/loss", direction="minimize", fresh=(), paused=()):
    """Trial 0 completed with `best`; then pruned trials of these values, at evaluation 2 of 20; `ended`: (trial, value)
    of audits (nan: diverged), each of which took 100 s; fresh: values of repeats of trial 0.
    """
    events = [event("study_created", study="s", objective={"metric": metric, "direction": direction})]

    def finished(n, outcome, value, seconds, index=1, **more):
        events.append(event("trial_asked", trial=n, params={}, config={"seed": 0}, **more))
        found = {"index": index, "value": value} if value is not None else None
        said = {"outcome": outcome, "value": value, "best_evaluation": found, "seconds": seconds}
        events.append(event("trial_finished", trial=n, **said))

    finished(0, "completed", best, 100.0)
    for n, value in enumerate(pruned, start=1):
        finished(n, "pruned", value, 10.0)
    for n in paused:
        events.append(event("trial_asked", trial=n, params={}, config={"seed": 0}))
        events.append(event("evaluation", trial=n, evaluation=evaluation(2, 5.0, metric=metric).to_dict()))
        events.append(event("trial_paused", trial=n, evaluation=2))
    for n, value in enumerate(fresh):
        finished(FIRST_REPEAT + n, "completed", value, 100.0, confirms=0, repeat=n + 1)
    for n, (trial, value) in enumerate(ended, start=len(fresh)):
        left = {"index": 2, "progress": 0.1, "value": dict(enumerate(pruned, 1)).get(trial, 5.0), "seconds": 10.0}
        outcome = "diverged" if math.isnan(value) else "completed"
        value = None if math.isnan(value) else value
        finished(FIRST_REPEAT + n, outcome, value, 100.0, confirms=trial, repeat=1, audits=left)
    return History.of(events)


def test_the_interval_of_a_share():
    """Wilson (1927), as statsmodels.stats.proportion.proportion_confint(k, n, method="wilson") gives it."""
    assert wilson(0, 3) == pytest.approx((0.0, 0.561497), abs=1e-5)
    assert wilson(1, 3) == pytest.approx((0.061492, 0.792345), abs=1e-5)
    assert wilson(10, 10) == pytest.approx((0.722467, 1.0), abs=1e-5)


def test_the_rank_correlation():
    pairs = [(1.0, 3.0), (2.0, 3.0), (5.0, 1.0), (4.0, 8.0), (2.0, 7.0)]
    assert spearman(pairs) == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
    assert spearman([(1.0, 1.0), (1.0, 2.0)]) is None


def test_the_sample_is_seeded_grows_and_takes_no_trial_twice():
    found = history(pruned=[5.0] * 20)
    assert stopped(found) == list(range(1, 21))
    first = sample(found, 7, 3)
    assert sample(found, 7, 3) == first
    assert sample(found, 7, 6)[:3] == first
    assert sorted(sample(found, 7, 50)) == stopped(found)
    assert {tuple(sample(found, seed, 3)) for seed in range(9)} != {tuple(first)}
    begun = history(pruned=[5.0] * 20, ended=[(n, 4.5) for n in first])
    assert sample(begun, 8, 2) == first  # those that are begun, whatever the seed
    assert sample(begun, 7, 6) == sample(found, 7, 6)


def test_every_trial_may_be_drawn():
    """Uniformly: each of 10 is in some 30% of the samples of 3."""
    counts = [0] * 11
    for seed in range(300):
        for number in sample(history(pruned=[5.0] * 10), seed, 3):
            counts[number] += 1
    assert all(60 <= count <= 120 for count in counts[1:])


def test_how_many_would_have_beaten_the_winner():
    found = audit_of(history(pruned=[5.0, 5.1, 5.2, 5.3], ended=[(1, 3.99), (3, 4.2), (2, math.nan)]))
    assert (found.winner, found.value, found.seeds, found.stopped, found.better) == (0, 4.0, 0, 4, 1)
    assert [one.trial for one in found.audited] == [1, 3, 2]
    assert found.interval == wilson(1, 3)
    assert found.saved == pytest.approx(4 * 90.0)
    assert found.rank_correlation is None  # of two values
    assert found.to_dict()["audited"][2]["final"] is None


def test_where_all_were_audited_the_share_is_exact():
    found = audit_of(history(pruned=[5.0, 5.1], ended=[(1, 3.9), (2, 4.2)]))
    assert found.interval == (0.5, 0.5)


def test_a_metric_that_grows():
    found = audit_of(history(0.8, [0.1, 0.2], [(1, 0.9), (2, 0.7)], metric="val/f1", direction="maximize"))
    assert [one.better for one in found.audited] == [True, False]


def test_the_winner_is_taken_by_its_fresh_seeds():
    """4.05 is worse than the search's 4.0, and better than the mean that the fresh seeds show."""
    found = audit_of(history(pruned=[5.0], ended=[(1, 4.05)], fresh=[4.1, 4.2]))
    assert (found.value, found.seeds, found.better) == (pytest.approx(4.15), 2, 1)


def test_trials_that_the_search_has_trained_out_since_are_left_out():
    known = history(pruned=[5.0, 5.1], ended=[(1, 3.9), (2, 4.2)], paused=[3])
    assert stopped(known) == [1, 2, 3]
    known.trials[1].outcome = known.trials[0].outcome
    assert [one.trial for one in audit_of(known).audited] == [2]
    assert audit_of(history(pruned=[5.0])) is None


def test_audits_are_no_confirmation_and_no_trials():
    known = history(pruned=[5.0], ended=[(1, 3.0)])
    assert known.confirmation is None
    assert known.leader().number == 0
    assert list(known.audits) == [1]
    confirmed = history(pruned=[5.0], ended=[(1, 3.0)], fresh=[4.1, 4.2])
    assert [one.trial for one in confirmed.confirmation.finalists] == [0]
    assert confirmed.leader().number == 0


def test_the_time_of_an_audit_is_no_time_of_the_search():
    def driver(at, **more):
        return [
            {"event": "driver_started", "time": at, **more},
            {"event": "driver_stopped", "time": at + 5, "reason": ""},
        ]

    known = History.of([*driver(1.0), *driver(100.0, audits=3), *driver(200.0)])
    assert known.seconds == 10.0
    killed = History.of([*driver(1.0), driver(100.0, audits=3)[0], {"event": "x", "time": 150.0}, *driver(200.0)])
    assert killed.seconds == 10.0


def test_what_is_said_of_it():
    lines = audited(history(pruned=[5.0, 5.1, 5.2, 5.3], ended=[(1, 3.99), (3, 3.5), (2, 4.2)]))
    assert lines == [
        "audit: 3 of the 4 trials that were pruned or are paused, trained to their end",
        "  trial 1: pruned at 10% with 5.0000; at its end completed with 3.9900, better than the winner by 0.01 ± "
        "0.057, within the seed noise",
        "  trial 3: pruned at 10% with 5.2000; at its end completed with 3.5000, better than the winner by 0.5 ± 0.057",
        "  trial 2: pruned at 10% with 5.1000; at its end completed with 4.2000",
        "2 of 3 would have beaten the winner, trial 0 (val/loss 4.0000, its value in the search, which is flattered): "
        "67% of all such trials (95% interval: 21% to 94%)",
        "rank correlation of the values where they were stopped with the final ones: -0.50",
        "stopping trials early saved about 6.0 minutes of device time",
        "an audit changes no winner; to use trial 3: hpsearch export s --trial 3, or put its params into search.first "
        "of a new study",
    ]
    assert audited(history(pruned=[5.0])) == []
    once = audited(history(pruned=[5.0], ended=[(1, 4.2)], fresh=[4.1]))
    assert any("(val/loss 4.1000, its mean over 1 fresh seed)" in line for line in once)
