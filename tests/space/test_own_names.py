"""The section of a user's own names: any value, any range, nested or flat, with the place of each mistake."""

import pytest

from hpsearch.config import OwnNames, nested
from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment

HEAD = "study: mine\ntrain: ./mine.py:train\n"


@pytest.fixture
def load(tmp_path):
    """Loads a file whose section `config` has these lines; they begin in line 4."""
    (tmp_path / "mine.py").write_text("def train(config, trial):\n    return {'val/loss': 1.0}\n")

    def loaded(lines):
        text = HEAD + "config:\n" + "".join(f"  {line}\n" for line in lines.splitlines())
        return Experiment.loads(text, path=tmp_path / "space.yaml")

    return loaded


def config_of(experiment, **values):
    found = experiment.config(experiment.space.internal(values))
    return found.config.nested


def test_values_and_ranges_nested_and_flat(load):
    experiment = load(
        "epochs: {low: 1, high: 6}\n"
        "name: 学习\n"
        "schedule: null\n"
        "betas: [0.9, 0.99]\n"
        "layers: [{units: 3}, {units: 4}]\n"
        "empty: {}\n"
        "optimizer: {lr: {low: 1e-4, high: 1e-1, log: true}, inner: {momentum: {choices: [0.0, 0.9]}}}\n"
        "data.path: x.csv\n"
    )
    assert list(experiment.space.params) == ["epochs", "optimizer.lr", "optimizer.inner.momentum"]
    assert config_of(experiment, **{"epochs": 3, "optimizer.lr": 0.01, "optimizer.inner.momentum": 0.9}) == {
        "epochs": 3,
        "name": "学习",
        "schedule": None,
        "betas": [0.9, 0.99],
        "layers": [{"units": 3}, {"units": 4}],
        "empty": {},
        "optimizer": {"lr": 0.01, "inner": {"momentum": 0.9}},
        "data": {"path": "x.csv"},
    }


def test_ends_that_are_integers_make_integers(load):
    params = load("a: {low: 1, high: 6}\nb: {low: 1, high: 6.0}\nc: {low: 0, high: 10, step: 5}\n").space.describe()
    assert params["a"] == {"low": 1, "high": 6, "step": 1, "log": False}
    assert params["b"] == {"low": 1.0, "high": 6.0, "step": None, "log": False}
    assert params["c"] == {"low": 0, "high": 10, "step": 5, "log": False}


def test_a_key_that_is_a_word_of_ranges_may_be_the_users(load):
    assert load("scheduler: {step: 10, log: true, gamma: 0.1}\n").train_config().config.nested == {
        "scheduler": {"step": 10, "log": True, "gamma": 0.1}
    }


def test_choices_between_sub_configs_of_a_name(load):
    experiment = load(
        "optimizer:\n"
        "  decay: 0.1\n"
        "  choices:\n"
        "  - {name: adam, lr: {low: 1e-4, high: 1e-2, log: true}}\n"
        "  - {name: sgd, lr: {low: 1e-2, high: 1.0, log: true}, momentum: {choices: [0.0, 0.9]}}\n"
    )
    assert experiment.space.describe()["optimizer"] == {
        "choices": ["name=adam, lr=0.0001..0.01", "name=sgd, lr=0.01..1.0, momentum=0.0|0.9"]
    }
    assert list(experiment.space.params)[1:] == ["optimizer.lr.1", "optimizer.lr.2", "optimizer.momentum"]
    chosen = config_of(experiment, **{"optimizer": "name=adam, lr=0.0001..0.01", "optimizer.lr.1": 1e-3})
    assert chosen == {"optimizer": {"decay": 0.1, "name": "adam", "lr": 1e-3}}


def test_choices_between_a_value_and_a_sub_config(load):
    experiment = load("scheduler: {choices: [null, {name: cosine, warmup: {low: 0.0, high: 0.2}}]}\n")
    assert config_of(experiment, scheduler="null") == {"scheduler": None}
    label = experiment.space.describe()["scheduler"]["choices"][1]
    found = config_of(experiment, scheduler=label, **{"scheduler.warmup": 0.1})
    assert found == {"scheduler": {"name": "cosine", "warmup": 0.1}}


def test_choices_of_the_whole_section(load):
    experiment = load("epochs: 3\nchoices: [{width: 8}, {width: 16, depth: {low: 1, high: 4}}]\n")
    label = experiment.space.describe()["config"]["choices"][1]
    assert config_of(experiment, config=label, depth=2) == {"epochs": 3, "width": 16, "depth": 2}


def test_what_is_written_is_read_again_as_the_same_space(load, tmp_path):
    experiment = load(
        "name: x\n"
        "optimizer: {decay: 0.1, choices: [{name: adam}, {name: sgd, lr: {low: 1e-2, high: 1.0, prior: off}}]}\n"
        "scheduler: {choices: [null, {warmup: {low: 0.0, high: 0.2}}]}\n"
    )
    again = Experiment.of(experiment.normalised(), base=tmp_path)
    assert again.identity() == experiment.identity()
    assert again.space.written() == experiment.space.written()


def test_a_null_of_the_user_is_kept_where_ours_are_left_out():
    names = OwnNames.model_validate({"a.b": None, "model_config": 1, "copy": 2, "json": None})
    assert names.model_dump(mode="json", exclude_none=True) == names.flat
    assert names.nested == {"a": {"b": None}, "model_config": 1, "copy": 2, "json": None}


def test_nested_joins_names_with_equal_beginnings():
    assert nested({"a.b.c": 1, "a.b.d": 2, "e": 3}) == {"a": {"b": {"c": 1, "d": 2}}, "e": 3}


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ("lr: {low: 1}", "4:7", "config.lr: 'high' is missing; a range needs low and high"),
        ("a: {b: {low: 2, high: 1}}", "4:10", "config.a.b: low 2 is above high 1"),
        ("lr: {low: 1, high: 2, hgih: 3}", "4:25", "config.lr.hgih: unknown key; did you mean 'high'?"),
        ("lr: {low: a, high: b}", "4:13", "config.lr.low: must be a number, not 'a'"),
        ("lr: {min: 1e-5, max: 1e-2}", "4:7", "config.lr: is this a range? Then write {low: 1e-05, high: 0.01}"),
        ("a: 1\na.b: 2", "5:3", "config.a.b: a has a value, so it cannot contain a.b"),
        ("a: {b: 1}\na.b: 2", "5:3", "config.a.b: a.b is given twice"),
        ("a..b: 1", "4:3", "config.a..b: 'a..b' is no name: a part of it is empty"),
        ("low: 1", "4:3", "config.low: low is a word of a range, which stands in the mapping of a name"),
        ("x: [1, .nan]", "4:10", ".nan is not allowed; write a finite number"),
        ("x: {choices: []}", "4:16", "config.x.choices: an empty list; at least one choice is needed"),
        ("x: {choices: [1, 1]}", "4:20", "config.x.choices[2]: 1 is given twice"),
        (
            "x: {y: 1, choices: [null, {a: 1}]}",
            "4:23",
            "config.x.choices[1]: must be a mapping: y stand beside the choices",
        ),
        (
            "x: {choices: [{a: {choices: [{b: 1}, {b: 2}]}}, {a: 3}]}",
            "4:22",
            "config.x.choices[1].a.choices: choices within choices; write them as one list",
        ),
        ("seed: {low: 1, high: 3}", "4:9", "config.seed: a seed is no hyperparameter"),
    ],
)
def test_mistakes_are_said_with_their_place(load, lines, place, words):
    with pytest.raises(ConfigError) as refused:
        load(lines)
    _, _, said = str(refused.value).partition("space.yaml:")
    assert said.startswith(f"{place}: {words}"), said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: ./mine.py:train\ntrainer: causal_lm\n", "1:1: train: trainer and train cannot both be given"),
        ("trainer: function\n", "1:10: trainer: write train: ... in place of trainer: function"),
        ("train: 3\n", "1:8: train: must be text, not 3"),
        ("train: mine.train\n", "1:8: train: 'mine.train' names no function; write ./my_train.py:train or"),
        (
            "train: __main__:train\n",
            "1:8: train: __main__:train: a worker has another __main__; write the function in a",
        ),
        ("train: ./none.py:train\n", "1:8: train: ./none.py:train: no such file"),
        ("train: ./mine.py:trian\n", "1:8: train: ./mine.py:trian: mine.py defines no trian; its functions: train"),
        ("train: ./broken.py:train\n", "1:8: train: ./broken.py:train: broken.py:2 is no Python"),
        ("train: ./mine.py:train\nmodel: {width: 3}\n", "2:1: model: unknown key"),
        ("train: ./mine.py:train\nbudget: {trials: {low: 1, high: 2}}\n", "2:18: budget.trials: a range is allowed"),
    ],
)
def test_mistakes_around_the_section(tmp_path, text, said):
    (tmp_path / "mine.py").write_text("def train(config, trial):\n    return {'val/loss': 1.0}\n")
    (tmp_path / "broken.py").write_text("\ndef train(config, trial:\n")
    with pytest.raises(ConfigError) as refused:
        Experiment.loads(text, path=tmp_path / "space.yaml")
    assert str(refused.value).partition("space.yaml:")[2].startswith(said)


def test_a_function_in_place_of_its_name_is_answered_with_its_name():
    def my_train(config, trial):
        return 1.0

    for given in ({"train": my_train}, {"train": "x", "config": {"loss": {"choices": [my_train]}}}):
        with pytest.raises(ConfigError, match=r"write it in a file, and here './my_train.py:my_train'$"):
            Experiment.of({"study": "mine", **given})
