"""Which trial is exported: the cheapest of the good ones, or one by its number."""

from dataclasses import replace

import pytest

from hpsearch.errors import UserError
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.outcome import Outcome
from hpsearch.policies import choice
from hpsearch.space.experiment import Experiment
from tests.cli.test_run import one_line
from tests.results.evidence.test_caveats import event
from tests.searching import evaluation, experiment, go


def study(*found, metric="val/loss", direction="minimize", fresh=(), devices=()):
    """A study: (value, seconds) of trials with one evaluation; fresh: (trial, value) of repeats."""
    events = [event("study_created", study="s", objective={"metric": metric, "direction": direction})]

    def trained(n, value, seconds, **more):
        measured = replace(evaluation(1, value, metric=metric, times=1), seconds=seconds)
        device = dict(enumerate(devices)).get(n, "cpu")
        events.append(event("trial_asked", trial=n, params={}, config={"seed": n}, **more))
        events.append(event("trial_started", trial=n, attempt=1, device=device))
        events.append(event("evaluation", trial=n, evaluation=measured.to_dict()))
        best = {"index": 1, "step": 10, "value": value}
        said = {"outcome": "completed", "value": value, "best_evaluation": best, "seconds": seconds}
        events.append(event("trial_finished", trial=n, **said))

    for n, (value, seconds) in enumerate(found):
        trained(n, value, seconds)
    for n, (trial, value) in enumerate(fresh):
        trained(FIRST_REPEAT + n, value, 1.0, confirms=trial, repeat=n)
    return History.of(events)


def test_the_cheapest_within_two_sigma_of_the_best_is_chosen():
    """Sigma is assumed to be 0.5% of 4.0; the cheapest of all is worse by more than twice that."""
    found = choice.cheapest(study((4.0, 90.0), (4.039, 30.0), (4.01, 60.0), (4.05, 5.0)))
    assert found.trial.number == 1
    assert found.lines == (
        "The cheapest of the 3 trials within two sigma of the best of study s: trial 1.",
        "It costs 30 s to train, the winner (trial 0) 90 s.",
        "It is worse by val/loss 0.039 ± 0.057 (sigma 0.02, assumed).",
    )
    known = found.facts["cheapest"]
    assert (known["seconds"], known["winner"], known["winner_seconds"]) == (30.0, 0, 90.0)
    assert known["worse_by"] == pytest.approx(0.039)
    assert known["sigma_assumed"] is True


def test_the_winner_itself_if_none_is_cheaper():
    found = choice.cheapest(study((4.0, 20.0), (4.01, 30.0)))
    assert found.trial.number == 0
    assert found.lines == ("No good trial is cheaper than the winner, trial 0 (20 s to train).",)
    assert found.facts["cheapest"]["worse_by"] == 0.0


def test_of_costs_that_are_about_equal_the_best_trial_is_taken():
    """Paces vary by a tenth."""
    assert choice.cheapest(study((4.0, 33.0), (4.01, 30.0))).trial.number == 0
    assert choice.cheapest(study((4.0, 90.0), (4.02, 30.0), (4.01, 32.0))).trial.number == 2
    assert choice.cheapest(study((4.0, 33.1), (4.01, 30.0))).trial.number == 1


def test_fresh_seeds_decide_what_is_as_good():
    """Sigma 0.02 is measured; trial 1 was lucky, and its fresh seeds are clearly worse."""
    fresh = [(0, 4.0), (0, 4.0283), (1, 4.2), (1, 4.2283)]
    found = choice.cheapest(study((4.0, 90.0), (4.01, 30.0), (4.02, 60.0), fresh=fresh))
    assert found.trial.number == 2
    tied = [(0, 4.0), (0, 4.0283), (1, 4.02), (1, 4.0483)]
    found = choice.cheapest(study((4.0, 90.0), (4.01, 30.0), (4.02, 60.0), fresh=tied))
    assert found.trial.number == 1
    assert found.lines[-1] == "It is worse by val/loss 0.02 ± 0.086 (sigma 0.02)."  # t(2) = 4.3


def test_seconds_of_another_kind_of_device_are_not_compared():
    found = choice.cheapest(study((4.0, 90.0), (4.01, 30.0), (4.02, 60.0), devices=["cpu@a", "cuda:0", "cpu@b"]))
    assert found.trial.number == 2


def test_a_metric_that_grows_needs_a_measured_sigma():
    values = [(0.9, 90.0), (0.89, 30.0)]
    with pytest.raises(
        UserError, match=r"^study 's': the seed noise of val/f1 is not measured, .*: hpsearch confirm s "
    ):
        choice.cheapest(study(*values, metric="val/f1", direction="maximize"))
    fresh = [(0, 0.9), (0, 0.88)]
    found = choice.cheapest(study(*values, metric="val/f1", direction="maximize", fresh=fresh))
    assert found.trial.number == 1
    assert found.lines[-1].startswith("It is worse by val/f1 0.01 ± ")


def test_a_trial_is_chosen_by_its_number():
    history = study((4.0, 90.0), (4.5, 30.0))
    found = choice.numbered(history, 1)
    assert (found.trial.number, found.lines) == (1, ("Trial 1 of study s, chosen by its number: completed.",))
    history.trials[1].horizon = 1 / 27
    assert choice.numbered(history, 1).lines[1:] == (
        "It is the training at horizon 1/27: shorter, and shifted to that length.",
    )
    with pytest.raises(UserError, match=r"^study 's' has no trial 2; it has 0 to 1$"):
        choice.numbered(history, 2)
    history.trials[1].value, history.trials[1].best, history.trials[1].outcome = None, None, Outcome.FAILED
    with pytest.raises(UserError, match=r"^trial 1 of study 's' is failed and has no value to export$"):
        choice.numbered(history, 1)


def test_the_command_writes_what_it_costs_and_what_it_loses(call, tmp_path):
    """The toy's longer trainings are better; all are within an assumed sigma of 100%."""
    found, _ = go(experiment("budget: {trials: 4}\nsearch: {pruner: none}\n"), tmp_path / "toy")
    worst = found.history.ranked()[-1].number
    path = tmp_path / "cheap.yaml"
    code, out, err = call("export", "toy", "-o", path, "--home", tmp_path, "--cheapest")
    assert (code, err) == (0, "")
    exported = Experiment.load(path)
    known = exported.provenance["cheapest"]
    heading = path.read_text().splitlines()[0]
    assert heading.startswith(("# The cheapest of the ", "# No good trial is cheaper than the winner"))
    assert heading.removeprefix("# ") in out
    assert known["seconds"] <= known["winner_seconds"]
    code, out, err = call("export", "toy", "-o", path, "--home", tmp_path, "--trial", worst)
    assert (code, err) == (0, "")
    assert Experiment.load(path).provenance["trial"] == worst
    assert f"{path}: trial {worst}, val/loss" in out
    both = call("export", "toy", "-o", path, "--home", tmp_path, "--trial", worst, "--cheapest")
    one_line(both, 2, r"--cheapest and --trial: only one of the two is allowed")
