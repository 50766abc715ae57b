"""`search.shift` in a space file: what it cannot be combined with, and trainers that cannot shorten their trainings."""

import uuid

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from tests.searching import experiment

OWN = """
import hpsearch

class Fit(hpsearch.Section):
    rate: float = 0.5
    steps: int = hpsearch_field

class Fits(hpsearch.Trainer):
    sections = {"fit": Fit}
"""
SHORTENED = "    def shortened(self, config, horizon, searched):\n        return "


def own(folder, answer=None):
    """A space of a trainer of the user's own, whose method `shortened` returns an expression."""
    module = f"shift_{uuid.uuid4().hex}"
    code = OWN.replace("hpsearch_field", "90") + (SHORTENED + answer if answer else "")
    (folder / f"{module}.py").write_text(code)
    text = f"trainer: 'python:{module}:Fits'\nbudget: {{trials: 2}}\nsearch: {{shift: true}}\n"
    text += "fit: {rate: {low: 0.1, high: 1}}\n"
    return Experiment.loads(text, path=f"{folder}/space.yaml")


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        ("{shift: true, policy: 'python:a:b'}", "3:17", "search.shift: a policy of your own decides at which horizons"),
        ("{shift: true, sampler: grid}", "3:17", "search.shift: sampler grid trains every config at its whole horizon"),
        ("{shift: true, pruner: median}", "3:31", "search.pruner: with search.shift configs are promoted from horizon"),
        ("{shift: 3}", "3:17", "search.shift: must be true or false"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_one_line(settings, place, said):
    with pytest.raises(ConfigError) as error:
        experiment(f"search: {settings}\nbudget: {{trials: 2}}\n")
    assert str(error.value).startswith(f"./space.yaml:{place}: {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pruner", ["promotion", "successive_halving"])
def test_promotion_and_the_default_pruner_are_allowed(pruner):
    """The default one, too: a study's own settings can be loaded again."""
    found = experiment(f"search: {{shift: true, pruner: {pruner}}}\nbudget: {{trials: 2}}\n")
    assert found.pruner.name == "promotion"
    assert Experiment.of(found.normalised()).search.shift


def test_a_trainer_of_ones_own_shortens_its_trainings(tmp_path):
    found = own(tmp_path, "{'fit': {'steps': round(90 * horizon), 'rate': config.fit.rate * horizon}}")
    config = found.config_at(1 / 9, {"rate": 0.9})
    assert (config.fit.steps, config.fit.rate) == (10, pytest.approx(0.1))
    assert found.config_at(1, {"rate": 0.9}).fit.steps == 90


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "search.shift: the trainer python:"),
        ("3", "shortened() returned 3; allowed: Mapping"),
        ("1 / 0", "shortened() raised ZeroDivisionError"),
        ("{'fits': {}}", "shortened() returned {'fits': {}}; allowed: a mapping of sections"),
        ("{'fit': {'stepz': 3}}", "shortened() returned a value that is not allowed: fit.stepz"),
        ("{'fit': {'steps': 'few'}}", "shortened() returned a value that is not allowed: fit.steps"),
    ],
)
def test_a_wrong_answer_is_one_line_with_its_place(tmp_path, answer, said):
    with pytest.raises(ConfigError) as error:
        own(tmp_path, answer)
    message = str(error.value)
    assert said in message
    assert message.startswith(f"{tmp_path}/space.yaml:")
    assert "\n" not in message
