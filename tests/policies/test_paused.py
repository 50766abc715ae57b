"""A paused trial: what its policy says and nothing else resumes it, and it counts by its best evaluation so far."""

import pytest

from hpsearch import GoOn, Judgement, New, Nothing, Verdict, journal
from hpsearch.events import Finished, Interrupted, Measured, Paused, Started
from hpsearch.journal.history import History
from hpsearch.search.allowance import spent
from tests.searching import experiment, go, opened, trials

QUIET = "search: {pruner: none, overfitting: false}\n"
FIVE = "seed: 5\nevaluation: {times: 5}\nbudget: {trials: 3}\n" + QUIET


class Until:
    """Draws trials that pause at evaluation 2; `resumes`: by trial, the evaluation to which it is resumed next."""

    def __init__(self, wanted, resumes=()):
        self.space, self.resumes = wanted.space, dict(resumes)

    def next(self, history):
        if history.room:
            return New(self.space.draw(len(history.trials)), until=2)
        for number, until in self.resumes.items():
            trial = history.trials[number]
            if trial.paused and (until is None or trial.paused_at < until):
                return GoOn(number, until=until)
        return Nothing("enough")

    def judge(self, history, trial):
        return Judgement()


def standing(study):
    return [(t.status, len(t.evaluations)) for t in study.history.trials.values()]


def test_every_trial_pauses_where_it_is_to_and_the_search_ends(tmp_path):
    wanted = experiment(FIVE)
    study, seen = go(wanted, tmp_path / "home", policy=Until(wanted))
    assert standing(study) == [("paused", 2)] * 3
    assert [(h.trial.number, h.reason, h.saved) for h in seen if isinstance(h, Paused)] == [
        (number, "it was to train to evaluation 2", True) for number in range(3)
    ]
    assert not any(isinstance(h, Finished | Interrupted) for h in seen)
    assert study.unfinished() == []
    assert spent(study, Until(wanted))
    best = min(study.history.trials.values(), key=lambda t: t.evaluations[2].metrics["val/loss"])
    assert study.history.leader().number == best.number
    assert all((tmp_path / "home" / "checkpoints" / f"{n:04d}" / "last.pt").exists() for n in range(3))


def test_a_resumed_trial_goes_on_where_it_was_and_pauses_again(tmp_path):
    wanted = experiment(FIVE)
    study, seen = go(wanted, tmp_path / "home", policy=Until(wanted, {1: 4, 0: None}))
    assert standing(study) == [("completed", 5), ("paused", 4), ("paused", 2)]
    measured = [h.evaluation.index for h in seen if isinstance(h, Measured) and h.trial.number == 1]
    assert measured == [1, 2, 2, 3, 4]  # the latest of its checkpoint is told again
    assert [h.attempt for h in seen if isinstance(h, Started) and h.trial.number == 1] == [1, 2]
    again = History.of(journal.read(study.journal.path))
    assert [(t.status, t.paused_at, t.until) for t in again.trials.values()] == [
        ("completed", 2, None),
        ("paused", 4, 4),
        ("paused", 2, 2),
    ]


def test_a_study_that_ended_with_paused_trials_is_extended(tmp_path):
    wanted = experiment(FIVE)
    go(wanted, tmp_path / "home", policy=Until(wanted))
    study, seen = go(wanted.override(trials=4), tmp_path / "home", policy=Until(wanted, {2: None}))
    assert [h.trial.number for h in seen if isinstance(h, Started)] == [3, 2]
    assert standing(study) == [("paused", 2), ("paused", 2), ("completed", 5), ("paused", 2)]


def test_another_policy_leaves_paused_trials_as_they_are(tmp_path):
    wanted = experiment(FIVE)
    go(wanted, tmp_path / "home", policy=Until(wanted))
    study, _ = go(wanted.override(trials=4), tmp_path / "home")
    assert standing(study) == [("paused", 2)] * 3 + [("completed", 5)]


@pytest.mark.parametrize("kill_after", range(1, 12))
def test_killed_anywhere_it_comes_to_the_same(tmp_path, kill_after):
    wanted = experiment(FIVE)
    policy = Until(wanted, {1: 4, 0: None})
    undisturbed, _ = go(wanted, tmp_path / "undisturbed", policy=policy)
    go(wanted, tmp_path / "home", policy=policy, kill_after=kill_after)
    study, _ = go(wanted, tmp_path / "home", policy=policy)
    assert (trials(study), standing(study)) == (trials(undisturbed), standing(undisturbed))


@pytest.mark.parametrize("stop_after", range(1, 12))
def test_a_person_stops_the_run_and_resumes_it(tmp_path, stop_after):
    """What the policy paused stays so, what the person stopped is resumed at once."""
    wanted = experiment(FIVE)
    policy = Until(wanted, {1: 4, 0: None})
    undisturbed, _ = go(wanted, tmp_path / "undisturbed", policy=policy)
    before, seen = go(wanted, tmp_path / "home", policy=policy, stop_after=stop_after)
    study, after = go(wanted, tmp_path / "home", policy=policy)
    stopped = [h.trial.number for h in seen if isinstance(h, Interrupted)]
    assert [h.trial.number for h in after if isinstance(h, Started)][: len(stopped)] == stopped
    assert before.unfinished() == stopped
    assert (trials(study), standing(study)) == (trials(undisturbed), standing(undisturbed))


def test_without_its_checkpoint_a_paused_trial_is_trained_anew(tmp_path):
    wanted = experiment(FIVE)
    go(wanted, tmp_path / "home", policy=Until(wanted))
    for path in (tmp_path / "home" / "checkpoints" / "0001").iterdir():
        path.unlink()
    study, _ = go(wanted, tmp_path / "home", policy=Until(wanted, {1: None}))
    undisturbed, _ = go(wanted, tmp_path / "undisturbed", policy=Until(wanted, {1: None}))
    assert trials(study) == trials(undisturbed)
    assert standing(study)[1] == ("completed", 5)


def test_hours_count_the_trials_that_are_paused(tmp_path):
    wanted = experiment(FIVE)
    study, _ = go(wanted, tmp_path / "home", policy=Until(wanted))
    assert not spent(study, Until(wanted, {0: None}))
    study.experiment = wanted.override(hours=study.history.seconds / 3601)
    assert spent(study, Until(wanted, {0: None}))


class PausesLast:
    """Pauses each trial at its last evaluation, where it has nothing left to train."""

    def __init__(self, wanted):
        self.space = wanted.space

    def next(self, history):
        return New(self.space.draw(len(history.trials)), seed=7) if history.room else Nothing()

    def judge(self, history, trial):
        return Judgement(Verdict.PAUSE if 5 in trial.evaluations else Verdict.CONTINUE, "late")


def test_a_pause_at_the_last_evaluation_is_the_end(tmp_path):
    wanted = experiment(FIVE)
    study, seen = go(wanted, tmp_path / "home", policy=PausesLast(wanted))
    assert standing(study) == [("completed", 5)] * 3
    assert not any(isinstance(h, Paused) for h in seen)
    assert {t.config["seed"] for t in study.history.trials.values()} == {7}


def test_nothing_is_new_beyond_the_budget(tmp_path):
    class Greedy(PausesLast):
        def next(self, history):
            return New(self.space.draw(len(history.trials)))

    wanted = experiment(FIVE)
    study, _ = go(wanted, tmp_path / "home", policy=Greedy(wanted))
    assert len(opened(wanted, tmp_path / "home").history.trials) == len(study.history.trials) == 3
