"""Params as columns of a table of trials."""

import pytest

from hpsearch.displays.trials import differing, importance, param_columns, short_names


def test_params_that_do_not_differ_are_apart():
    assert differing([{"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 1, "b": "x", "c": 3}]) == (["a", "c"], {"b": "x"})
    assert differing([{"a": 1}]) == (["a"], {})
    assert differing([]) == ([], {})


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["training.learning_rate", "model.width"], ["learning_rate", "width"]),
        (["a.x.rate", "b.x.rate", "c.size"], ["a.x.rate", "b.x.rate", "size"]),
        (["a.rate", "b.rate"], ["a.rate", "b.rate"]),
        (["n_layers.1", "n_layers.2", "width"], ["n_layers.1", "n_layers.2", "width"]),
        (["rate", "a.rate"], ["rate", "a.rate"]),
        (["学习率", "моё.имя"], ["学习率", "имя"]),
    ],
)
def test_short_names_are_last_parts_unless_they_would_be_alike(names, short):
    assert list(short_names(names).values()) == short


def test_a_param_matters_as_its_ranks_go_with_the_values():
    trials = [{"a": 1, "b": 3, "c": "x"}, {"a": 2, "b": 1, "c": "y"}, {"a": 3, "b": 2, "c": "x"}]
    assert importance("a", trials, [1.0, 2.0, 3.0]) == 1.0
    assert importance("b", trials, [1.0, 2.0, 3.0]) == pytest.approx(0.5)
    assert importance("c", trials, [1.0, 9.0, 1.0]) == 1.0
    assert importance("a", trials, [float("nan")] * 3) == 0.0
    assert importance("d", trials, [1.0, 2.0, 3.0]) == 0.0


def test_what_does_not_fit_stands_below_and_then_what_matters_least_is_left_out():
    names = ["alpha_beta", "gamma", "delta"]
    trials = [dict.fromkeys(names, 1), dict.fromkeys(names, 2)]

    def columns(width):
        def fits(found):
            return sum(max(map(len, head.split("\n"))) for head in found.heads) + 2 * len(found.heads) <= width

        return param_columns(names, trials, fits, {"alpha_beta": 0.9, "gamma": 0.1, "delta": 0.5})

    assert (columns(30).heads, columns(30).framed) == (("alpha_beta", "gamma", "delta"), True)
    assert (columns(23).heads, columns(23).framed) == (("alpha_\nbeta", "gamma", "delta"), True)
    assert (columns(20).heads, columns(20).framed) == (("alpha_beta\ngamma", "delta"), False)
    assert columns(12).heads == ("alpha_beta\ngamma\ndelta",)
    assert columns(12).rows == (("1\n1\n1",), ("2\n2\n2",))
    assert columns(1).rows == ((), ())
    assert set(columns(1).left_out) == set(names)
