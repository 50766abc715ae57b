"""A space whose cool-down hides overfitting is named when it is loaded."""

import pytest

from tests.searching import experiment

FIXED = "training: {{learning_rate: {{low: 1e-4, high: 1e-2}}, schedule: wsd, cooldown: {}}}\n"


def warnings(ranges, body=""):
    return [line for line in experiment(body, ranges=ranges).warnings if "cool-down" in line]


def test_a_long_cooldown_leaves_few_evaluations_to_judge_by():
    said = "a cool-down of 0.9 leaves 1 of 20 evaluations before it"
    assert warnings(FIXED.format(0.9)) == [f"{said}, so overfitting, which is judged before it, is seen late or never"]
    assert warnings(FIXED.format(0.7)) == []  # five are left after the warm-up


def test_the_end_of_a_range_counts_and_is_named_with_its_place():
    [line] = warnings(FIXED.format("{low: 0.1, high: 0.95}"))
    assert line.startswith("./space.yaml:3:77: ")
    assert ": a cool-down of 0.95 leaves 1 of 20 evaluations before it, so" in line
    assert len(warnings(FIXED.format("{choices: [0.1, 0.9]}"))) == 1


@pytest.mark.parametrize(
    ("ranges", "body"),
    [
        (FIXED.format(0.2), ""),
        (FIXED.format(0.2), "evaluation: {times: 5}\n"),  # few, and not by the cool-down
        (FIXED.format(0.9), "search: {overfitting: false}\n"),
        ("training: {learning_rate: {low: 1e-4, high: 1e-2}, schedule: cosine, cooldown: 0.9}\n", ""),
    ],
)
def test_what_hides_nothing_is_not_named(ranges, body):
    assert warnings(ranges, body) == []
