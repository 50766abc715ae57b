"""Which parameters exist beside which values."""

import numpy as np

from hpsearch.policies.curves.conditions import Conditions

COUNTS = [2, 3, None, None]  # a, b, and two floats


def learned(positions, active):
    return Conditions.learn(np.array(positions), np.array(active, dtype=bool), COUNTS)


def test_a_parameter_of_one_branch_is_seen():
    found = learned(
        [[0.25, 0.5, 0.1, 0.5], [0.75, 0.5, 0.2, 0.3], [0.25, 0.1, 0.3, 0.5]],
        [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]],
    )
    assert found.active(np.array([[0.25, 0.9, 0.5, 0.5], [0.75, 0.9, 0.5, 0.5]])).tolist() == [
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_a_condition_may_depend_on_a_parameter_that_is_missing_itself():
    found = learned(
        [[0.25, 0.5, 0.1, 0.5], [0.75, 1 / 6, 0.2, 0.5], [0.75, 0.5, 0.3, 0.5], [0.75, 5 / 6, 0.3, 0.2]],
        [[1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]],
    )
    at = np.array([[0.25, 5 / 6, 0.5, 0.5], [0.75, 5 / 6, 0.5, 0.5], [0.75, 0.5, 0.5, 0.5]])
    assert found.active(at)[:, [1, 3]].tolist() == [[False, False], [True, True], [True, False]]


def test_parameters_that_all_trials_have_need_no_condition():
    assert list(learned([[0.25, 0.5, 0.1, 0.5]], [[1, 1, 1, 1]]).known) == []


def test_an_absence_without_an_explanation_is_ignored():
    found = learned([[0.25, 0.5, 0.1, 0.5], [0.25, 0.5, 0.2, 0.3]], [[1, 1, 1, 0], [1, 1, 1, 1]])
    assert found.active(np.array([[0.25, 0.5, 0.5, 0.5]])).all()
