"""Parameters as positions and columns."""

import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.policies.curves.encoding import Encoding

SPACE = {
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "share": FloatDistribution(0.0, 0.5),
    "stepped": FloatDistribution(0.1, 0.5, step=0.1),
    "layers": IntDistribution(1, 6),
    "width": IntDistribution(16, 64, step=16),
    "batch": IntDistribution(1, 1000, log=True),
    "kind": CategoricalDistribution(["a", "b", None]),
}


def encoding():
    return Encoding(SPACE)


def test_values_come_back_from_their_positions():
    params = {"rate": 3e-3, "share": 0.1, "stepped": 0.3, "layers": 6, "width": 48, "batch": 100, "kind": None}
    back = encoding().params(encoding().read([params])[0][0])
    assert back.pop("kind") is params.pop("kind")
    assert back == pytest.approx(params)


def test_every_position_is_a_value_of_its_distribution():
    drawn = np.random.default_rng(0).random((500, len(SPACE)))
    for positions in [*drawn, np.zeros(len(SPACE)), np.ones(len(SPACE))]:
        for name, value in encoding().params(positions).items():
            distribution = SPACE[name]
            assert distribution._contains(distribution.to_internal_repr(value)), (name, value)
            assert isinstance(value, int) == isinstance(distribution, IntDistribution)


def test_uniform_positions_are_uniform_draws():
    drawn = encoding().snapped(np.random.default_rng(0).random((6000, len(SPACE))))
    params = [encoding().params(positions) for positions in drawn]
    for value in range(1, 7):
        assert sum(p["layers"] == value for p in params) == pytest.approx(1000, abs=130)
    for kind in ("a", "b", None):
        assert sum(p["kind"] == kind for p in params) == pytest.approx(2000, abs=180)
    assert sum(p["rate"] < math.sqrt(1e-4 * 1e-1) for p in params) == pytest.approx(3000, abs=250)
    assert sum(p["batch"] <= 31 for p in params) == pytest.approx(3000, abs=350)


def test_equal_values_have_equal_snapped_positions():
    at = encoding().snapped(np.full((2, len(SPACE)), 0.45) + np.array([[0.0], [1e-3]]))
    different = ~np.isclose(at[0], at[1], atol=1e-9)
    assert [name for name, differs in zip(SPACE, different, strict=True) if differs] == ["rate", "share"]
    once = encoding().snapped(at)
    assert once == pytest.approx(at, abs=1e-9)


def test_choices_are_at_distance_1_and_what_is_missing_is_in_the_middle():
    parts = encoding()
    params = {"share": 0.0, "kind": "a"}
    rows = [params, params | {"kind": "b"}, {"share": 0.5}]
    columns = parts.columns(*parts.read(rows))
    kind, share = parts.groups[-1], parts.groups[1]
    assert np.linalg.norm(columns[0, kind] - columns[1, kind]) == pytest.approx(1.0)
    missing = np.linalg.norm(columns[2, kind] - columns[:2, kind], axis=1)
    assert missing[0] == pytest.approx(missing[1])
    assert missing[0] < 1.0
    assert columns[:, share].ravel() == pytest.approx([0.0, 0.0, 1.0])


def test_the_size_of_a_space_is_known_if_it_is_countable():
    assert encoding().size is None
    assert Encoding({name: SPACE[name] for name in ("stepped", "layers", "width", "kind")}).size == 5 * 6 * 4 * 3
