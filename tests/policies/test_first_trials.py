"""The default config is trial 0, known-good configs follow, then the policy decides, with every sampler."""

import pytest

from hpsearch.journal.history import History
from hpsearch.policies.first_trials import FirstTrials
from hpsearch.policies.loading import load
from hpsearch.policies.policy import GoOn, Judgement, New, Nothing
from hpsearch.search.study import read_history
from tests.searching import experiment, go, losses, opened, trials

CONDITIONAL = """
model:
  choices:
    - {n_layers: {low: 1, high: 3}}
    - {n_layers: {low: 4, high: 8}, width: 64}
training:
  learning_rate: {low: 1e-4, high: 1e-2, log: true}
  batch_size: {choices: [8, 16, 32]}
"""
GRID = "training:\n  epochs: {low: 1, high: 3, step: 1}\n  batch_size: {choices: [8, 16]}\n"
FIRST = "first: [{learning_rate: 5e-4}, {epochs: 2, learning_rate: 7e-4}]"


def labels(study):
    return [trial.label for trial in study.history.trials.values()]


class Later:
    """A policy that resumes trial 7."""

    def next(self, history):
        return GoOn(7)

    def judge(self, history, trial):
        return Judgement()


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "qmc", "cmaes"])
@pytest.mark.parametrize("ranges", [None, CONDITIONAL], ids=["plain", "conditional"])
def test_every_sampler_goes_on_after_the_default_config(tmp_path, sampler, ranges):
    options = {} if ranges is None else {"ranges": ranges}
    first = "[{learning_rate: 5e-4}]"
    body = f"budget: {{trials: 7}}\nsearch: {{sampler: {sampler}, pruner: none, overfitting: false, first: {first}}}\n"
    wanted = experiment(body, **options)
    study, _ = go(wanted, tmp_path / "toy")
    assert labels(study) == ["default", "first", "", "", "", "", ""]
    found = study.history.trials
    assert found[0].internal == wanted.default(study.history.origin.data["sets"]).internal
    assert found[1].params == {**found[0].params, "learning_rate": 5e-4}
    assert len({str(trial.params) for trial in found.values()}) == 7


def test_a_grid_is_searched_completely_and_nothing_twice(tmp_path):
    study, _ = go(experiment("budget: {trials: 20}\nsearch: {sampler: grid}\n", ranges=GRID), tmp_path / "toy")
    configs = [str(trial.params) for trial in study.history.trials.values()]
    assert len(configs) == len(set(configs)) == 6
    assert labels(study)[0] == "default"


@pytest.mark.parametrize("kill_after", [1, 3, 9, 30, 60, 100])
def test_a_killed_study_proposes_what_an_undisturbed_one_does(tmp_path, kill_after):
    wanted = experiment(f"budget: {{trials: 6}}\nsearch: {{{FIRST}}}\n")
    whole, _ = go(wanted, tmp_path / "whole")
    go(wanted, tmp_path / "killed", kill_after=kill_after)
    resumed, _ = go(wanted, tmp_path / "killed")
    assert trials(resumed) == trials(whole)
    assert labels(resumed) == labels(whole) == ["default", "first", "first", "", "", ""]


def test_the_same_history_has_the_same_answer(tmp_path):
    wanted = experiment(f"budget: {{trials: 6}}\nsearch: {{{FIRST}}}\n")
    study = opened(wanted, tmp_path / "toy")
    policy = load(wanted)
    for number in range(4):
        decision = policy.next(study.history)
        assert policy.next(study.history) == decision == load(wanted).next(study.history)
        assert study.accept(decision) == number
    study.journal.close()
    assert [trial.label for trial in read_history(tmp_path / "toy").trials.values()] == [
        "default",
        "first",
        "first",
        "",
    ]


def test_it_can_be_switched_off(tmp_path):
    body = "budget: {trials: 3}\nsearch: {default: false}\n"
    study, _ = go(experiment(body), tmp_path / "toy")
    assert labels(study) == ["", "", ""]
    only_first, _ = go(experiment(f"budget: {{trials: 3}}\nsearch: {{default: false, {FIRST}}}\n"), tmp_path / "first")
    assert labels(only_first) == ["first", "first", ""]


def test_a_config_that_is_the_default_one_is_tried_once(tmp_path):
    sets = {"text": {"train": {"examples": 1, "tokens": 400}}}
    wanted = experiment()
    rate = wanted.space.values(wanted.default(sets).internal)["learning_rate"]
    first = f"first: [{{learning_rate: {rate}}}, {{epochs: 2}}, {{epochs: 2.0}}]"
    wanted = experiment(f"budget: {{trials: 4}}\nsearch: {{{first}}}\n")
    begun = opened(wanted, tmp_path / "toy")
    said = [line.partition(": ")[2] for line in load(wanted).repeated(begun.history)]
    begun.journal.close()
    assert said == [
        "search.first[1] is not tried: trial 0, the default config, is the same training",
        "search.first[3] is not tried: search.first[2] is the same training",
    ]
    study, _ = go(wanted, tmp_path / "toy")
    assert labels(study) == ["default", "first", "", ""]
    again = load(wanted).repeated(study.history)
    assert [line.partition(": ")[2] for line in again] == [said[0].replace(", the default config,", ""), said[1]]
    assert again[0].startswith("./space.yaml:4:")


def test_configs_added_later_are_tried_next(tmp_path):
    go(experiment("budget: {trials: 3}\n"), tmp_path / "toy")
    study, _ = go(experiment(f"budget: {{trials: 6}}\nsearch: {{{FIRST}}}\n"), tmp_path / "toy")
    assert labels(study) == ["default", "", "", "first", "first", ""]


def test_a_study_that_began_without_a_default_config_gets_none(tmp_path):
    go(experiment("budget: {trials: 2}\nsearch: {default: false}\n"), tmp_path / "toy")
    study, _ = go(experiment("budget: {trials: 4}\n"), tmp_path / "toy")
    assert labels(study) == ["", "", "", ""]
    assert study.history.default() is None


def test_a_space_of_one_config_has_one_trial(tmp_path):
    study, _ = go(experiment("budget: {trials: 3}\n", ranges="training: {epochs: 2}\n"), tmp_path / "toy")
    assert labels(study) == ["default"]


def test_the_budget_counts_them(tmp_path):
    wanted = experiment(f"budget: {{trials: 2}}\nsearch: {{{FIRST}}}\n")
    study, _ = go(wanted, tmp_path / "toy")
    assert labels(study) == ["default", "first"]
    assert isinstance(load(wanted).next(study.history), Nothing)


def test_after_them_another_policy_decides(tmp_path):
    study, _ = go(experiment("budget: {trials: 1}\n"), tmp_path / "toy")
    study.history.allowed_trials = 9
    policy = FirstTrials(experiment(), Later())
    assert policy.next(study.history) == GoOn(7)
    assert policy.judge(study.history, study.history.trials[0]) == Judgement()
    first = policy.next(History())
    assert isinstance(first, New)
    assert first.label == "default"


def test_damaged_lines_of_a_trial_cost_its_label_not_the_study(tmp_path):
    go(experiment("budget: {trials: 2}\n"), tmp_path / "toy")
    path = tmp_path / "toy" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    asked = next(i for i, line in enumerate(lines) if b'"trial_asked"' in line)
    lines[asked] = lines[asked].replace(b"learning_rate", b"learning_rat3")
    path.write_bytes(b"".join(lines))
    study, _ = go(experiment("budget: {trials: 3}\n"), tmp_path / "toy")
    assert labels(study) == ["default", "", ""]  # the line of its start repeats the label
    assert losses(study.history.trials[0])


def test_the_line_about_trial_0_names_rules_and_sources(tmp_path):
    study = opened(experiment(), tmp_path / "toy")
    line = load(study.experiment).description(study.history)
    assert line == (
        "trial 0 is the default config: learning_rate 0.003 (as small models have it); else the middle of the ranges"
    )
    assert load(experiment("search: {default: false}\n")).description(study.history) == ""
    plain = experiment(ranges="model:\n  n_layers: {low: 1, high: 3}\n")
    assert load(plain).description(study.history) == "trial 0 is the default config"
    study.journal.close()
