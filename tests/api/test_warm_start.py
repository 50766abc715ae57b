"""`search.warm_start`: the trials of another study inform the sampler, and its best config is tried first."""

import re
import shutil
from copy import deepcopy

import optuna
import pytest

import hpsearch
from hpsearch.events import Finished, Notice
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.policies.optuna.samplers import OwnTrials
from hpsearch.space.experiment import Experiment
from tests.api.test_enqueue import labels

RANGES = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "epochs": {"low": 1, "high": 6}}
ADDED = {"weight_decay": {"low": 0.0, "high": 0.2}}


@pytest.fixture
def searched(space, corpus_files, tmp_path, without_views):
    """Searches a space with changed sections in this process; gives the study and the lines that were said."""

    def run(home="home", stop_after=None, **changes):
        lines, ended = [], []

        def progress(event):
            lines.extend([event.line] if isinstance(event, Notice) else [])
            ended.extend([event] if isinstance(event, Finished) else [])

        wanted = deepcopy(space) | {key: changes.pop(key) for key in ("data", "objective") if key in changes}
        wanted["search"] |= changes.pop("search", {})
        wanted["training"] = changes.pop("training", wanted["training"])
        stopping = None if stop_after is None else lambda: len(ended) >= stop_after
        options = {"base": corpus_files.parent, "launcher": "inline", "progress": progress, "stopping": stopping}
        return hpsearch.run(wanted, home=tmp_path / home, **options, **changes), lines

    return run


@pytest.fixture
def old(searched):
    """A study of five trials."""
    return searched(study="old", trials=5)[0]


WARM = {"warm_start": "old"}


def test_a_widened_range_and_an_added_parameter_keep_what_was_learnt(searched, old):
    with pytest.raises(hpsearch.StudyMismatch) as refused:
        searched(study="old", training=RANGES | ADDED)
    assert "study= in Python), which learns from the trials of this one by search: {warm_start: old}, or undo:" in str(
        refused.value
    )
    study, lines = searched(study="wide", training=RANGES | ADDED, search=WARM, trials=4)
    assert labels(study) == ["default", "warm_start", "", ""]
    assert study.trials[1].params == {**old.best.params, "weight_decay": 0.1}
    assert study.trials[1].value == old.best.value  # of the same data and seed
    assert f"study 'old': 5 of its 5 trials inform the sampler; its trial {old.best.number} is tried first" in lines
    assert len(study.history.warm["old"].trials) == 5
    assert any(line.startswith("warning: training.batch_size") for line in lines)
    assert searched(study="wide", training=RANGES | ADDED, search=WARM, trials=4)[1] == []  # told before


def test_they_are_the_samplers_knowledge_with_their_curves(searched, old):
    study, _ = searched(study="wide", training=RANGES, search=WARM, trials=3)
    experiment = Experiment.of(study.history.origin.experiment, study="wide")
    policy = OptunaPolicy(experiment)
    policy.next(study.history)
    known = policy.proposals.study.get_trials()
    assert len(known) == 8 + 1  # and the one that it proposes
    for trial, there in zip(old.trials, known[:5], strict=True):
        assert there.value == trial.value
        assert there.params == trial.params
        assert there.intermediate_values == {e.index: e.metrics["val/loss"] for e in trial.evaluations}
    assert [trial.params for trial in study.trials] == [trial.params for trial in known[5:8]]


@pytest.mark.parametrize("sampler", ["tpe", "curves", "gp", "cmaes", "random", "qmc"])
def test_every_sampler_goes_on_from_them(searched, old, sampler):
    changes = {"training": RANGES, "trials": 3}
    study, lines = searched(study="warm", search={**WARM, "sampler": sampler}, **changes)
    cold, _ = searched(study="cold", search={"sampler": sampler, "first": [old.best.params]}, **changes)
    assert labels(study) == ["default", "warm_start", ""]
    assert study.trials[1].value == cold.trials[1].value
    learns = sampler not in ("random", "qmc")
    begins = sampler != "cmaes"  # its first ten trials are random, those of the other study among them
    assert (study.trials[2].params != cold.trials[2].params) == (learns and begins)
    said = (
        f"warning: study 'old': the sampler {sampler} learns from no trial; its trial {old.best.number} is tried first"
    )
    assert (said in lines) != learns


@pytest.mark.parametrize("sampler", ["tpe", "curves"])
def test_a_resume_does_the_same_although_the_other_study_went_on(searched, old, tmp_path, sampler):
    changes = {"study": "warm", "training": RANGES, "search": {**WARM, "sampler": sampler}, "trials": 6}
    shutil.copytree(tmp_path / "home", tmp_path / "other")
    whole, _ = searched(home="other", **changes)
    searched(stop_after=3, **changes)
    searched(study="old", trials=9)
    shutil.rmtree(tmp_path / "home" / "old")
    resumed, _ = searched(**changes)
    assert [(t.params, t.value, t.outcome) for t in resumed.trials] == [
        (t.params, t.value, t.outcome) for t in whole.trials
    ]


def test_only_trials_of_this_space_count(searched, old):
    rates = sorted(trial.params["learning_rate"] for trial in old.trials)
    narrow = RANGES | {"learning_rate": {"low": rates[0] * 0.9, "high": (rates[1] + rates[2]) / 2, "log": True}}
    study, lines = searched(study="narrow", training=narrow, search=WARM, trials=2)
    assert any(line.startswith("study 'old': 2 of its 5 trials inform the sampler; its trial ") for line in lines)
    assert {t.internal["learning_rate"] for t in study.history.warm["old"].trials} == set(rates[:2])
    fixed = RANGES | {"weight_decay": 0.3}
    other, lines = searched(study="fixed", training=fixed, search=WARM, trials=2)
    assert "warning: none of the 5 trials of study 'old' lies in this space with a value" in lines
    assert labels(other) == ["default", ""]


def test_of_other_data_the_best_configs_are_tried_and_nothing_else_is_learnt(searched, old, space):
    data = {"text": {**space["data"]["text"], "lines": True}}
    study, lines = searched(study="other", data=data, search=WARM, trials=5)
    assert labels(study) == ["default", "warm_start", "warm_start", "", ""]  # the third is the default config
    best = sorted(old.trials, key=lambda trial: trial.value)[:3]
    assert [trial.params for trial in study.trials[:3]] == [trial.params for trial in best]
    assert study.history.warm["old"].trials == ()
    numbers = ", ".join(str(trial.number) for trial in best)
    why = "since its values are not comparable (data.text.lines: (not there) -> true)"
    assert f"warning: study 'old' informs no sampler, {why}; its trials {numbers} are tried first" in lines


def test_several_studies_and_one_that_is_added_later(searched, old):
    searched(study="second", trials=2, training=RANGES)
    changes = {"study": "third", "training": RANGES}
    study, _ = searched(**changes, search={"warm_start": ["second"]}, trials=3)
    assert list(study.history.warm) == ["second"]
    study, lines = searched(**changes, search={"warm_start": ["second", "old"]}, trials=5)
    assert list(study.history.warm) == ["second", "old"]
    assert labels(study) == ["default", "", "", "warm_start", ""]  # the second study's best is its default config
    assert sum("inform the sampler" in line for line in lines) == 1


def test_with_a_horizon_shift_their_ends_count(searched, old):
    search = {**WARM, "shift": True, "pruner": "promotion"}
    study, _ = searched(study="shifted", training=RANGES, search=search, trials=4)
    assert labels(study)[:2] == ["default", "warm_start"]
    known = study.history.warm["old"].trials
    ended = [trial for trial in old.trials if trial.outcome == "completed"]
    assert [trial.value for trial in known] == [trial.value for trial in ended]
    assert not any(trial.evaluations for trial in known)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"search": {"warm_start": "none"}}, r"no study 'none' in .*; there are: old"),
        ({"search": {"warm_start": ["old", "old"]}}, r"'old' is given twice"),
        ({"search": {"warm_start": "a/b"}}, r"'a/b' is not a valid study name: .*"),
        ({"search": {"warm_start": "new"}}, r"'new' is this study itself; give this file a new name \(study: \.\.\.\)"),
        ({"search": {"warm_start": 3}}, r"must be a list, not 3"),
        (
            {"search": WARM, "objective": {"metric": "val/perplexity"}},
            r"study 'old' has another objective \(minimize val/loss; here minimize val/perplexity\)",
        ),
        (
            {"search": {**WARM, "policy": "python:mine:make"}},
            r"a policy of your own decides which configs come first",
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_in_one_line(searched, old, tmp_path, changes, said):
    with pytest.raises(hpsearch.ConfigError) as refused:
        searched(study="new", **changes)
    assert re.fullmatch(rf"space: search\.warm_start(\[\d\])?: {said}", str(refused.value))
    assert not (tmp_path / "home" / "new").exists()


def test_another_task_is_refused(searched, old, corpus_files):
    data = {"moods": {"task": "classification", "files": "data/moods.tsv", "text": "sentence", "label": "mood"}}
    with pytest.raises(hpsearch.ConfigError, match=r"'old' has another task \(text; here classification\)$"):
        searched(study="new", data=data, objective={"metric": "val/loss"}, search=WARM)


def test_a_pruner_does_not_compare_with_them():
    """A trial that is worse than all of another study's would be stopped."""

    def made(*values):
        return optuna.trial.create_trial(value=values[-1], intermediate_values=dict(enumerate(values, start=1)))

    median = optuna.pruners.MedianPruner(n_startup_trials=2)
    study = optuna.create_study(pruner=median)
    study.add_trials([made(1.0, 0.9), made(1.1, 1.0), made(3.0, 2.9)])
    trial = study.ask()
    trial.report(2.0, 1)
    assert trial.should_prune()
    study.pruner = OwnTrials(median, others=2)
    assert not trial.should_prune()
    study.add_trials([made(1.5, 1.4), made(1.4, 1.3)])
    assert trial.should_prune()
