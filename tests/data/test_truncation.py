"""The rule for examples longer than the context; tests/training/test_batches.py tests the rows."""

import numpy as np
import pytest

from hpsearch.data.truncation import Cut, text_rows
from hpsearch.tasks import ClassificationSet, TranslationSet

FILES = {"files": {"train": "a.tsv"}}


@pytest.mark.parametrize(
    ("context", "max_new_tokens", "longest"), [(128, 128, 64), (128, 40, 88), (128, 64, 64), (9, 128, 5), (8, 1, 7)]
)
def test_a_source_leaves_room_for_what_may_be_decoded_at_most_half(context, max_new_tokens, longest):
    pairs = TranslationSet.model_validate({"task": "translation", **FILES})
    cut = pairs.cut(context=context, max_new_tokens=max_new_tokens)
    assert cut.longest_prompt == longest
    prompts, targets = cut.kept(np.array([2, longest, 500]), np.array([500, 1, 500]))
    assert prompts.tolist() == [2, longest, longest]
    assert targets.tolist() == [min(500, context - 1), 1, context + 1 - longest]


def test_a_labelled_text_leaves_room_for_its_label():
    moods = ClassificationSet.model_validate({"task": "classification", "truncate": "left", **FILES})
    cut = moods.cut(context=16, max_new_tokens=128)
    assert (cut.longest_prompt, cut.truncate) == (16, "left")
    assert [array.tolist() for array in cut.kept(np.array([3, 16, 17]), np.ones(3, int))] == [[3, 16, 16], [1, 1, 1]]


@pytest.mark.parametrize(("truncate", "heads"), [("right", [1, 4, 5]), ("left", [1, 1, 1]), ("middle", [1, 3, 3])])
def test_the_gap_never_takes_the_task_or_the_separator(truncate, heads):
    assert Cut.of(16, truncate=truncate).heads(np.array([2, 5, 6])).tolist() == heads


@pytest.mark.parametrize(
    ("n_tokens", "context", "rows"), [(2, 8, 1), (9, 8, 1), (10, 8, 2), (16, 8, 2), (17, 8, 3), (1000, 100, 10)]
)
def test_a_text_is_as_many_rows_as_hold_each_of_its_tokens(n_tokens, context, rows):
    assert text_rows(n_tokens, context) == rows
