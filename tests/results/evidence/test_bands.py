"""Bands of good values, worked out by hand."""

import json
from dataclasses import replace

import pytest

from hpsearch.journal.history import FIRST_REPEAT
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.results.evidence import band_lines, bands
from hpsearch.results.evidence.bands import Sample
from hpsearch.results.evidence.cliffs import Cliff
from tests.results.evidence.test_caveats import history

RATE = {"low": 1e-4, "high": 1e-2, "step": None, "log": True}
LAYERS = {"low": 1, "high": 6, "step": 1, "log": False}
DROPOUT = {"low": 0.0, "high": 0.4, "step": None, "log": False}
BATCH = {"choices": [8, 16, 32, 64]}
SCHEDULE = {"choices": ["cosine", "wsd", "linear"]}


def samples(name, *found):
    """Samples of one hyperparameter: (value of the param, value of the objective)."""
    return [Sample({name: param}, value) for param, value in found]


def band(limits, *found, sigma=0.1):
    [only] = bands.bands(samples("x", *found), {"x": limits}, sigma=sigma).bands
    return only


def test_the_good_trials_are_within_two_sigma_of_the_best():
    found = bands.bands(samples("x", (1e-3, 4.0), (3e-3, 4.19), (5e-3, 4.21)), {"x": RATE}, sigma=0.1)
    assert (found.good, found.trials, found.assumed) == (2, 3, False)
    assert found.bands[0].values == (1e-3, 3e-3)
    assert found.bands[0].best == 1e-3


def test_sigma_is_assumed_where_it_is_not_measured():
    found = bands.bands(samples("x", (1e-3, 4.0), (3e-3, 4.039), (5e-3, 4.041)), {"x": RATE})
    assert found.sigma == pytest.approx(0.02)
    assert (found.good, found.assumed) == (2, True)
    assert bands.bands(samples("x", (1e-3, 0.9), (3e-3, 0.892), (5e-3, 0.8909)), {"x": RATE}).good == 2  # maximised


@pytest.mark.parametrize(
    ("limits", "values", "share"),
    [
        (RATE, (1e-3, 1e-4), 0.5),  # half of the range, by logarithm
        (DROPOUT, (0.1, 0.3), 0.5),
        (LAYERS, (1, 6, 3), 1.0),
        (BATCH, (8, 32), 2 / 3),
        (SCHEDULE, ("wsd", "cosine"), 2 / 3),
        (RATE, (1e-3,), 0.0),
    ],
)
def test_the_share_of_a_range_that_the_band_has(limits, values, share):
    assert band(limits, *((value, 4.0) for value in values)).share == pytest.approx(share)


def test_values_are_in_order():
    assert band(BATCH, (32, 4.0), (8, 4.0)).values == (8, 32)
    assert band(SCHEDULE, ("wsd", 4.0), ("cosine", 4.0), ("wsd", 4.0)).values == ("cosine", "wsd")


@pytest.mark.parametrize(
    ("limits", "best", "edge"),
    [
        (RATE, 1e-2, "upper"),
        (RATE, 8.1e-3, "upper"),  # within 5% of the range, by logarithm
        (RATE, 7.9e-3, ""),
        (RATE, 1.2e-4, "lower"),
        (RATE, 1e-3, ""),
        (DROPOUT, 0.0, ""),  # nothing lies below
        (DROPOUT, 0.39, "upper"),
        ({**DROPOUT, "low": 0.1}, 0.1, "lower"),
        (LAYERS, 1, ""),
        (LAYERS, 5, ""),
        (LAYERS, 6, "upper"),
        ({**LAYERS, "low": 2}, 2, "lower"),
        ({**LAYERS, "high": 2}, 2, ""),  # of two values each is at an edge
        (BATCH, 8, "lower"),
        (BATCH, 64, "upper"),
        (BATCH, 16, ""),
        ({"choices": [16, 8]}, 8, ""),
        (SCHEDULE, "cosine", ""),
    ],
)
def test_edges(limits, best, edge):
    assert band(limits, (best, 4.0)).edge == edge


@pytest.mark.parametrize(
    ("limits", "values", "recommended"),
    [
        (RATE, (1e-3, 4e-3), 2e-3),  # the middle, by logarithm
        (DROPOUT, (0.1, 0.3, 0.1), 0.2),
        ({**DROPOUT, "step": 0.1}, (0.1, 0.36), 0.2),  # a value that the range has
        (LAYERS, (2, 6), 4),
        (BATCH, (8, 32), 16),
        (SCHEDULE, ("wsd", "cosine"), "wsd"),  # the best, without an order
        (RATE, (1e-3,), 1e-3),
    ],
)
def test_the_recommended_value_is_the_middle_of_the_band(limits, values, recommended):
    found = band(limits, *((value, 4.0) for value in values)).recommended
    assert found == (recommended if isinstance(recommended, str) else pytest.approx(recommended))


def rates(*found, diverged=(), limits=RATE):
    """The band of a learning rate and its lines; sigma is 0.02: 0.2 above the best is far worse."""
    name, params = "learning_rate", [{"learning_rate": rate} for rate in diverged]
    return bands.bands(samples(name, *found), {name: limits}, sigma=0.02, diverged=params)


def test_a_cliff_where_trials_diverge():
    found = rates((3.2e-3, 4.0), (1e-3, 4.03), (2e-4, 4.1), diverged=[4.1e-3, 9e-3])
    assert found.bands[0].cliff == Cliff("upper", 4.1e-3, diverged=True)
    assert found.bands[0].recommended == pytest.approx(1e-3 * 3.2**0.25, rel=1e-2)  # the middle of the lower half
    assert said(found)[1] == (
        "warning: learning_rate: trials diverge from 0.0041 on; the best has 0.0032: "
        "choose from the lower half of the band of good values"
    )
    alone = said(rates((3.2e-3, 4.0), (2e-4, 4.1), diverged=[4.1e-3]))
    assert alone[1].endswith("trials diverge from 0.0041 on; the best has 0.0032: choose no higher value")


def test_a_cliff_where_trials_are_far_worse_takes_two_of_them():
    more = [(2e-3, 4.035)] * 4  # a handful of trials shows no cliff
    found = rates((1e-3, 4.0), (2e-3, 4.03), (8e-4, 4.5), (6e-4, 4.21), *more)
    assert found.bands[0].cliff == Cliff("lower", 8e-4, diverged=False)
    assert said(found)[1] == (
        "warning: learning_rate: trials are worse by more than 10 sigma from 0.0008 down; the best has 0.001: "
        "choose from the upper half of the band of good values"
    )
    assert rates((1e-3, 4.0), (2e-3, 4.03), (8e-4, 4.5), *more, more[0]).bands[0].cliff is None
    assert rates((1e-3, 4.0), (2e-3, 4.03), (8e-4, 4.5), (6e-4, 4.21), *more[1:]).bands[0].cliff is None  # 7 trials


def test_what_is_no_cliff():
    assert rates((3e-3, 4.0), (1e-3, 4.03), diverged=[6.1e-3]).bands[0].cliff is None  # more than twice as far
    assert rates((3e-3, 4.0), (1e-3, 4.03), diverged=[2e-3]).bands[0].cliff is None  # within the band
    assert rates((3e-3, 4.0), (1e-3, 4.03), (5e-3, 4.1), diverged=[4e-3]).bands[0].cliff is None  # another one works
    assert rates((3e-3, 4.0), (1e-3, 4.03), (4e-3, 4.1), (5e-3, 4.1)).bands[0].cliff is None  # worse, not far worse


def test_the_next_step_of_other_ranges():
    assert rates((4, 4.0), (3, 4.0), diverged=[5], limits=LAYERS).bands[0].cliff == Cliff("upper", 5, diverged=True)
    assert rates((4, 4.0), (3, 4.0), diverged=[6], limits=LAYERS).bands[0].cliff is None
    assert rates((16, 4.0), diverged=[8], limits=BATCH).bands[0].cliff == Cliff("lower", 8, diverged=True)
    assert rates((16, 4.0), diverged=[64], limits=BATCH).bands[0].cliff is None
    assert rates((0.1, 4.0), diverged=[0.14], limits=DROPOUT).bands[0].cliff == Cliff("upper", 0.14, diverged=True)
    assert rates((0.1, 4.0), diverged=[0.15], limits=DROPOUT).bands[0].cliff is None


def test_diverged_trials_of_a_study_are_seen():
    study = history([{"val/loss": 4.0}], [{"val/loss": 4.01}], [{"val/loss": 9.0}])
    study.space = {"x": RATE}
    for number, rate in enumerate((1e-3, 2e-3, 3e-3)):
        study.trials[number].params = {"x": rate}
    study.trials[2].outcome = Outcome.DIVERGED
    found = bands.of(study)
    assert found.bands[0].cliff == Cliff("upper", 3e-3, diverged=True)
    known = json.loads(json.dumps(bands.as_dict(found)))["params"]["x"]
    assert known["cliff"] == {"side": "upper", "start": 3e-3, "diverged": True}
    assert known["recommended"] == pytest.approx(1.19e-3)


def spread(n, *, bad):
    """Trials whose good values are all over the range of x, and all in one place of y; some are bad."""
    good = [Sample({"x": 0.4 * i / (n - 1), "y": 1e-3}, 4.0 + i / 1000) for i in range(n)]
    return good + [Sample({"x": 0.2, "y": 9e-3}, 5.0) for _ in range(bad)]


def test_a_hyperparameter_does_not_matter_if_good_values_are_all_over_its_range():
    space = {"x": DROPOUT, "y": RATE}
    assert bands.bands(spread(5, bad=5), space).idle == ("x",)
    assert bands.bands(spread(3, bad=7), space).idle == ()  # three good trials say little
    assert bands.bands(spread(4, bad=3), space).idle == ()  # seven trials say little
    assert bands.bands(spread(10, bad=0), space).idle == ()  # nothing is bad, whatever the values


def said(found):
    return list(band_lines.lines(found))


@pytest.mark.parametrize("limits", [{"low": 1, "high": 2, "step": 1, "log": False}, {"choices": [1, 2]}])
def test_of_a_narrow_range_it_is_said_that_it_is_narrow(limits):
    samples = [Sample({**one.params, "x": 1 + at % 2}, one.value) for at, one in enumerate(spread(5, bad=5))]
    found = bands.bands(samples, {"x": limits, "y": RATE}, sigma=0.02)
    assert found.idle == ("x",)
    assert said(found)[-1] == "x makes no difference from 1 to 2, but that range is narrow: a wider one says more"
    wide = bands.bands(samples, {"x": limits | {"high": 3, "choices": [1, 3, 2]}, "y": RATE}, sigma=0.02)
    assert all(band.narrow is None for band in wide.bands)


def test_lines():
    assert said(bands.bands(spread(5, bad=5), {"x": DROPOUT, "y": RATE}, sigma=0.02)) == [
        "good values, of the 5 trials within two sigma (0.04) of the best: x 0 to 0.4 (recommended: 0.2); y 0.001",
        "x seems not to matter: good trials have values from all over the range",
    ]
    edge = bands.bands(samples("learning_rate", (0.0098, 4.0), (0.005, 4.01)), {"learning_rate": RATE})
    assert said(edge) == [
        "good values, of the 2 trials within two sigma (0.04, assumed: 0.5% of the best value) of the best: "
        "learning_rate 0.005 to 0.0098 (recommended: 0.007)",
        "warning: learning_rate 0.0098 of the best trial is at the upper edge of its range: "
        "better values may lie beyond",
    ]
    both = [Sample({"learning_rate": 0.005, "x": 0.1}, 4.0), Sample({"learning_rate": 0.004, "x": 0.2}, 4.01)]
    *_, few = said(bands.bands(both, {"learning_rate": RATE, "x": DROPOUT}))
    assert few == "too few trials (2) to say which of the 2 hyperparameters matter"


def test_an_edge_that_equal_trials_do_not_share_is_none():
    found = bands.bands(samples("learning_rate", (0.0098, 4.0), (0.005, 4.0)), {"learning_rate": RATE})
    assert found.bands[0].edge == ""
    found = bands.bands(samples("learning_rate", (0.0098, 4.0), (0.0097, 4.0)), {"learning_rate": RATE})
    assert found.bands[0].edge == "upper"


@pytest.mark.parametrize(("metric", "some"), [("val/loss", True), ("val/SET/loss", True), ("val/f1_macro", False)])
def test_without_a_measured_sigma_only_losses_have_bands(metric, some):
    """Half a percent of an F1 or of BLEU means nothing."""
    study = history([{"val/loss": 4.0}], [{"val/loss": 4.01}])
    study.metric, study.space = metric, {"x": RATE}
    for trial in study.trials.values():
        trial.params = {"x": 1e-3}
    assert bool(bands.of(study).bands) == some
    assert bands.of(study, sigma=0.1).bands
    alone = bands.bands(samples("x", (1e-3, 4.0), (3e-3, 5.0)), {"x": RATE}, sigma=0.1)
    assert said(alone)[0] == "no other trial is within two sigma (0.2) of the best: there is no band of good values"
    same = bands.bands(spread(10, bad=0), {"x": DROPOUT, "y": RATE}, sigma=0.02)
    assert said(same)[-1] == (
        "all 10 trials are within two sigma (0.04) of the best: in these ranges no hyperparameter matters"
    )


def test_nothing_is_said_without_trials_or_ranges():
    assert said(bands.bands([], {"x": RATE})) == []
    assert said(bands.bands([Sample({}, 4.0)], {})) == []
    assert said(bands.bands([Sample({"x": 3}, 4.0)], {"x": {**LAYERS, "low": 3, "high": 3}})) == []
    assert said(bands.bands([Sample({"x": 3}, 4.0)], {})) == []  # a param that the journal's space lacks


def test_a_value_of_zero_has_no_assumed_noise():
    found = bands.bands(samples("x", (1e-3, 0.0), (3e-3, 0.1)), {"x": RATE})
    assert (found.sigma, found.good) == (0.0, 1)


def test_conditional_hyperparameters_count_the_trials_that_have_them():
    found = bands.bands(
        [Sample({"model": "a", "depth": 2}, 4.0), Sample({"model": "b"}, 4.0)],
        {"model": {"choices": ["a", "b"]}, "depth": LAYERS},
        sigma=0.1,
    )
    assert [(one.name, one.values) for one in found.bands] == [("model", ("a", "b")), ("depth", (2,))]


def test_a_trial_that_cooled_down_early_has_the_epochs_that_it_trained():
    study = history([{"val/loss": 4.0}], [{"val/loss": 4.01}])
    study.space = {"epochs": {"low": 4.0, "high": 30.0, "step": None, "log": True}, "batch_size": BATCH}
    for trial in study.trials.values():
        trial.params = {"epochs": 25.0, "batch_size": 16}
    study.trials[0].best = replace(study.trials[0].best, branch={"training": {"epochs": 8.5, "warmup": 0.1}})
    study.trials[0].outcome = Outcome.OVERFIT
    found = bands.of(study)
    assert [(one.name, one.best, one.values) for one in found.bands] == [
        ("epochs", 8.5, (8.5, 25.0)),
        ("batch_size", 16, (16,)),
    ]
    study.trials[0].best = replace(study.trials[0].best, branch={"training": {"epochs": 3.0}})
    assert bands.of(study).bands[0].edge == ""  # below the range: the cool-down ended it, not the range


def losses(*found):
    """A study of trials (learning rate, outcome, loss); outcome None: it is paused."""
    study = history(*([{"val/loss": loss}] for _, _, loss in found))
    study.space = {"learning_rate": RATE}
    for trial, (rate, outcome, _) in zip(study.trials.values(), found, strict=True):
        trial.params, trial.config, trial.outcome = {"learning_rate": rate}, {"seed": 0}, outcome
        trial.paused = outcome is None
    return study


GOOD = [(3.2e-3, Outcome.COMPLETED, 4.0), (1e-3, Outcome.COMPLETED, 4.01)]


def test_trials_that_have_not_ended_are_no_cliff():
    """Promotion has paused them at a rung: their losses are high because they are early."""
    paused = [(4.1e-3, None, 5.5), (5e-3, None, 5.6)]
    found = bands.of(losses(*GOOD, *paused))
    assert (found.bands[0].cliff, found.trials) == (None, 2)
    trained = [(rate, Outcome.COMPLETED, loss) for rate, _, loss in paused]
    more = [(1e-3, Outcome.COMPLETED, 4.03)] * 4
    assert bands.of(losses(*GOOD, *trained, *more)).bands[0].cliff == Cliff("upper", 4.1e-3, diverged=False)
    assert bands.of(losses(*paused)).bands == ()


def test_trials_that_the_budget_cut_short_are_no_cliff_and_no_good_value():
    """Two of 8 trials cooled down after 5 and 14% of their epochs: what they lack is training, not a lower rate."""
    far = [(4.1e-3, Outcome.COMPLETED, 5.5), (5e-3, Outcome.COMPLETED, 5.6)]
    more = [(1e-3, Outcome.COMPLETED, 4.03)] * 4
    study = losses(*GOOD, *more, *far)
    assert bands.of(study).bands[0].cliff is not None
    for number, share in ((len(study.trials) - 2, 0.05), (len(study.trials) - 1, 0.14)):
        best = study.trials[number].best
        study.trials[number].best = replace(best, progress=share, branch={"training": {"epochs": 24 * share}})
    assert (bands.of(study).bands[0].cliff, bands.of(study).trials) == (None, 6)
    last = study.trials[len(study.trials) - 1]
    assert (last.cut, last.is_whole, last.ending) == (0.14, False, "cut by the budget at 14%")
    last.best = replace(last.best, progress=0.93)  # nearly whole
    assert (last.is_whole, bands.of(study).trials) == (True, 7)
    last.outcome = Outcome.OVERFIT  # a verdict on equal terms
    assert (last.cut, last.ending, last.is_whole) == (None, "cooled down", True)


def test_beside_a_diverged_trial_one_that_has_not_ended_counts_only_if_it_works():
    diverged = (4.1e-3, Outcome.DIVERGED, 9.0)
    cliff = Cliff("upper", 4.1e-3, diverged=True)
    assert bands.of(losses(*GOOD, diverged, (5e-3, None, 5.6))).bands[0].cliff == cliff
    assert bands.of(losses(*GOOD, diverged, (5e-3, None, 4.05))).bands[0].cliff is None


def test_a_divergence_at_a_shorter_horizon_is_no_cliff():
    """It was trained with another learning rate than its params say."""
    study = losses(*GOOD, (4.1e-3, Outcome.DIVERGED, 9.0))
    study.trials[2].horizon = 1 / 3
    assert bands.of(study).bands[0].cliff is None


def test_all_searched_hyperparameters_are_counted():
    """The best trial does not have those of another branch."""
    space = {"optimizer": {"choices": ["adamw", "muon"]}, "beta": DROPOUT, "rate": RATE}
    found = bands.bands([Sample({"optimizer": "adamw", "rate": 1e-3}, 4.0)], space, sigma=0.1)
    assert said(found)[-1] == "too few trials (1) to say which of the 3 hyperparameters matter"


def repeated(study, *values):
    """The same with a fresh seed of each trial."""
    for number, value in enumerate(values):
        at = FIRST_REPEAT + number
        study.repeats[at] = TrialHistory(at, confirms=number, outcome=Outcome.COMPLETED, value=value)
    return study


def test_repeats_raise_the_assumed_sigma():
    """By 0.5% of 4.0 it is 0.02; the seeds have moved the trials by 0.0 and 0.4, which is 0.2."""
    found = bands.of(study := repeated(losses(*GOOD, (1e-2, Outcome.COMPLETED, 4.39)), 4.0, 4.41))
    assert (found.sigma, found.assumed, found.repeats, found.good) == (pytest.approx(0.2), True, 2, 3)
    assert said(found)[0].startswith("good values, of the 3 trials within two sigma (0.4, from 2 repeats) of the best")
    assert bands.sigma_of(study) == pytest.approx(0.2)
    assert len(bands.near(study).trials) == 3
    still = bands.of(repeated(losses(*GOOD), 4.0, 4.02))  # by 0.0 and 0.01: 0.005, less than is assumed
    assert (still.sigma, still.repeats) == (pytest.approx(0.02), 0)
    assert "(0.04, assumed: 0.5% of the best value)" in said(still)[0]
    measured = repeated(losses(*GOOD), 4.0, 4.41)
    measured.repeats[2 * FIRST_REPEAT] = TrialHistory(0, confirms=0, outcome=Outcome.COMPLETED, value=4.1)
    assert bands.of(measured).sigma == pytest.approx(0.1 / 2**0.5)  # two seeds of one config measure it


def test_no_cliff_is_said_beside_a_best_value_at_the_edge():
    near, far = [(9.0e-3, 4.0), (7e-3, 4.01)], [(9.5e-3, 6.0), (9.8e-3, 6.0)]
    found = bands.bands(samples("learning_rate", *near, *far), {"learning_rate": RATE})
    assert (found.bands[0].edge, found.bands[0].cliff) == ("upper", None)
    assert [line.split(":")[0] for line in said(found)[1:]] == ["warning"]
    assert "better values may lie beyond" in said(found)[1]
    more = [(6e-3, 4.01)] * 4
    found = bands.bands(samples("learning_rate", (7e-3, 4.0), (6e-3, 4.01), *more, *far), {"learning_rate": RATE})
    assert (found.bands[0].edge, found.bands[0].cliff) == ("", Cliff("upper", 9.5e-3, diverged=False))


def test_a_study_counts_final_values():
    study = history([{"val/loss": 4.0}], [{"val/loss": 4.01}], [{"val/loss": 4.02}])
    study.space = {"x": RATE}
    for number, rate in enumerate((1e-3, 2e-3, 4e-3)):
        study.trials[number].params, study.trials[number].config = {"x": rate}, {"seed": 0}
    assert bands.of(study).bands[0].values == (1e-3, 2e-3, 4e-3)
    for outcome, paused in ((None, False), (None, True), (Outcome.PRUNED, False), (Outcome.SHORT, False)):
        study.trials[2].outcome, study.trials[2].paused = outcome, paused
        found = bands.of(study)
        assert found.bands[0].values == (1e-3, 2e-3)
        assert (found.good, found.trials) == (2, 2)
    assert json.loads(json.dumps(bands.as_dict(found)))["params"]["x"]["values"] == [1e-3, 2e-3]
    assert bands.of(study, sigma=0.001).good == 1
