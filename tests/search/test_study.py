"""The study: what its journal says is what its Optuna study is, however often it is opened."""

import math
import shutil
from dataclasses import replace

import optuna
import pytest

from hpsearch import journal
from hpsearch.errors import StudyMismatch
from hpsearch.events import Finished
from hpsearch.outcome import Outcome
from hpsearch.policies.optuna.proposals import WORST
from hpsearch.policies.policy import Judgement, New
from hpsearch.search.study import Study
from hpsearch.space.experiment import Experiment
from hpsearch.verdict import Verdict
from tests.searching import (
    FACTS,
    RANGES,
    ask,
    evaluation,
    experiment,
    go,
    judged,
    opened,
    optuna_trials,
    policy_of,
    trials,
)

NINE = "seed: 3\nbudget: {trials: 9}\n"
GRID = """
training:
  learning_rate: {choices: [1e-4, 3e-3, 1e-2]}
  epochs: {low: 2, high: 18, step: 4}
"""
CONDITIONAL = """
model:
  choices:
    - {n_layers: 2, dropout: {low: 0.0, high: 0.3}}
    - {n_layers: {low: 4, high: 8}, width: 64}
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
"""


def optuna_facts(study):
    return [(t.number, t.params, t.state, t.value, t.intermediate_values) for t in optuna_trials(study)]


def halving(name):
    return f"search: {{sampler: {name}, pruner: successive_halving}}\n"


def played(tmp_path, *losses, pruner="none", body="", train=None, name="home"):
    """A study with one trial that was told these losses; gives it with the last verdict."""
    study = opened(experiment(f"search: {{pruner: {pruner}}}\n{body}"), tmp_path / name)
    number = ask(study)
    study.start(number, device="cpu", threads=1, worker=0)
    for index, loss in enumerate(losses, start=1):
        judgement = judged(study, number, evaluation(index, loss, train=train(index) if train else None))
    return study, number, (judgement.verdict, judgement.reason)


# --------------------------------------------------------------------------------------------------------------- resume


def test_a_resumed_study_is_the_same_optuna_study(tmp_path):
    wanted = experiment(NINE + halving("tpe"))
    before, _ = go(wanted, tmp_path / "home", kill_after=68)
    again = opened(wanted, tmp_path / "home")
    assert len(before.unfinished()) == 1
    assert again.unfinished() == before.unfinished()
    assert optuna_facts(again) == optuna_facts(before)
    assert (
        policy_of(again).proposals.study.best_trial.number
        == policy_of(before).proposals.study.best_trial.number
        == before.history.best().number
    )
    assert rungs(again) == rungs(before)
    assert any(rungs(before))


@pytest.mark.parametrize("ranges", [RANGES, GRID, CONDITIONAL], ids=["ranges", "grid", "conditional"])
@pytest.mark.parametrize("pruner", ["none", "{name: median, startup_trials: 2}"])
def test_trials_that_are_put_back_whole_are_those_that_are_played_again(tmp_path, monkeypatch, pruner, ranges):
    """A resume takes the short way with trials that have ended; it must come to the very same study."""
    wanted = experiment(f"seed: 3\nbudget: {{trials: 12}}\nsearch: {{pruner: {pruner}}}\n", ranges=ranges)
    before, _ = go(wanted, tmp_path / "home", kill_after=120)
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    short = opened(wanted, tmp_path / "home")
    all_of(short)  # puts them back
    monkeypatch.setattr("hpsearch.policies.optuna.proposals.takes_notes", lambda pruner: True)
    long = opened(wanted, tmp_path / "copy")
    assert all_of(short) == all_of(long) == all_of(before)
    for study in (short, long):
        study.history.allowed_trials = 13
    assert ask(short) == ask(long)
    assert all_of(short) == all_of(long)
    for study in (short, long):
        study.journal.close()


def all_of(study):
    """The facts of its Optuna trials with their kinds and ranges."""
    ranges = [list(trial.distributions.items()) for trial in optuna_trials(study)]
    return repr((optuna_facts(study), ranges))


def rungs(study):
    """What successive halving has noted of each finished trial (a continued one is asked about again)."""
    finished = [t for t in optuna_trials(study) if t.state.is_finished()]
    return [{k: v for k, v in t.system_attrs.items() if k.startswith("completed_rung")} for t in finished]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The trials of a search that nothing stopped, and how many events it took, by (body, ranges)."""
    found = {}

    def search(*what):
        if what not in found:
            study, seen = go(experiment(what[0], **dict(what[1:])), tmp_path_factory.mktemp("undisturbed") / "home")
            found[what] = trials(study), len(seen)
        return found[what]

    return search


SAMPLERS = [
    pytest.param(NINE + halving("tpe"), (), id="tpe"),
    pytest.param(NINE + halving("tpe"), (("ranges", CONDITIONAL),), id="tpe-conditional"),
    pytest.param(NINE + halving("random"), (), id="random"),
    pytest.param(NINE + halving("qmc"), (), id="qmc"),
    pytest.param(NINE + halving("qmc"), (("ranges", CONDITIONAL),), id="qmc-conditional"),
    pytest.param(NINE + halving("grid"), (("ranges", GRID),), id="grid"),
    pytest.param(NINE + "search: {pruner: hyperband}\n", (), id="hyperband"),
    pytest.param(NINE + "search: {pruner: median}\n", (), id="median"),
    pytest.param("seed: 1\nbudget: {trials: 7}\n" + halving("gp"), (), id="gp", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("body", "options"), SAMPLERS)
@pytest.mark.parametrize(("way", "every"), [("kill_after", 6), ("stop_after", 13)])
def test_a_search_stopped_again_and_again_is_the_undisturbed_search(
    tmp_path, monkeypatch, undisturbed, body, options, way, every
):
    expected, _ = undisturbed(body, *options)
    monkeypatch.setenv("TOY_CHECKPOINT", "20" if every == 6 else "40")  # the checkpoint lies behind the journal
    wanted, rounds = experiment(body, **dict(options)), 0
    while True:
        study, seen = go(wanted, tmp_path / "home", **{way: every})
        rounds += 1
        if not seen:
            break
        assert rounds < 200
    assert rounds > 4
    assert trials(study) == expected
    assert len({str(params) for _, params, *_ in expected}) == len(expected)  # no two trials are alike


@pytest.mark.parametrize("stop", range(2, 33, 6))
def test_a_search_stopped_once_anywhere_is_the_undisturbed_search(tmp_path, undisturbed, stop):
    body = "seed: 3\nbudget: {trials: 4}\n" + halving("tpe")
    expected, events = undisturbed(body)
    assert events > 32
    go(experiment(body), tmp_path / "home", kill_after=stop)
    study, _ = go(experiment(body), tmp_path / "home")
    assert trials(study) == expected


def test_cmaes_begins_anew_around_the_best_trials_after_a_restart(tmp_path):
    # Its state is pickled by Optuna, which a journal must not hold: the trials after a restart are other ones.
    body = "seed: 3\nbudget: {trials: 18}\nsearch: {sampler: cmaes, pruner: none}\n"
    ranges = RANGES.replace("1e-4, high: 1e-1", "1e-3, high: 1e-2")  # so that few diverge
    ranges += "  batch_size: {choices: [8, 16]}\n  schedule: {choices: [wsd, cosine]}\n"
    wanted = experiment(body, ranges=ranges)
    before, _ = go(wanted, tmp_path / "home", kill_after=220)
    study, _ = go(wanted, tmp_path / "home")
    for part in (before, study):
        assert any("cma:generation" in t.system_attrs for t in optuna_trials(part))
    assert list(study.history.trials) == list(range(18))
    assert {t.outcome for t in study.history.trials.values()} <= {"completed", "overfit", "diverged"}
    assert len({str(t.params) for t in study.history.trials.values()}) == 18
    assert b"cma:" not in (tmp_path / "home" / "journal.jsonl").read_bytes()


def test_the_end_of_a_trial_is_on_the_disk_before_anyone_hears_of_it(tmp_path):
    folder = tmp_path / "home"
    wanted, finished = experiment("budget: {trials: 4}\n"), 0
    for stop in (15, 30, 45, 60, None):
        _, seen = go(wanted, folder, kill_after=stop)
        finished += sum(isinstance(event, Finished) for event in seen)
        if seen and isinstance(seen[-1], Finished):
            assert seen[-1].trial.outcome
    assert finished == 4


def test_finish_returns_when_the_file_has_it(tmp_path):
    study, number, _ = played(tmp_path, 3.0, 2.0)
    study.finish(number, Outcome.COMPLETED)
    on_disk = journal.read(study.journal.path)  # the journal is still open: nothing but the sync has written it
    assert (on_disk[-1]["event"], on_disk[-1]["trial"], on_disk[-1]["value"]) == ("trial_finished", number, 2.0)


# ------------------------------------------------------------------------------------------------------------- outcomes


def told(study, number):
    return optuna_trials(study)[number]


@pytest.mark.parametrize("outcome", ["completed", "overfit"])
def test_a_trial_counts_with_its_best_value_not_its_last(tmp_path, outcome):
    study, number, _ = played(tmp_path, 3.0, 2.0, 2.5)
    trial = study.finish(number, Outcome(outcome))
    assert (trial.state, trial.value, trial.best.index) == ("COMPLETE", 2.0, 2)
    assert (told(study, number).state, told(study, number).value) == (optuna.trial.TrialState.COMPLETE, 2.0)
    assert study.history.best().number == number


def test_a_maximised_objective_has_its_best_where_it_is_highest(tmp_path):
    data = "{reviews: {task: classification, dataset: 'python:a:b'}}"
    body = f"data: {data}\nobjective: {{metric: val/f1_macro}}\n"
    study = opened(experiment_of(body), tmp_path / "home")
    number = ask(study)
    for index, score in enumerate([0.2, 0.7, math.nan, 0.6], start=1):
        study.report(number, evaluation(index, 2.0, **{"val/f1_macro": score}))
    trial = study.finish(number, Outcome.COMPLETED)
    assert (trial.value, trial.best.index) == (0.7, 2)
    assert told(study, number).intermediate_values == {1: 0.2, 2: 0.7, 3: -WORST, 4: 0.6}


def experiment_of(body):
    return Experiment.loads("study: toy\n" + body + RANGES)


def test_an_evaluation_without_the_objective_is_not_held_against_a_trial(tmp_path):
    data = "{pairs: {task: translation, dataset: 'python:a:b'}}"
    body = f"data: {data}\nobjective: {{metric: val/bleu}}\nsearch: {{pruner: successive_halving}}\n"
    study = opened(experiment_of(body), tmp_path / "home")
    for _ in range(3):  # BLEU at every fourth evaluation only; all trials do equally well
        number = ask(study)
        for index in range(1, 13):
            scores = {"val/bleu": 10.0 * index + number} if index % 4 == 0 else {}
            assert judged(study, number, evaluation(index, 2.0, **scores)) == Judgement()
        assert sorted(told(study, number).intermediate_values) == [4, 8, 12]


def test_a_pruned_trial_is_pruned_in_optuna_too(tmp_path):
    study = opened(experiment("search: {pruner: {name: median, startup_trials: 1}}\n"), tmp_path / "home")
    first = ask(study)
    for index in range(1, 21):
        study.report(first, evaluation(index, 3.0 - index / 20))
    study.finish(first, Outcome.COMPLETED)
    second = ask(study)
    judgement = judged(study, second, evaluation(1, 3.5))
    assert judgement.verdict is Verdict.PRUNE
    assert "behind the other trials" in judgement.reason
    trial = study.finish(second, Outcome.PRUNED, judgement.reason)
    assert (trial.state, trial.value) == ("PRUNED", 3.5)
    assert told(study, second).state is optuna.trial.TrialState.PRUNED
    assert study.history.best().number == first


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_never_told_and_never_wins(tmp_path, loss):
    study, number, verdict = played(tmp_path, 3.0, 2.0, loss)
    assert verdict[0] is Verdict.DIVERGED
    trial = study.finish(number, Outcome.DIVERGED, verdict[1])
    assert (trial.state, trial.outcome) == ("PRUNED", "diverged")
    assert all(math.isfinite(v) for v in told(study, number).intermediate_values.values())
    assert told(study, number).intermediate_values[3] == WORST
    assert study.history.best() is None
    study.journal.close()
    again = optuna_facts(opened(study.experiment, tmp_path / "home"))
    assert again == optuna_facts(study)


@pytest.mark.parametrize(("outcome", "state"), [("failed", "FAIL"), ("out_of_memory", "PRUNED")])
def test_failures_and_exhausted_memory_have_their_states(tmp_path, outcome, state):
    study, number, _ = played(tmp_path, 3.0)
    assert study.finish(number, Outcome(outcome), "why").state == state
    assert told(study, number).state.name == state
    assert study.history.best() is None


def test_a_training_that_never_measured_a_number_has_failed(tmp_path):
    study, number, _ = played(tmp_path, math.nan)
    trial = study.finish(number, Outcome.COMPLETED)
    assert (trial.outcome, trial.state, trial.value) == ("failed", "FAIL", None)
    assert "no finite val/loss" in trial.reason


def test_a_trial_that_ends_without_any_evaluation_can_be_rebuilt(tmp_path):
    study = opened(experiment(), tmp_path / "home")
    for outcome in ("failed", "out_of_memory"):
        study.finish(ask(study), Outcome(outcome), "at once")
    study.journal.close()
    assert optuna_facts(opened(experiment(), tmp_path / "home")) == optuna_facts(study)


def test_an_overfitting_trial_is_told_to_finish(tmp_path):
    losses = [4.0, 3.4, 3.0, 2.75, 2.6, 2.55, 2.6, 2.75, 3.0, 3.4]
    _, _, (verdict, reason) = played(tmp_path, *losses, train=lambda index: 4.0 - 0.3 * index)
    assert verdict is Verdict.OVERFIT
    assert "its best 2.550 (evaluation 6)" in reason


def test_the_same_evaluation_twice_is_written_once_and_judged_twice(tmp_path):
    study, number, _ = played(tmp_path, 3.0, math.nan)
    study.journal.sync()
    before = study.journal.path.read_bytes()
    assert judged(study, number, evaluation(2, math.nan)).verdict is Verdict.DIVERGED
    study.journal.sync()
    assert study.journal.path.read_bytes() == before


# ------------------------------------------------------------------------------------------------------------- identity


def test_another_space_is_refused_with_what_differs(tmp_path):
    body = "seed: 1\nbudget: {trials: 2}\nmodel: {width: 64}\n"
    go(experiment(body), tmp_path / "home")
    path = tmp_path / "home" / "journal.jsonl"
    before = path.read_bytes()
    other = experiment(
        "seed: 2\nbudget: {trials: 2}\nmodel: {width: 128}\n",
        ranges="""
        training:
          learning_rate: {low: 1e-4, high: 1e-2, log: true}
          epochs: {low: 1, high: 12}
        """,
    )
    with pytest.raises(StudyMismatch) as caught:
        Study.open(other, tmp_path / "home", {**FACTS, "fingerprint": "0" * 64})
    lines = str(caught.value).splitlines()
    assert "another space or other data" in lines[0]
    assert sorted(line.strip() for line in lines[1:]) == [
        "model.width: 64 -> 128",
        "seed: 1 -> 2",
        "training.learning_rate: {low: 0.0001, high: 0.1, log: true} -> {low: 0.0001, high: 0.01, log: true}",
    ]
    assert path.read_bytes() == before


def test_budget_pruner_sampler_and_workers_may_change(tmp_path):
    go(experiment("budget: {trials: 2}\n"), tmp_path / "home")
    other = "budget: {trials: 3, hours: 1}\nsearch: {pruner: median, sampler: random}\nresources: {workers: 3}\n"
    study, _ = go(experiment(other), tmp_path / "home")
    assert [t.outcome is not None for t in study.history.trials.values()] == [True] * 3


def test_a_repeat_names_the_params_that_it_trains(tmp_path):
    """Its trial sampled 6 epochs, and cooled down to end after 2: these are trained again, with another seed."""
    study = opened(experiment(ranges="training: {learning_rate: 1e-3, epochs: {low: 1, high: 8}}"), tmp_path / "s")
    number = study.accept(New({"epochs": 6.0}, seed=1))
    study.start(number, device="cpu", threads=1, worker=0)
    study.report(number, evaluation(1, 3.0))
    study.report(number, replace(evaluation(1, 2.5), branch={"training": {"epochs": 2.0}}))
    trial = study.finish(number, Outcome.COMPLETED)
    repeat = study.history.repeats[study.accept(New({"epochs": 6.0}, seed=2, repeats=number))]
    assert (trial.params, trial.trained_params, repeat.params) == ({"epochs": 6.0}, {"epochs": 2.0}, {"epochs": 2.0})
    assert repeat.config["training"]["epochs"] == 2.0
    study.journal.close()
