"""Ranges to Optuna and back: every kind of range, names, conditional spaces, grids."""

import json

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from hpsearch.document.document import Fault
from hpsearch.document.ranges import ends
from hpsearch.errors import ConfigError
from hpsearch.space.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)

EVERY_KIND = {
    "tokenizer": {
        "choices": [{"kind": "bytes"}, {"kind": "bpe", "vocab_size": {"low": 300, "high": 900, "step": 300}}],
    },
    "model": {
        "context": 64,
        "choices": [{"n_layers": 2, "width": 96}, {"n_layers": {"low": 3, "high": 6}, "width": 128}],
        "dropout": {"low": 0, "high": 0.3, "step": 0.1},
        "n_kv_heads": {"choices": [None, 1]},
    },
    "training": {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "batch_size": {"choices": [32, 8, 64, 16]},
        "schedule": {"choices": ["wsd", "cosine"]},
        "epochs": {"low": 1, "high": 3},
        "compile": {"choices": [True, False]},
    },
}
CONDITIONAL = {
    "model": {
        "choices": [
            {"n_layers": {"low": 1, "high": 2}, "width": 64},
            {"n_layers": {"low": 3, "high": 9}, "width": 128, "dropout": {"low": 0.0, "high": 0.5}},
        ]
    }
}


def suggestions(space: Space, *, n: int, seed: int = 0) -> list[tuple[optuna.Trial, dict]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trials = [study.ask() for _ in range(n)]
    return [(trial, space.suggest(trial)) for trial in trials]


def test_params_stand_in_the_order_of_the_file():
    assert list(Space.parse(EVERY_KIND).params) == [
        "tokenizer",
        "vocab_size",
        "model",
        "n_layers",
        "dropout",
        "n_kv_heads",
        "learning_rate",
        "batch_size",
        "schedule",
        "epochs",
        "compile",
    ]


def test_describe_is_json_and_shows_values():
    described = json.loads(json.dumps(Space.parse(EVERY_KIND).describe()))
    assert described["vocab_size"] == {"low": 300, "high": 900, "step": 300, "log": False}
    assert described["dropout"] == {"low": 0.0, "high": 0.3, "step": 0.1, "log": False}
    assert described["learning_rate"] == {"low": 0.0001, "high": 0.01, "step": None, "log": True}
    assert described["batch_size"] == {"choices": [8, 16, 32, 64]}
    assert described["n_kv_heads"] == {"choices": [None, 1]}
    assert described["compile"] == {"choices": [True, False]}
    assert described["model"] == {"choices": ["n_layers=2, width=96", "n_layers=3..6, width=128"]}
    assert described["epochs"] == {"low": 1.0, "high": 3.0, "step": None, "log": False}


def test_suggestions_give_what_the_config_holds():
    space = Space.parse(EVERY_KIND)
    seen = set()
    for trial, internal in suggestions(space, n=60):
        assert trial.params == internal
        values, config = space.values(internal), space.config(internal)
        small = values["model"] == "n_layers=2, width=96"
        assert config["model"]["width"] == (96 if small else 128)
        assert ("n_layers" in values) is not small
        assert config["model"]["n_layers"] == values.get("n_layers", 2)
        assert ("vocab_size" in values) is (config["tokenizer"]["kind"] == "bpe")
        assert config["training"]["batch_size"] == values["batch_size"] == [8, 16, 32, 64][internal["batch_size"]]
        assert config["model"]["dropout"] in (0.0, 0.1, 0.2, 0.3)
        assert type(config["training"]["compile"]) is bool
        assert config["model"]["context"] == 64
        assert 1e-4 <= config["training"]["learning_rate"] <= 1e-2
        seen.add((values["model"], values["n_kv_heads"], values["compile"], config["model"]["dropout"]))
    assert len(seen) > 20


def test_equal_seeds_give_equal_suggestions():
    space = Space.parse(EVERY_KIND)
    assert [i for _, i in suggestions(space, n=5)] == [i for _, i in suggestions(space, n=5)]


def test_values_of_a_fixed_trial():
    space = Space.parse(EVERY_KIND)
    internal = {
        "tokenizer": "kind=bpe, vocab_size=300..900",
        "vocab_size": 600,
        "model": "n_layers=3..6, width=128",
        "n_layers": 5,
        "dropout": 0.1,
        "n_kv_heads": "null",
        "learning_rate": 1e-3,
        "batch_size": 3,
        "schedule": "cosine",
        "epochs": 2.5,
        "compile": "false",
    }
    assert space.suggest(FixedTrial(internal)) == internal
    between = {**internal, "dropout": 0.30000000000000004}  # 0.1 + 0.1 + 0.1: a sampler may add the steps up
    assert space.config(between) == {
        "tokenizer": {"kind": "bpe", "vocab_size": 600},
        "model": {"context": 64, "dropout": 0.3, "n_kv_heads": None, "n_layers": 5, "width": 128},
        "training": {
            "learning_rate": 1e-3,
            "batch_size": 64,
            "schedule": "cosine",
            "epochs": 2.5,
            "compile": False,
        },
    }


def test_internal_is_the_inverse_of_values_through_json():
    space = Space.parse(EVERY_KIND)
    for _, internal in suggestions(space, n=20, seed=3):
        again = space.internal(json.loads(json.dumps(space.values(internal))))
        assert space.values(again) == space.values(internal)
        assert space.config(again) == space.config(internal)
    with pytest.raises(ConfigError, match="batch_size: 7 is not in this space"):
        space.internal({**space.values(internal), "batch_size": 7})


def test_a_missing_value_is_named():
    with pytest.raises(ConfigError, match="model: this trial has no value"):
        Space.parse(CONDITIONAL).config({})


def test_a_key_that_is_a_range_in_two_branches_is_told_apart():
    space = Space.parse(CONDITIONAL)
    assert list(space.params) == ["model", "n_layers.1", "n_layers.2", "dropout"]
    assert space.conditional
    small, large = space.params["model"].labels
    assert space.config({"model": small, "n_layers.1": 2}) == {"model": {"n_layers": 2, "width": 64}}
    assert space.config({"model": large, "n_layers.2": 7, "dropout": 0.25}) == {
        "model": {"n_layers": 7, "width": 128, "dropout": 0.25}
    }


def test_a_choice_of_one_key_may_be_a_range_or_set_other_keys():
    dropout = {"choices": [0.0, {"low": 0.1, "high": 0.5}]}
    schedule = {"choices": ["cosine", {"schedule": "wsd", "cooldown": {"low": 0.1, "high": 0.4}}]}
    space = Space.parse({"model": {"dropout": dropout}, "training": {"schedule": schedule}})
    assert list(space.params) == ["dropout", "dropout.2", "schedule", "cooldown"]
    internal = {
        "dropout": "0.1..0.5",
        "dropout.2": 0.3,
        "schedule": "schedule=wsd, cooldown=0.1..0.4",
        "cooldown": 0.2,
    }
    assert space.suggest(FixedTrial(internal)) == internal
    assert space.config(internal) == {
        "model": {"dropout": 0.3},
        "training": {"schedule": "wsd", "cooldown": 0.2},
    }
    assert space.config({"dropout": "0.0", "schedule": "cosine"}) == {
        "model": {"dropout": 0.0},
        "training": {"schedule": "cosine"},
    }


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # of `group`
def test_tpe_with_groups_searches_a_conditional_space():
    space = Space.parse(CONDITIONAL)
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True, group=True, n_startup_trials=4)
    study = optuna.create_study(sampler=sampler)
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, float(space.config(space.suggest(trial))["model"]["n_layers"]))
    assert len(study.trials) == 12


def test_a_space_without_ranges_has_one_config():
    space = Space.parse({"model": {"n_layers": 2}})
    assert (space.params, space.size, space.conditional, space.point(0)) == ({}, 1, False, {})
    assert space.config({}) == {"model": {"n_layers": 2}}


@pytest.mark.parametrize(
    ("training", "size"),
    [
        ({"batch_size": {"low": 1, "high": 10, "step": 4}}, 3),  # 1, 5, 9
        ({"batch_size": {"low": 2, "high": 9, "log": True}}, 8),
        ({"warmup": {"low": 0, "high": 0.3, "step": 0.1}}, 4),
        ({"warmup": {"low": 0.1, "high": 0.1}}, 1),
        ({"warmup": {"low": 0.0, "high": 0.1}}, None),
        ({"warmup": {"choices": [0.0, 0.1]}, "batch_size": {"low": 1, "high": 3}}, 6),
    ],
)
def test_size_counts_distinct_configs(training, size):
    assert Space.parse({"training": training}).size == size


def test_the_size_of_branches_is_their_sum():
    branches = [{"n_layers": {"low": 1, "high": 3}}, {"n_layers": 8, "dropout": {"choices": [0.0, 0.1]}}]
    assert Space.parse({"model": {"choices": branches}}).size == 3 + 2


def test_high_comes_down_to_the_last_step():
    space = Space.parse({"training": {"warmup": {"low": 0.1, "high": 0.55, "step": 0.2}}})
    assert space.describe()["warmup"]["high"] == 0.5
    assert [space.point(index)["warmup"] for index in range(3)] == [0.1, 0.3, 0.5]


def test_a_grid_visits_every_config_once():
    raw = {
        "model": {"choices": [{"width": 64}, {"width": 96}]},
        "training": {
            "batch_size": {"choices": [8, 16]},
            "schedule": {"choices": ["wsd", "linear"]},
            "warmup": {"low": 0.0, "high": 0.3, "step": 0.1},
        },
    }
    space = Space.parse(raw)
    seen = {json.dumps(space.values(space.point(index))) for index in range(space.size or 0)}
    assert len(seen) == space.size == 32


def test_points_stand_in_the_order_of_the_file_the_last_range_first():
    """Also where a branch has ranges of its own; a study with a grid that was begun before goes on with its order."""
    branches = [{"n_layers": 2}, {"n_layers": {"low": 3, "high": 4}, "dropout": {"choices": [0.0, 0.1]}}]
    space = Space.parse({"model": {"choices": branches}, "training": {"epochs": {"choices": [1, 2]}}})
    found = [tuple(space.values(space.point(index)).values())[1:] for index in range(space.size)]
    inner = [(layers, dropout, epochs) for layers in (3, 4) for dropout in (0.0, 0.1) for epochs in (1, 2)]
    assert found == [(1,), (2,), *inner]


def test_whole_numbers_in_the_logarithm_are_drawn_so():
    """Half of what is drawn from 1 to 1000 is below 32, the geometric middle; without the logarithm 3% would be."""
    space = Space.parse({"training": {"batch_size": {"low": 1, "high": 1000, "log": True}}})
    assert space.distribution("batch_size") == IntDistribution(1, 1000, log=True)
    drawn = [internal["batch_size"] for _, internal in suggestions(space, n=300)]
    assert 110 < sum(value < 32 for value in drawn) < 190


def test_a_grid_refuses_what_it_cannot_list():
    with pytest.raises(Fault, match=r"training\.warmup: a grid needs a step or choices"):
        Space.parse({"training": {"warmup": {"low": 0.0, "high": 0.3}}}).check_grid()
    inner = {"choices": [{"width": 64}, {"width": 96, "dropout": {"low": 0.0, "high": 0.3}}]}
    with pytest.raises(Fault, match=r"model\.choices\[2\]\.dropout: a grid needs a step or choices"):
        Space.parse({"model": inner}).check_grid()


def test_distributions_of_the_sampler():
    space = Space.parse(EVERY_KIND)
    assert space.distribution("batch_size") == IntDistribution(0, 3)
    assert space.distribution("n_kv_heads") == CategoricalDistribution(["null", "1"])
    assert space.distribution("learning_rate") == FloatDistribution(1e-4, 1e-2, log=True)
    assert space.distribution("dropout") == FloatDistribution(0.0, 0.3, step=0.1)
    assert space.distribution("vocab_size") == IntDistribution(300, 900, step=300)
    for trial, internal in suggestions(space, n=10):
        assert trial.distributions == {name: space.distribution(name) for name in internal}


def test_a_written_space_reads_back_as_itself():
    space = Space.parse(EVERY_KIND)
    again = Space.parse(json.loads(json.dumps(space.written())))
    assert again.describe().keys() == space.describe().keys()
    for _, internal in suggestions(space, n=10):
        assert again.config(internal) == space.config(internal)
    assert again.written() == space.written()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"width": {"low": 64, "high": 256}}, "n_heads 4 does not divide width 65"),
        ({"width": {"low": 64, "high": 256}}, "{low: 64, high: 256, step: 8} would do"),
        ({"width": {"choices": [64, 100]}, "n_heads": {"choices": [2, 8]}}, "(with width 100, n_heads 8)"),
        ({"width": 96, "n_heads": {"low": 1, "high": 8}}, "{choices: [1, 2, 3, 4, 6, 8]} would do"),
        ({"n_heads": {"choices": [4, 8]}, "n_kv_heads": {"choices": [4, 8]}}, "n_kv_heads 8 does not divide n_heads 4"),
        ({"n_heads": 2, "choices": [{"width": 64}, {"width": 66}]}, "width 66 / n_heads 2 is odd"),
        ({"width": {"low": 64, "high": 9_000, "step": 4}, "n_heads": 1, "n_kv_heads": {"low": 1, "high": 2}}, "with"),
    ],
)
def test_any_combination_that_breaks_a_rule_is_refused(model, words):
    with pytest.raises(Fault) as caught:
        Space.parse({"model": model})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "model",
    [
        {"width": {"low": 64, "high": 256, "step": 8}},
        {"width": {"choices": [64, 128]}, "n_heads": {"choices": [1, 2, 4]}, "n_kv_heads": 1},
        {"n_heads": 2, "choices": [{"width": 64}, {"width": 96, "n_heads": 3}]},
    ],
)
def test_combinations_that_all_hold_are_accepted(model):
    space = Space.parse({"model": model})
    assert space.size is not None
    assert space.size > 1


def test_schedules_must_fit_at_every_corner():
    training = {"schedule": {"choices": ["cosine", "wsd"]}, "warmup": {"low": 0.0, "high": 0.5}}
    assert Space.parse({"training": {**training, "cooldown": {"low": 0.1, "high": 0.5}}}).size is None
    with pytest.raises(Fault, match=r"warmup 0\.5 and cooldown 0\.6"):
        Space.parse({"training": {**training, "cooldown": {"low": 0.1, "high": 0.6}}})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, [(128, 128)]),
        ({"context": 64}, [(64, 64)]),
        ({"context": {"low": 16, "high": 99}}, [(16, 99)]),
        ({"context": {"choices": [256, 32]}}, [(32, 256)]),
        ({"choices": [{"context": 64}, {"context": {"low": 8, "high": 12}}], "context": 500}, [(64, 64), (8, 12)]),
        ({"choices": [{"context": 64}, {"n_layers": 2}], "context": 500}, [(500, 500), (64, 64)]),
        ({"choices": [{"context": 64}, {"n_layers": 2}]}, [(128, 128), (64, 64)]),
        ({"context": {"choices": [{"context": 8, "n_layers": 1}, 16]}}, [(8, 8), (16, 16)]),
        ({"n_layers": {"choices": [{"n_layers": 1, "context": 9}, 2]}}, [(128, 128), (9, 9)]),
    ],
)
def test_the_leaves_of_a_key_are_all_that_a_trial_may_take_it_from(model, expected):
    try:
        space = Space.parse({"model": model})
    except Fault:
        pytest.skip("no such space")
    assert [ends(leaf) for leaf in space.leaves("model", "context")] == expected
