"""Which configs a plan measures."""

from hpsearch.preflight.planning import corners
from hpsearch.space.experiment import Experiment

TEXT = "data: {text: {task: text, files: {train: a.txt}}}\n"
SETS = {"text": {"train": {"examples": 90, "tokens": 60_000}, "valid": {"examples": 9, "tokens": 6_000}}}


def found(body):
    experiment = Experiment.loads(TEXT + body)
    return corners.corners(experiment, SETS, corners.draws(experiment, SETS, 60))


def by_name(some):
    return {name: one.params for one in some for name in one.name.split(", ") if name}


def test_the_ends_of_what_costs():
    some = found(
        "model: {n_layers: {low: 1, high: 6}, width: {choices: [32, 64, 128]}, dropout: {low: 0, high: 0.2}}\n"
        "training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}, batch_size: {choices: [8, 64]}, "
        "epochs: {low: 1, high: 8}}\n"
    )
    named = by_name(some)
    cost = ("n_layers", "width", "batch_size", "epochs")
    longest, smallest, largest = (
        [named[name][key] for key in cost] for name in (corners.LONGEST, corners.SMALLEST, corners.LARGEST)
    )
    assert longest == [6, 128, 8, 8.0]
    assert smallest == [1, 32, 64, 1.0]
    assert largest[:3] == [6, 128, 64]
    assert corners.DEFAULT in named
    assert sum(not one.name for one in some) == corners.BETWEEN  # random ones beside them


def test_configs_that_cost_the_same_are_one():
    [only] = found("training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}}\n")
    assert only.name == ", ".join((corners.DEFAULT, corners.LONGEST, corners.LARGEST, corners.SMALLEST))


def test_choices_of_a_section_are_corners():
    named = by_name(found("model: {choices: [{n_layers: 1, width: 32}, {n_layers: {low: 2, high: 4}, width: 64}]}\n"))
    assert named[corners.LONGEST]["n_layers"] == 4
    assert named[corners.SMALLEST] == {"model": "n_layers=1, width=32"}


def test_a_space_without_ranges_has_its_config():
    [only] = found("training: {epochs: 1}\n")
    assert only.params == {}


def test_a_prior_draws_what_is_measured():
    prior = "{low: 1, high: 100, prior: {center: 5, spread: 1}}"
    experiment = Experiment.loads(f"{TEXT}training: {{epochs: {prior}}}\n")
    drawn = [one.params["epochs"] for one in corners.draws(experiment, SETS, 100)]
    near = sum(2 < value < 8 for value in drawn)
    assert 60 < near < 95  # three quarters through the prior, 6% of the others


def test_a_trainer_of_which_nothing_is_known_is_measured_at_random():
    experiment = Experiment.loads(TEXT + "training: {epochs: {low: 1, high: 8}}\n")
    experiment.trainer.work = lambda config, sets: {}
    some = corners.corners(experiment, {}, corners.draws(experiment, {}, 60))
    assert [one.name for one in some] == [corners.DEFAULT, *[""] * corners.BETWEEN]


def test_the_params_that_count():
    body = "model: {n_layers: {low: 1, high: 6}, dropout: {low: 0, high: 0.2}}\ntraining: {epochs: {low: 1, high: 8}}\n"
    experiment = Experiment.loads(TEXT + body)
    assert corners.telling(experiment, SETS) == ["n_layers", "epochs"]
    experiment.trainer.work = lambda config, sets: {}
    assert corners.telling(experiment, SETS) == ["n_layers", "dropout", "epochs"]
