"""The default config of a space, and the configs that a space file names."""

import uuid
from pathlib import Path

import pytest

from hpsearch.errors import ConfigError
from hpsearch.journal.history import History
from hpsearch.policies.loading import load
from hpsearch.space.experiment import Experiment
from tests.searching import experiment

SPACES = Path(__file__).parents[2] / "search_spaces"
SETS = {"text": {"train": {"examples": 1, "tokens": 80_000}}}
CONDITIONAL = """
model:
  context: 64
  choices:
    - {n_layers: {low: 1, high: 3}, width: 64}
    - {n_layers: {low: 4, high: 8}, width: 128}
training:
  learning_rate: {low: 1e-4, high: 1e-2, log: true}
  schedule: {choices: [cosine, wsd]}
"""
RULED = """
import hpsearch

class Fit(hpsearch.Section):
    rate: float = 0.5
    degree: int = 3

class Fits(hpsearch.Trainer):
    sections = {"fit": Fit}

    def rules(self, config, sets):
        return RULES
"""


def values(found, sets=SETS, given=None):
    default = found.default(sets, given)
    return found.space.values(default.internal), default.rules


def test_rules_decide_and_the_rest_is_the_middle():
    found = experiment(
        ranges="""
        training:
          learning_rate: {low: 1e-4, high: 1e-1, log: true}
          batch_size: {choices: [8, 16, 32]}
          epochs: {low: 4, high: 16, log: true}
          weight_decay: {low: 0.2, high: 1.0}
        """
    )
    params, rules = values(found)
    assert params == {"learning_rate": 3e-3, "batch_size": 8, "epochs": 8.0, "weight_decay": 0.2}  # 0.1 is clipped
    assert set(rules) == {"learning_rate", "batch_size", "weight_decay"}
    assert "2503.04715" in rules["batch_size"].source


def test_without_the_sizes_of_the_data_fewer_rules_are_known():
    params, rules = values(experiment(), sets={})
    assert params["learning_rate"] == pytest.approx(3.16e-3)
    assert "learning_rate" not in rules


def test_a_conditional_space_takes_a_branch_and_its_ranges():
    params, _ = values(experiment(ranges=CONDITIONAL))
    assert params == {"model": "n_layers=1..3, width=64", "n_layers.1": 2, "learning_rate": 3e-3, "schedule": "wsd"}


def test_given_values_are_completed():
    found = experiment(ranges=CONDITIONAL)
    params, rules = values(found, given={"model": "n_layers=4..8, width=128", "learning_rate": 5e-4})
    assert params == {"model": "n_layers=4..8, width=128", "n_layers.2": 6, "learning_rate": 5e-4, "schedule": "wsd"}
    assert "learning_rate" not in rules


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_shipped_space_has_a_default_config(path):
    found = Experiment.load(path)
    sets = {name: {"train": {"examples": 3000, "tokens": 100_000}} for name in getattr(found.settings, "data", ())}
    internal = found.default(sets).internal
    assert found.space.internal(found.space.values(internal)) == internal
    found.config(internal)


MISTAKES = [
    ("[{learning_rat: 1e-3}]", "3:19: search.first[1].learning_rat: no range of this space: unknown key; did you mean"),
    ("[{width: 64}]", "3:19: search.first[1].width: no range of this space: unknown key; allowed: learning_rate, ep"),
    ("[{epochs: 2}, {epochs: 13}]", "search.first[2].epochs: 13 is not in its range (low 1.0, high 12.0, log false)"),
    ("[{learning_rate: fast}]", "search.first[1].learning_rate: 'fast' is not in its range"),
    ("[{learning_rate: .inf}]", ".inf is not allowed; write a finite number"),
    ("[{epochs: true}]", "search.first[1].epochs: true is not in its range"),
    ("[{epochs: {low: 1, high: 2}}]", "search.first[1].epochs: a mapping is not in its range"),
    ("{epochs: 2}", "search.first: "),
    ("[2]", "search.first[1]: "),
]


@pytest.mark.parametrize(("first", "said"), MISTAKES)
def test_a_wrong_first_config_is_refused_with_its_place(first, said):
    with pytest.raises(ConfigError) as caught:
        experiment(f"search: {{first: {first}}}\n")
    assert str(caught.value).startswith("./space.yaml:3:") or str(caught.value).startswith("space.yaml:3:")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_of_another_branch_is_refused():
    body = "search: {first: [{model: 'n_layers=1..3, width=64', n_layers.2: 5}]}\n"
    with pytest.raises(ConfigError, match=r"search.first\[1\].n_layers.2: this config has no n_layers.2"):
        experiment(body, ranges=CONDITIONAL)


def test_choices_are_listed_where_a_value_is_none_of_them():
    with pytest.raises(ConfigError, match=r"batch_size: 5 is not in its range \(choices 8 \| 16\)"):
        experiment("search: {first: [{batch_size: 5}]}\n", ranges="training:\n  batch_size: {choices: [8, 16]}\n")


def test_a_policy_of_ones_own_decides_which_configs_come_first():
    with pytest.raises(ConfigError, match=r"search.first: a policy of your own decides which configs come first"):
        experiment("search: {policy: 'python:mine:make', first: [{epochs: 2}]}\n")


def with_trainer(folder, code, space):
    """The experiment of a space whose trainer is in a module beside it, with a name that no other test uses."""
    module = f"fits_{uuid.uuid4().hex}"
    (folder / f"{module}.py").write_text(code)
    return Experiment.loads(f"trainer: 'python:{module}:Fits'\n{space}", path=f"{folder}/space.yaml")


def ruled(folder, rules):
    space = "fit:\n  rate: {low: 0.1, high: 1.0}\n  degree: {choices: [1, 2, 9]}\n"
    return with_trainer(folder, RULED.replace("RULES", rules), space)


def test_a_trainer_of_ones_own_has_rules(tmp_path):
    found = ruled(tmp_path, "{'fit': {'degree': hpsearch.Rule(7, 'folklore'), 'other': hpsearch.Rule(1, '')}}")
    params, rules = values(found)
    assert params == {"rate": 0.55, "degree": 9}
    assert rules["degree"].source == "folklore"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("5", "rules() returned 5; allowed"),
        ("{'fit': 5}", "rules() returned no mapping of sections"),
        ("{'fit': {'degree': 5}}", "rules() returned 5 for fit.degree; allowed: a Rule of a number"),
        ("{'fit': {'degree': hpsearch.Rule('x', '')}}", "for fit.degree; allowed: a Rule of a number"),
        ("{'fit': {'degree': hpsearch.Rule(float('nan'), '')}}", "for fit.degree; allowed: a Rule of a number"),
        ("1 / 0", "rules() raised ZeroDivisionError"),
    ],
)
def test_wrong_rules_are_a_line(tmp_path, rules, said):
    with pytest.raises(ConfigError) as caught:
        ruled(tmp_path, rules)
    assert said in str(caught.value)
    assert f"{tmp_path}/space.yaml:1:" in str(caught.value)
    assert "\n" not in str(caught.value)


VALIDATOR = """
    @pydantic.model_validator(mode="after")
    def no_parabola(self):
        if self.degree == 2:
            raise ValueError("no parabola")
        return self
"""


def test_a_middle_that_the_sections_refuse_is_a_warning(tmp_path):
    code = "import pydantic\n" + RULED.replace("    degree: int = 3\n", f"    degree: int = 3\n{VALIDATOR}")
    code, space = code.replace("RULES", "{}"), "fit:\n  degree: {choices: [1, 2, 9]}\n"
    found = with_trainer(tmp_path, code, space)
    [line] = [line for line in found.warnings if "trial 0" in line]
    assert "no parabola" in line
    off = with_trainer(tmp_path, code, space + "search: {default: false}\n")
    assert not any("trial 0" in line for line in off.warnings)
    decision = load(found).next(History(study="s"))
    assert decision.label == ""
    assert decision.params["degree"] in (1, 2, 9)


@pytest.mark.parametrize("choices", ["{low: 1, high: 9}", "{choices: [1, 2]}"])
def test_a_seed_in_a_section_of_ones_own_has_no_range_either(tmp_path, choices):
    code = RULED.replace("degree", "seed").replace("RULES", "{}")
    with pytest.raises(ConfigError, match=r"space.yaml:3:\d+: fit.seed.*: a seed is no hyperparameter"):
        with_trainer(tmp_path, code, f"fit:\n  seed: {choices}\n")
    assert with_trainer(tmp_path, code, "fit:\n  seed: 7\n").space.params == {}
