"""A column of ids, or of numbers, as the label is refused."""

import pytest

from hpsearch.config import Split
from hpsearch.data.holdout import divide
from hpsearch.data.split_checks import check_labels
from hpsearch.data.splits import Splits
from hpsearch.errors import DataError


def labelled(labels):
    return [{"text": f"text number {i}", "label": str(label)} for i, label in enumerate(labels)]


SAID = r"^data.mine.label: 50 labels for 50 examples \('0', '1', '10', ...\) look like an id column .*\(label: ...\)$"


def test_ids_are_named_before_splits_are_cut():
    with pytest.raises(DataError, match=SAID):
        divide("mine", {"train": labelled(range(50))}, Split())


def test_ids_are_named_where_a_valid_split_is_given():
    with pytest.raises(DataError, match=SAID):
        check_labels("mine", Splits(labelled(range(50)), labelled(range(50, 60))))


def test_classes_of_one_example_each_pass_where_valid_knows_them_all():
    check_labels("mine", Splits(labelled(range(50)), labelled(range(10))))


@pytest.mark.parametrize("labels", [[i % 25 for i in range(50)], ["a", "b"] * 5 + list(range(9))])
def test_many_classes_are_no_ids(labels):
    assert divide("mine", {"train": labelled(labels)}, Split()).valid


@pytest.mark.parametrize(("different", "are_ids"), [(16, False), (17, True)])
def test_more_than_four_labels_in_five_examples_are_ids(different, are_ids):
    """Of the twenty labels that it takes at least to tell."""
    labels = labelled([i % different for i in range(20)])
    if not are_ids:
        assert divide("mine", {"train": labels}, Split()).valid
        return
    with pytest.raises(DataError, match=r"17 labels for 20 examples .* look like an id column"):
        divide("mine", {"train": labels}, Split())
