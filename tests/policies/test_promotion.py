"""Promotion: who pauses, who resumes, and how it ends. Histories are made of events; searches run the toy trainer."""

import pytest

from hpsearch.journal.history import History
from hpsearch.outcome import Outcome
from hpsearch.policies.policy import GoOn, New, Nothing
from hpsearch.policies.promotion import FEWEST_PROBED, PROBES, Promotion
from hpsearch.space.budget import Budget
from hpsearch.space.search import Confirm, Search
from tests.searching import evaluation, experiment, go, losses, opened, policy_of, trials

PROMOTION = "search: {{pruner: promotion, sampler: {}, overfitting: false}}\nbudget: {{trials: {}}}\n"
OURS = Search.model_validate({"pruner": "promotion"}).pruner


def promotion(evaluations=20, **options):
    pruner = Search.model_validate({"pruner": {"name": "promotion", **options}}).pruner
    return Promotion(pruner, evaluations=evaluations)


def history(curves, *, ended=(), pruned=(), allowed=None, direction="minimize", evaluations=20):
    """Trials with these values at evaluations 1, 2, ...; each is paused unless it has ended or has no value."""
    found = History(direction=direction)
    found.allowed_trials = allowed
    for number, values in enumerate(curves):
        found.add({"event": "trial_asked", "trial": number, "time": 0.0, "config": {"a": 1}})
        for index, value in enumerate(values, start=1):
            seen = {"index": index, "step": index, "progress": index / evaluations, "metrics": {"val/loss": value}}
            found.add({"event": "evaluation", "trial": number, "time": 0.0, "evaluation": seen})
        if number in ended:
            best = min(values)
            found.add({"event": "trial_finished", "trial": number, "time": 0.0, "outcome": "completed", "value": best})
        elif number in pruned:
            found.add({"event": "trial_finished", "trial": number, "time": 0.0, "outcome": "pruned"})
        elif values:
            found.add({"event": "trial_paused", "trial": number, "time": 0.0, "evaluation": len(values)})
    return found


def flat(*values, until=1):
    return [[value] * until for value in values]


def plain(**options):
    """Promotion from the first evaluation, without probes."""
    return promotion(min_resource=1, **options)


def later():
    """A history of more trials than there are probes, which say nothing."""
    return history([[]] * PROBES)


def test_a_new_trial_pauses_at_the_first_rung():
    assert promotion(20).first(later()) == 1
    assert promotion(100).first(later()) == 3
    assert promotion(20, min_resource=4).first(History()) == 4
    assert promotion(1).first(History()) is None


@pytest.mark.parametrize(("warmup", "until"), [(0.0, 1), (0.04, 1), (0.05, 3), (0.2, 9), (0.5, None)])
def test_no_trial_pauses_in_its_warmup(warmup, until):
    """Evaluation 1 of 20 is at the end of a warm-up of 0.05. The user's own first rung stays."""
    options = {"evaluations": 20, "warmup": warmup}
    assert Promotion(OURS, **options).first(later()) == until
    own = Search.model_validate({"pruner": {"name": "promotion", "min_resource": 2}}).pruner
    assert Promotion(own, **options).first(later()) == 2


def test_where_a_warmup_is_known_there_are_no_probes():
    assert Promotion(OURS, evaluations=20, warmup=0.05).first(History()) == 3
    assert Promotion(OURS, evaluations=100, warmup=0.01).first(History()) == 3
    assert Promotion(OURS, evaluations=100).first(History()) == 9  # a probe


def test_the_best_third_of_a_rung_resumes_to_the_next_one():
    assert plain().next(history(flat(3.0, 1.0, 2.0, 4.0))) == GoOn(1, until=3)
    rest = history([[3.0], [1.0, 1.0, 1.0], [2.0], [4.0]])
    assert plain().next(rest) is None  # one of four; it has resumed
    assert plain().next(history([[3.0], [1.0, 1.0, 1.0], [2.0], [4.0], [5.0], [6.0]])) == GoOn(2, until=3)


@pytest.mark.parametrize(("count", "resumes"), [(1, False), (3, False), (4, True)])
def test_no_trial_resumes_before_a_rung_holds_four(count, resumes):
    assert (plain().next(history(flat(*map(float, range(count))))) is not None) is resumes


def test_at_most_half_of_a_rung_resume():
    """However many trials have stood in the best third of those before them; the probes are not counted."""
    probes = [[9.0 + 0.1 * i] * 9 for i in range(PROBES)]
    resumed, waiting = [[4.0 - 0.1 * i] * 9 for i in range(3)], flat(3.0, 5.0, 6.0)
    ended = range(PROBES + 3)
    assert promotion().next(history([*probes, *resumed, *waiting], ended=ended)) is None  # three of six
    found = promotion().next(history([*probes, *resumed, *waiting, [7.0]], ended=ended))  # three of seven
    assert found == GoOn(PROBES + 3, until=3)


def test_the_first_trials_probe_the_first_rung():
    assert promotion().first(History()) == 3
    assert promotion().first(history([[1.0, 1.0, 1.0]] * (PROBES - 1))) == 3
    assert promotion(min_resource=1).first(History()) == 1  # the user's choice
    assert promotion(2).first(History()) == 1  # there is no second one


@pytest.mark.parametrize(("sign", "until"), [(1.0, 1), (-1.0, 3)])
def test_no_trial_pauses_at_a_rung_that_misleads(sign, until):
    """If the first evaluation prefers what the third one does not, the third is the first rung."""
    probes = [[float(i), 0.0, sign * i] for i in range(PROBES)]
    assert promotion().first(history(probes)) == until
    begun = history([*probes, [2.0]])  # by a second worker, before the probes had come far enough
    assert promotion().next(begun) == (GoOn(0, until=9) if sign > 0 else GoOn(PROBES, until=3))


def test_a_first_rung_that_ranks_as_the_second_one_decides_for_both():
    """The best ninth of all trials, in place of the best third."""
    alike = [[9.0 + 0.1 * i] * 9 for i in range(PROBES)]
    nearly = [[*curve[:2], curve[2] + (0.65 if i == 0 else 0.0)] for i, curve in enumerate(alike)]  # 0.75
    waiting = flat(*(1.0 + 0.1 * i for i in range(8)))
    for probes, many in ((alike, 2), (nearly, 6)):
        found = history([*probes, *waiting], ended=range(PROBES))
        resumed = []
        while (decision := promotion().next(found)) is not None:
            resumed.append(decision.trial)
            found.add({"event": "trial_resumed", "trial": decision.trial, "time": 0.0, "until": decision.until})
        assert resumed == list(range(PROBES, PROBES + min(many, 4)))  # half of the eight at most


def test_a_few_probes_decide_nothing():
    probes = [[float(i), 0.0, -float(i)] for i in range(FEWEST_PROBED - 1)]
    assert promotion().first(history(probes + [[]] * PROBES)) == 1


def test_the_highest_rung_comes_first_and_the_last_leads_to_the_end():
    curves = flat(1.0, 2.0, 3.0, 4.0, until=9) + flat(0.1, 0.2, 0.3, 5.0)
    assert promotion().next(history(curves)) == GoOn(0, until=None)


def test_the_larger_value_is_better_if_the_objective_is_maximized():
    assert plain().next(history(flat(3.0, 1.0, 2.0, 4.0), direction="maximize")) == GoOn(3, until=3)


def test_values_that_are_not_finite_are_never_the_best():
    assert plain().next(history(flat(float("nan"), float("inf"), 9.0, 8.0))) == GoOn(3, until=3)


def test_a_trial_in_training_is_not_resumed():
    """Nor is another one in its place: the best third is in training already."""
    found = history(flat(3.0, 1.0, 2.0, 4.0))
    found.add({"event": "trial_resumed", "trial": 1, "time": 0.0, "until": 3})
    assert plain().next(found) is None


def test_the_factor_is_an_option():
    assert plain(reduction_factor=2).next(history(flat(3.0, 1.0, 2.0, 4.0))) == GoOn(1, until=2)
    assert plain(reduction_factor=5).next(history(flat(3.0, 1.0, 2.0, 4.0))) is None


def test_rungs_follow_from_the_first_evaluation_if_the_length_of_a_training_is_unknown():
    unknown = promotion(None)
    assert unknown.first(History()) is None
    found = history(flat(3.0, 1.0, 2.0, 4.0), evaluations=100)
    assert unknown.first(found) == 9
    assert unknown.next(found) == GoOn(0, until=3)  # it paused between rungs


def test_without_a_new_trial_the_best_prediction_is_trained_out():
    curves = flat(3.0, 1.0, 2.0)
    assert promotion().next(history(curves, allowed=5)) is None
    assert promotion().next(history(curves, allowed=3)) == GoOn(1, until=3)


def test_what_cannot_win_stays_paused():
    """Trial 1 is trained out; what the others promise is worse."""
    curves = [[3.0], [1.0] * 20, [2.0]]
    assert promotion().next(history(curves, ended=(1,), allowed=3)) is None
    better = [[0.5], [1.0] * 20, [2.0]]
    assert promotion().next(history(better, ended=(1,), allowed=3)) == GoOn(0, until=3)


def test_as_many_are_trained_out_as_a_confirmation_compares():
    curves = [[3.0], [1.0] * 20, [2.0]]
    found = history(curves, ended=(1,), allowed=3)
    two = Promotion(OURS, evaluations=20, confirm=Confirm(top=2))
    assert two.next(found) == GoOn(2, until=3)
    found.add({"event": "trial_resumed", "trial": 2, "time": 0.0, "until": 3})
    assert two.next(found) is None  # it is in training


def arrived(value, others, *, until=1):
    """A trial with this value at the rung of other paused trials."""
    found = history([*([other] for other in others), []])
    found.add({"event": "trial_asked", "trial": len(others), "time": 0.0, "until": until})
    seen = {"index": 1, "step": 1, "progress": 0.05, "metrics": {"val/loss": value}}
    found.add({"event": "evaluation", "trial": len(others), "time": 0.0, "evaluation": seen})
    return found, found.trials[len(others)]


@pytest.mark.parametrize(
    ("value", "count", "until", "ends"),
    [
        (4.5, 8, 1, True),  # five of eight are better
        (3.5, 8, 1, False),  # four are
        (9.0, 7, 1, False),  # too few to tell
        (9.0, 8, 3, False),  # it passes this rung
        (9.0, 8, None, False),  # it is to be trained out
        (float("nan"), 8, 1, True),
    ],
)
def test_a_trial_in_the_worse_half_of_its_rung_ends_there(value, count, until, ends):
    found, trial = arrived(value, [float(i) for i in range(count)], until=until)
    assert plain().gives_up(found, trial) is ends


def test_a_trial_that_ended_at_its_rung_is_compared_and_has_not_resumed():
    """Half of six trials may have resumed: of these none has."""
    curves = flat(1.0, 2.0, 3.0, 7.0, 8.0, 9.0)
    assert plain().next(history(curves, pruned=(3, 4, 5))) == GoOn(0, until=3)


@pytest.mark.parametrize(("seconds", "ends"), [(1000.0, None), (30.0, GoOn(1, until=None))])
def test_before_the_hours_are_over_the_best_one_is_trained_out(seconds, ends):
    """Its rest takes 19 s, at its pace so far: one evaluation took 1 s."""
    found = History()
    found.add({"event": "driver_started", "time": 0.0})
    for number, value in enumerate((3.0, 1.0, 2.0)):
        found.add({"event": "trial_asked", "trial": number, "time": 1.0, "config": {"a": 1}})
        seen = {"index": 1, "step": 1, "progress": 0.05, "seconds": 1.0, "metrics": {"val/loss": value}}
        found.add({"event": "evaluation", "trial": number, "time": 2.0, "evaluation": seen})
        found.add({"event": "trial_paused", "trial": number, "time": 3.0, "evaluation": 1})
    budget = Budget(hours=seconds / 3600)
    assert Promotion(OURS, evaluations=20, budget=budget).next(found) == ends


@pytest.mark.parametrize(("left", "ends"), [(60.0, None), (56.0, GoOn(1, until=None))])
def test_a_trial_of_two_gpus_spends_device_hours_twice_as_fast(left, ends):
    """Its rest takes 19 s; it resumes 28.5 s before the end: 57 device-seconds, though no trial holds a device now."""
    found = History()
    found.add({"event": "driver_started", "time": 0.0, "workers": 1})
    for number, value in enumerate((3.0, 1.0, 2.0)):
        about = {"trial": number, "attempt": 1}
        found.add({"event": "trial_asked", "trial": number, "time": number, "config": {"a": 1}})
        found.add({"event": "trial_started", **about, "time": number, "device": "cuda:0+1", "threads": 1, "worker": 0})
        seen = {"index": 1, "step": 1, "progress": 0.05, "seconds": 1.0, "metrics": {"val/loss": value}}
        found.add({"event": "evaluation", **about, "time": number + 1.0, "evaluation": seen})
        found.add({"event": "trial_paused", **about, "time": number + 1.0, "evaluation": 1})
    assert found.device_seconds == 6.0
    budget = Budget(device_hours=(6.0 + left) / 3600)
    assert Promotion(OURS, evaluations=20, budget=budget).next(found) == ends


@pytest.mark.parametrize(("left", "ends"), [(29.0, None), (28.0, GoOn(1, until=None))])
def test_what_the_confirmation_takes_is_shared_by_workers_and_not_by_gpus(left, ends):
    """Four repeats of 100 s on two workers of two GPUs each take 200 s, with the margin of a tenth 220 s."""
    found = History()
    found.add({"event": "driver_started", "time": 0.0, "workers": 2})
    for number, device in enumerate(("cuda:0+1", "cuda:0+1", "cuda:0+1", "cuda:2+3")):
        place = {"device": device, "threads": 1, "worker": int(device == "cuda:2+3")}
        found.add({"event": "trial_asked", "trial": number, "time": 1.0, "config": {"a": 1}})
        found.add({"event": "trial_started", "trial": number, "attempt": 1, "time": 2.0, **place})
        if number > 1:
            continue  # in training, without an evaluation
        seen = {"index": 1, "step": 1, "progress": 0.05, "seconds": 1.0, "metrics": {"val/loss": 9.0 - 8 * number}}
        found.add({"event": "evaluation", "trial": number, "time": 3.0, "evaluation": seen})
        if number == 0:
            ended = {"outcome": "completed", "value": 9.0, "seconds": 100.0}
            found.add({"event": "trial_finished", "trial": number, "time": 10.0, **ended})
        else:
            found.add({"event": "trial_paused", "trial": number, "time": 10.0, "evaluation": 1})
    assert (found.devices.held, found.workers) == (4, 2)
    budget, confirm = Budget(hours=(10.0 + 220.0 + left) / 3600), Confirm(top=1, seeds=4)
    assert Promotion(OURS, evaluations=20, budget=budget, confirm=confirm).next(found) == ends


def test_the_others_wait_while_the_best_one_is_in_training():
    found = history(flat(3.0, 1.0, 2.0), allowed=3)
    found.add({"event": "trial_resumed", "trial": 1, "time": 0.0, "until": 3})
    assert promotion().next(found) is None


# ------------------------------------------------------------------------------------------------------------ searches


@pytest.mark.parametrize("sampler", ["curves", "random", "tpe", "qmc"])
def test_a_search_promotes_the_best_and_ends_with_a_winner(tmp_path, sampler):
    study, _ = go(experiment(PROMOTION.format(sampler, 24)), tmp_path / "home")
    found = study.history.trials.values()
    assert len(found) == 24
    lengths = [len(trial.evaluations) for trial in found]
    assert {3, 9, 20} <= set(lengths)
    assert not {1, 2} & set(lengths)  # the warm-up
    short = [trial for trial in found if len(trial.evaluations) < 20]
    assert all(trial.paused or trial.outcome in (Outcome.DIVERGED, Outcome.PRUNED) for trial in short)
    assert len(study.history.ranked()) >= 3  # for the confirmation
    assert study.history.best() is not None
    assert study.history.leader().number == study.history.best().number  # no paused trial is better


def test_a_promoted_trial_keeps_its_number_and_its_curve(tmp_path):
    """Each evaluation is measured once: none is trained again."""
    study, _ = go(experiment(PROMOTION.format("random", 8)), tmp_path / "home")
    for trial in study.history.trials.values():
        assert sorted(trial.evaluations) == list(range(1, len(trial.evaluations) + 1))
    straight, _ = go(experiment(PROMOTION.format("random", 8).replace("promotion", "none")), tmp_path / "straight")
    for number, trial in study.history.trials.items():
        whole = losses(straight.history.trials[number])
        assert losses(trial) == {index: whole[index] for index in trial.evaluations}


@pytest.mark.parametrize("stop_after", [5, 17, 31])
def test_a_search_that_is_killed_and_resumed_ends_as_an_undisturbed_one(tmp_path, stop_after):
    wanted = experiment(PROMOTION.format("curves", 20))
    whole, _ = go(wanted, tmp_path / "whole")
    go(wanted, tmp_path / "parts", kill_after=stop_after)
    parts, _ = go(wanted, tmp_path / "parts")
    assert trials(parts) == trials(whole)


@pytest.mark.parametrize("pruner", ["promotion", "successive_halving"])
def test_the_same_history_has_the_same_answer_in_a_new_process(tmp_path, pruner):
    """After each event of a search: a policy that was there from the start, and one that reads the history."""
    wanted = experiment(PROMOTION.format("curves", 20).replace("pruner: promotion", f"pruner: {pruner}"))
    study, answers = opened(wanted, tmp_path / "home"), []
    for _ in range(60):
        decision = policy_of(study).next(study.history)
        again = type(policy_of(study))(wanted).next(study.history)
        assert again == decision
        answers.append(type(decision))
        if isinstance(decision, Nothing):
            break
        if isinstance(decision, New):
            number = study.accept(decision)
        else:
            number = decision.trial
            study.resume(number, until=decision.until)
        trial = study.history.trials[number]
        study.start(number, device="cpu", threads=1, worker=0)
        for index in range(max(trial.evaluations, default=0) + 1, 21):
            study.report(number, evaluation(index, 1.0 + abs(trial.params["epochs"] - 5) + 1.0 / index))
            policy_of(study).judge(study.history, trial)
            if index == trial.until:
                study.pause(number, "", saved=True)
                break
        else:
            study.finish(number, Outcome.COMPLETED)
    assert New in answers
    study.journal.close()


@pytest.mark.parametrize(("sampler", "count"), [("curves", 20), ("tpe", 14)])
def test_a_proposal_that_was_not_accepted_is_made_anew_once_more_is_known(tmp_path, sampler, count):
    """The search asks whether there is a trial before a worker is ready; meanwhile others report."""
    wanted = experiment(PROMOTION.format(sampler, 40).replace("promotion", "none"))
    study = opened(wanted, tmp_path / "home")
    for _ in range(count):
        number = study.accept(policy_of(study).next(study.history))
        study.start(number, device="cpu", threads=1, worker=0)
        study.report(number, evaluation(1, 2.0 + number % 3))
    before = policy_of(study).next(study.history)
    for number in range(count):
        for index in range(2, 21):
            study.report(number, evaluation(index, 1.0 + abs(study.history.trials[number].params["epochs"] - 9)))
        study.finish(number, Outcome.COMPLETED)
    after = policy_of(study).next(study.history)
    assert after == type(policy_of(study))(wanted).next(study.history)
    assert after != before
    assert study.accept(after) == count
    assert policy_of(study).next(study.history) == type(policy_of(study))(wanted).next(study.history)
    study.journal.close()
