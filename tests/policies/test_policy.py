"""The seam of policies: the example of its documentation decides a search."""

import textwrap

from hpsearch import policies
from hpsearch.policies import policy
from tests.searching import experiment, go


def test_the_example_of_the_documentation_resumes_the_best_trial(tmp_path):
    text = policy.__doc__
    example = textwrap.dedent(text[text.index("    class Halves") : text.index("The search asks for")])
    names = dict(vars(policies))
    exec(example, names)
    wanted = experiment("budget: {trials: 4}\nsearch: {pruner: none, overfitting: false}\n")
    study, _ = go(wanted, tmp_path / "home", policy=names["Halves"](wanted))
    trials = study.history.trials.values()
    best = min(trials, key=lambda trial: trial.evaluations[5].metrics["val/loss"])
    assert {trial.number: len(trial.evaluations) for trial in trials} == {
        trial.number: 20 if trial is best else 5 for trial in trials
    }
