"""Warnings that hold for every trainer, each by a space of its own."""

from dataclasses import replace

import pytest

from hpsearch.launchers import devices
from hpsearch.preflight.planning import lint
from hpsearch.preflight.planning.outlook import Outlook
from hpsearch.preflight.planning.plan import Memory, Plan, TrialTime
from hpsearch.results.evidence import idle_gpus
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import Advice, Prepared

TEXT = "data: {text: {task: text, files: {train: a.txt}}}\n"
RATE = "training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}}\n"
TRIALS = "budget: {trials: 20}\n"


def experiment(body):
    return Experiment.loads(TEXT + body, path="space.yaml")


def said(body, sets=None):
    one = experiment(body)
    return lint.lines(one, lint.lint(one, sets or {}))


def test_nothing_is_said_of_a_good_space():
    assert said(RATE + TRIALS) == []


def test_no_range_at_all():
    [line] = said(TRIALS)
    assert line.startswith("space.yaml: the space has no range, so there is one config to train; ")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("{choices: [16]}", "space.yaml:3:26: training.batch_size: a list of one choice; "),
        ("{low: 16, high: 16}", "space.yaml:3:26: training.batch_size: a range of one value; "),
    ],
)
def test_a_range_that_is_none(value, what):
    found = said(f"{TRIALS}training: {{batch_size: {value}, learning_rate: {{low: 1e-3, high: 1e-2, log: true}}}}\n")
    assert len(found) == 1
    assert what.partition(": ")[2] in found[0]
    assert found[0].startswith("space.yaml:3:")


def test_a_steep_range_without_log():
    [line] = said(f"{TRIALS}training: {{weight_decay: {{low: 0.01, high: 1.0}}}}\n")
    # (1 - 0.1) / (1 - 0.01) of the draws
    assert line == (
        "space.yaml:3:26: training.weight_decay: a factor of 100 on a linear scale: 91% of the draws exceed 0.1; "
        "add log: true"
    )


def test_a_default_outside_of_the_range():
    sets = {"text": {"train": {"examples": 90, "tokens": 10**6}, "valid": {"examples": 9, "tokens": 10**4}}}
    found = said(f"{TRIALS}training: {{learning_rate: {{low: 1e-5, high: 1e-4, log: true}}, batch_size: 8}}\n", sets)
    assert len(found) == 1
    assert "training.learning_rate: the default config's 0.003 (as small models have it) is not in" in found[0]


def test_a_budget_too_small_for_its_params():
    body = RATE.replace("}}", "}, weight_decay: {low: 0.01, high: 0.1}, batch_size: {choices: [8, 16]}}")
    [line] = said(f"budget: {{trials: 4}}\n{body}")
    assert line.startswith("space.yaml:2:18: budget.trials: 4 trials for 3 searched params: each is drawn at random,")
    assert said(f"budget: {{trials: 8}}\n{body}") == []
    assert said("budget: {trials: 2}\ntraining: {batch_size: {choices: [8, 16]}}\n") == []  # all configs are tried


def test_more_workers_than_trials_or_cores(monkeypatch):
    monkeypatch.setattr(lint, "cores", lambda: 2)
    found = said(f"{RATE}{TRIALS}resources: {{workers: 24, device: cpu}}\n")
    assert "space.yaml:4:22: resources.workers: 24 workers for 20 trials; 4 of them would never train" in found
    assert any("24 workers of 1 threads on 2 cores" in line for line in found)
    assert said(f"{RATE}{TRIALS}resources: {{workers: 2, threads: 1, device: cpu}}\n") == []


def test_a_pruner_that_compares_nothing():
    [line] = said(f"{RATE}{TRIALS}search: {{pruner: {{min_resource: 4}}}}\nevaluation: {{times: 4}}\n")
    assert "search.pruner: its first rung is evaluation 4, and a training has 4: it stops no trial" in line


PLAN = Plan(
    study="s",
    device="cpu",
    workers=2,
    threads=1,
    budget=("20 trials",),
    trial=TrialTime(mean=100.0, low=50.0, high=200.0, longest=300.0, deviation=50.0, training=0.8, evaluating=0.1),
    memory=Memory(peak=10, together=18, available=100, at_once=2, never=0.0),
    whole=Outlook(20, 0, 1000.0, 0.5, None, 900.0, 1100.0, "trials"),
)


def told(plan, body=RATE + TRIALS):
    one = experiment(body)
    return lint.lines(one, lint.measured(one, plan))


def test_nothing_is_said_of_good_measurements():
    assert told(PLAN) == []
    assert told(replace(PLAN, trial=None)) == []


def test_an_evaluation_dearer_than_the_training_between_two():
    [line] = told(replace(PLAN, trial=replace(PLAN.trial, training=0.3, evaluating=0.6)))
    assert "evaluation: an evaluation takes 2.0 times as long as the training between two of them" in line


def test_a_trial_longer_than_the_study():
    [line] = told(PLAN, f"{RATE}budget: {{hours: 0.05}}\n")
    assert line.startswith("space.yaml:3:17: budget.hours: the longest config takes 0.083 h, more than the study has")


def test_memory_that_is_too_small():
    [line] = told(
        replace(PLAN, memory=Memory(peak=300, together=150, available=100, at_once=1, never=0.4, least={"width": 512}))
    )
    assert "40% of the space's configs never fit into the memory, the smallest of them is width=512; " in line
    [line] = told(replace(PLAN, memory=Memory(peak=80, together=140, available=100, at_once=2, never=0.0)))
    assert "resources: 2 trainings at once take more memory than there is; take at most 1 workers" in line


def test_a_gpu_that_is_idle_with_one_trial(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 8)
    memory = Memory(peak=2**30, together=2**30, available=80 * 2**30, at_once=1, never=0.0)
    idle = replace(PLAN, device="cuda:0", workers=1, memory=memory, busy=12.3)
    assert told(idle, f"{RATE}{TRIALS}resources: {{device: cuda}}\n") == [
        "space.yaml:4:12: resources.trials_per_gpu: with one trial at a time, a GPU ran kernels at most 12% of the "
        f"time, with at most 1 of 80 GiB in use; {idle_gpus.REMEDY}"
    ]
    assert told(replace(idle, busy=50.0)) == []
    assert told(replace(idle, busy=None)) == []
    assert told(replace(idle, memory=replace(memory, peak=40 * 2**30))) == []
    assert told(idle, f"{RATE}{TRIALS}resources: {{trials_per_gpu: auto}}\n") == []
    assert told(replace(idle, workers=8)) == []  # a core for each GPU


def test_few_trials_by_the_measured_times():
    found = told(
        replace(PLAN, whole=Outlook(1, 0, 180.0, 0.05, None, 180.0, 180.0, "hours")), f"{RATE}budget: {{hours: 0.5}}\n"
    )
    assert found == [
        "space.yaml:3:17: budget.hours: by the measured times 1 trial for 1 searched param: each is drawn at random, "
        "nothing is learnt; search fewer params, or give it 8 trials and more"
    ]


def test_what_a_run_warns_of_gets_its_place():
    one = experiment(RATE + TRIALS)
    lines = ["data.text: 3 of 40 train examples are cut", "training.batch_size 64: the train split", "in no file"]
    found = lint.reading(one, Prepared(warnings=lines, untested=["data.text: the test split has no labels"]))
    assert [line.partition(": ")[0] for line in found] == [
        "space.yaml:1:14",
        "training.batch_size 64",
        "in no file",
        "space.yaml:1:14",
    ]


def test_a_warning_is_said_once():
    one = experiment(RATE)
    assert len(lint.lines(one, [Advice((), "a", "b"), Advice((), "a", "b")])) == 1
