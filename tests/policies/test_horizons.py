"""Horizon shift: configs are tried in short trainings, and the best of them are trained at longer horizons."""

import pytest

from hpsearch import New
from hpsearch.displays.text import named
from hpsearch.errors import UserError
from hpsearch.journal.history import History
from hpsearch.journal.horizons import HORIZONS, place
from hpsearch.journal.request import ENQUEUED
from hpsearch.outcome import Outcome
from hpsearch.policies.enqueued import EnqueuedPolicy, completed, needs_room
from hpsearch.policies.horizons import Horizons
from hpsearch.policies.loading import load
from tests.searching import experiment, go, trials

SHORT, MIDDLE, WHOLE = HORIZONS
RANGES = """
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  batch_size: {low: 8, high: 64}
  epochs: 4
"""
SHIFTED = "search: {shift: true, sampler: random, default: false, confirm: false}\nbudget: {trials: 12}\n"


def wanted(settings=SHIFTED, **options):
    return experiment(settings, ranges=RANGES, **options)


class Simulated:
    """A history that a policy decides about; the values are those of a test."""

    def __init__(self, space):
        self.space, self.policy = space, load(space)
        self.history = History(metric="val/loss", allowed_trials=space.budget.trials)
        self.now = 0.0

    def add(self, event, trial, **fields):
        self.now += 1.0
        self.history.add({"event": event, "trial": trial, "time": self.now, **fields})

    def ask(self):
        """The policy's next decision, recorded; the number of a new trial, or None."""
        decision = self.policy.next(self.history)
        if not isinstance(decision, New):
            return None
        number, internal = len(self.history.trials), self.space.space.internal(decision.params)
        config = self.space.config_at(decision.horizon, internal).model_dump(mode="json")
        said = {"params": decision.params, "internal": internal, "config": config, "label": decision.label}
        self.add("trial_asked", number, horizon=decision.horizon, of=decision.of, **said)
        return number

    def end(self, number, value, outcome=None, seconds=10.0):
        """Ends a trial."""
        usual = "short" if self.history.trials[number].horizon < 1 else "completed"
        evaluation = {"index": 1, "step": 1, "progress": 1.0, "metrics": {"val/loss": value}}
        self.add("evaluation", number, evaluation=evaluation)
        place = {"index": 1, "value": value, "step": 1}
        said = {"value": value, "best_evaluation": place, "seconds": seconds}
        self.add("trial_finished", number, outcome=outcome or usual, **said)

    def search(self, value, most=100):
        """Trains one trial after the other, with value(trial), until the policy has none left."""
        for _ in range(most):
            if (number := self.ask()) is None:
                return
            self.end(number, value(self.history.trials[number]))
        raise AssertionError("the search does not end")

    def horizons(self):
        """horizon -> the numbers of the trials that first tried the configs trained there."""
        found = {horizon: [] for horizon in HORIZONS}
        for trial in self.history.trials.values():
            found[trial.horizon].append(trial.number if trial.of is None else trial.of)
        return found


def by_rate(trial):
    """The value of a config: the nearer to 0.01, the better; longer trainings are better."""
    return abs(trial.params["learning_rate"] - 0.01) + 1 - 0.1 * trial.horizon


def test_the_best_third_of_each_horizon_is_trained_at_the_next_one():
    """In order of their values; the budget counts configs, and a whole training has the winner."""
    study = Simulated(wanted())
    study.search(by_rate)
    at = study.horizons()
    assert len(at[SHORT]) == study.history.configs == 12
    assert 4 <= len(at[MIDDLE]) <= 6
    assert 1 <= len(at[WHOLE]) <= 3
    assert set(at[WHOLE]) <= set(at[MIDDLE]) <= set(at[SHORT])
    first = {number: by_rate(study.history.trials[number]) for number in at[SHORT]}
    assert min(first, key=first.get) in at[WHOLE]
    leader = study.history.leader()
    assert leader.horizon == WHOLE
    assert leader.value == min(t.value for t in study.history.trials.values() if t.horizon == WHOLE)


def test_a_short_training_is_shifted_and_the_whole_one_is_not():
    """Params are those of the whole horizon; the config is what is trained."""
    study = Simulated(wanted())
    study.search(by_rate)
    for trial in study.history.trials.values():
        training = trial.config["training"]
        assert training["epochs"] == pytest.approx(4 * trial.horizon)
        if trial.horizon == 1:
            assert training["learning_rate"] == trial.params["learning_rate"]
            assert training["batch_size"] == trial.params["batch_size"]
        else:
            assert training["batch_size"] < trial.params["batch_size"]
            assert training["epochs"] < 4


def test_a_short_training_never_wins_beside_a_whole_one():
    """Even with a better value, as short trainings of large models or few data may have."""
    study = Simulated(wanted())
    study.search(lambda trial: by_rate(trial) + 5 * (trial.horizon == 1))
    assert study.history.leader().horizon == 1
    assert all(trial.horizon == 1 for trial in study.history.ranked())


def test_the_default_config_is_trained_at_the_whole_horizon_at_once():
    study = Simulated(wanted("search: {shift: true, sampler: random}\nbudget: {trials: 3}\n"))
    assert study.history.trials[study.ask()].horizon == WHOLE
    assert study.history.default().number == 0
    assert study.history.trials[study.ask()].horizon == SHORT


@pytest.mark.parametrize("outcome", ["diverged", "failed", "out_of_memory"])
def test_a_config_whose_short_training_fails_is_not_trained_longer(outcome):
    study = Simulated(wanted())
    for _ in range(5):
        number = study.ask()
        study.end(number, 0.0 if number == 2 else 1.0 + number, outcome=outcome if number == 2 else None)
    study.search(by_rate)
    assert 2 not in study.horizons()[MIDDLE]


@pytest.mark.parametrize("after", [5, 9, 14])
def test_a_policy_that_is_made_anew_decides_the_same(after):
    """As in a resumed study: a cache makes no difference."""
    undisturbed, resumed = Simulated(wanted()), Simulated(wanted())
    undisturbed.search(by_rate)
    for number in range(100):
        if number == after:
            resumed.policy = load(resumed.space)
        if (asked := resumed.ask()) is None:
            break
        resumed.end(asked, by_rate(resumed.history.trials[asked]))
    told = [[(t.params, t.horizon, t.of) for t in one.history.trials.values()] for one in (undisturbed, resumed)]
    assert told[0] == told[1]


@pytest.mark.parametrize("sampler", ["tpe", "curves", "qmc"])
def test_samplers_see_one_trial_for_each_config(sampler):
    study = Simulated(wanted(SHIFTED.replace("random", sampler)))
    study.search(by_rate)
    optuna_policy = study.policy.policy.policy
    seen = optuna_policy.proposals.study.get_trials(deepcopy=False)
    assert len(seen) == study.history.configs
    steps = [sorted(trial.intermediate_values) for trial in seen]
    assert all(found in ([1], [1, 3], [1, 3, 9]) for found in steps)
    assert [1, 3, 9] in steps


def test_trials_in_training_at_once_are_of_different_configs():
    """Four workers: no config is asked for twice."""
    study = Simulated(wanted())
    running = [study.ask() for _ in range(4)]
    for _ in range(60):
        if not (running := [number for number in running if number is not None]):
            break
        study.end(running[0], by_rate(study.history.trials[running[0]]))
        running = [*running[1:], study.ask()]
    keys = [(t.number if t.of is None else t.of, t.horizon) for t in study.history.trials.values()]
    assert len(keys) == len(set(keys))
    assert study.history.configs == 12


def test_when_the_hours_are_just_enough_the_best_config_is_trained_whole():
    """2 hours; a training at 1/27 takes 133 s, the whole one 3,467 s more: from 2,000 s on it must begin."""
    study = Simulated(wanted(SHIFTED.replace("trials: 12", "hours: 2")))
    for _ in range(3):
        study.end(study.ask(), 1.0 + study.now, seconds=400.0 / 3)
    study.history.searched = 1500.0
    assert study.policy.next(study.history).horizon == SHORT
    study.history.searched = 2900.0
    decision = study.policy.next(study.history)
    assert (decision.horizon, decision.of) == (WHOLE, 0)
    assert study.history.trials[study.ask()].horizon == WHOLE
    assert study.policy.next(study.history).horizon == SHORT  # one is enough


def test_device_hours_are_spent_by_all_gpus_of_a_trial():
    """The whole training takes 3,600 s, of two GPUs 7,200 device-seconds.

    Its promotion comes 1.5 times the rest of 3,467 s before the end, 10,400 device-seconds, whatever else is tried;
    without a policy that promotes, 1.2 times the whole of it, 8,640 device-seconds.
    """
    study = Simulated(wanted(SHIFTED.replace("trials: 12", "device_hours: 4")))
    for _ in range(3):
        number = study.ask()
        study.add("trial_started", number, attempt=1, device="cuda:0+1", threads=1, worker=0)
        study.end(number, 1.0 + study.now, seconds=400.0 / 3)
    alone = Horizons(study.space, Trying())
    for left, promoted, last in ENDS:
        study.history.devices.seconds = 14_400 - left
        assert (study.policy.next(study.history).horizon, alone.next(study.history).horizon) == (promoted, last)


ENDS = [(10_500, SHORT, SHORT), (10_300, WHOLE, SHORT), (8_700, WHOLE, SHORT), (8_600, WHOLE, WHOLE)]


class Trying:
    """A policy that tries one new config after the other at the shortest horizon."""

    def next(self, history):
        return New({"learning_rate": 0.01, "batch_size": 8}, until=place(SHORT))


def test_before_the_hours_end_a_config_that_may_win_is_trained_whole():
    """Also if the default config was: a training at 1/9 takes 400 s, so the whole one begins 4,800 s before the end."""
    study = Simulated(wanted("search: {shift: true, sampler: random, confirm: false}\nbudget: {hours: 3}\n"))
    study.end(study.ask(), 9.0, seconds=3600.0)
    while not study.horizons()[MIDDLE]:
        number = study.ask()
        study.end(number, 1.0 + number, seconds=3600 * study.history.trials[number].horizon)
    study.history.searched = 5000.0
    assert study.policy.next(study.history).horizon == SHORT
    study.history.searched = 6100.0
    assert study.policy.next(study.history).horizon == WHOLE


def test_a_config_that_diverged_whole_is_not_the_last_chance_again():
    study = Simulated(wanted(SHIFTED.replace("trials: 12", "hours: 2")))
    for _ in range(3):
        study.end(study.ask(), 1.0 + study.now, seconds=400.0 / 3)
    study.history.searched = 2900.0
    study.end(study.ask(), float("nan"), outcome="diverged")
    assert study.policy.next(study.history).of == 1


def test_without_any_whole_training_the_longest_short_one_is_the_winner():
    study = Simulated(wanted())
    for _ in range(6):
        study.end(study.ask(), 1.0 + study.now)
    found = [trial for trial in study.history.trials.values() if trial.horizon == MIDDLE]
    assert study.history.leader().number == found[0].number


def test_of_each_config_the_longest_training_is_the_one_that_counts():
    """What `search.stop` looks at: as many values as configs."""
    study = Simulated(wanted())
    study.search(by_rate)
    found = study.history.longest()
    assert len(found) == 12
    assert {t.number for t in found if t.horizon == 1} == {t.number for t in study.history.ranked()}


def test_trials_of_another_study_inform_by_their_final_values():
    """Their curves are those of a training, not values at horizons."""
    study = Simulated(wanted())
    curve = [[1, 5.0], [20, 4.0]]
    row = {"trial": 3, "internal": {"learning_rate": 0.01, "batch_size": 16}, "best_evaluation": None, "curve": curve}
    rows = [row | {"outcome": "completed", "value": 4.0}, row | {"outcome": "pruned", "value": None}]
    study.history.add({"event": "study_warmed", "time": 0.0, "study": "other", "first": [], "trials": rows})
    study.ask()
    seen = study.policy.policy.policy.proposals.study.get_trials(deepcopy=False)
    assert [(trial.value, trial.intermediate_values) for trial in seen[:-1]] == [(4.0, {})]


def test_an_end_to_end_search(tmp_path):
    """The toy trainer: short trainings end as such, and best.yaml is of the whole horizon."""
    study, _ = go(wanted(), tmp_path)
    found = study.history.trials.values()
    assert {trial.outcome for trial in found if trial.horizon < 1} == {Outcome.SHORT}
    assert study.history.configs == 12
    assert study.history.leader().horizon == 1
    assert study.history.leader().config["training"]["epochs"] == 4


@pytest.mark.parametrize("sampler", ["random", "curves"])
def test_a_search_that_is_killed_and_resumed_equals_the_undisturbed_one(tmp_path, sampler):
    """Killed again and again, a little later each time."""
    space = wanted(SHIFTED.replace("random", sampler))
    undisturbed, _ = go(space, tmp_path / "one")
    for number in range(100):
        killed, more = go(space, tmp_path / "other", kill_after=25 + 15 * number)
        if len(more) < 25 + 15 * number:
            break
    assert number > 2
    assert trials(killed) == trials(undisturbed)
    told = [[(t.horizon, t.of, t.config) for t in one.history.trials.values()] for one in (undisturbed, killed)]
    assert told[0] == told[1]


def test_the_policy_that_the_space_file_names():
    assert isinstance(load(wanted()), Horizons)
    assert not isinstance(load(wanted("budget: {trials: 2}\n")), Horizons)


@pytest.mark.parametrize("configs", [3, 5])
def test_a_study_too_small_for_a_promotion_trains_its_best_config_whole(configs):
    """Also beside a default config: the search's own best is to be compared with it."""
    search = "{shift: true, sampler: random, confirm: false}"
    study = Simulated(wanted(f"search: {search}\nbudget: {{trials: {configs}}}\n"))
    study.search(lambda trial: by_rate(trial) + (trial.label == "default"))
    best = min(study.horizons()[SHORT], key=lambda number: by_rate(study.history.trials[number]))
    assert study.horizons()[WHOLE] == [0, best]
    assert study.history.leader().of == best


def test_without_new_configs_the_best_one_climbs_from_horizon_to_horizon():
    """While others are in training still."""
    study = Simulated(wanted(SHIFTED.replace("12", "3")))
    first, second, _ = (study.ask() for _ in range(3))
    study.end(first, 2.0)
    study.end(second, 3.0)
    longer = study.ask()
    assert (study.history.trials[longer].of, study.history.trials[longer].horizon) == (first, MIDDLE)
    study.end(longer, 1.5)
    assert study.history.trials[study.ask()].horizon == WHOLE


def test_a_trial_is_named_with_its_horizon():
    study = Simulated(wanted())
    study.search(by_rate)
    names = {named(trial) for trial in study.history.trials.values()}
    first = study.horizons()[MIDDLE][0]
    assert "trial 0 (horizon 1/27)" in names
    assert any(name.endswith(f"(trial {first} at horizon 1/9)") for name in names)
    assert any(name.endswith("at the whole horizon)") for name in names)


def enqueue(study, number):
    """Enqueues the config of a trial, as the driver does; gives the trial of the policy's next decision."""
    internal = completed(study.space, study.history, study.history.trials[number].params)
    params = study.history.trials[number].params
    study.history.add({"event": ENQUEUED, "time": study.now, "id": str(number), "params": params, "internal": internal})
    return study.history.trials[study.ask()]


@pytest.mark.parametrize("configs", [5, 12])
def test_an_enqueued_config_that_was_tried_short_is_trained_whole(configs):
    """As the same config, also if the budget has no room for another one; the policy does not promote it again."""
    study = Simulated(wanted(SHIFTED.replace("12", str(configs))))
    study.policy = EnqueuedPolicy(study.policy, study.space)
    for _ in range(5):
        study.end(study.ask(), 1.0 + study.now)
    worst = 3
    assert not needs_room(study.space.space, study.history, study.history.trials[worst].internal)
    before = study.history.configs
    whole = enqueue(study, worst)
    assert (whole.of, whole.horizon, whole.label) == (worst, WHOLE, "enqueued")
    assert whole.params == study.history.trials[worst].params
    assert (study.history.configs, study.history.waiting()) == (before, [])
    with pytest.raises(UserError, match=rf"^trial {whole.number} has this config$"):
        completed(study.space, study.history, whole.params)
    study.end(whole.number, 0.5)
    study.search(by_rate)
    assert study.horizons()[WHOLE].count(worst) == 1
    assert worst not in study.horizons()[MIDDLE]


def test_a_config_that_is_enqueued_during_its_short_training_is_trained_whole_beside_it():
    study = Simulated(wanted())
    study.policy = EnqueuedPolicy(study.policy, study.space)
    study.end(study.ask(), 1.0)
    short = study.ask()
    whole = enqueue(study, short)
    assert (whole.of, whole.horizon) == (short, WHOLE)
    study.end(whole.number, 0.5)
    study.end(short, 2.0)
    study.search(by_rate)
    assert study.horizons()[WHOLE].count(short) == 1
    assert study.horizons()[SHORT].count(short) == 1
