"""The task translation: how a set is scored."""

import numpy as np
import pytest

from hpsearch.data.token_arrays import CorpusSet, PairTokens
from hpsearch.tasks import EvaluationConfig, TranslationSet

LONG = " ".join(["word"] * 25)  # a target for which the translation edit rate takes too long


def pairs(references):
    empty = np.zeros(0, np.int32)
    tokens = PairTokens(empty, np.zeros(1, np.int64), empty, empty, references=references)
    return CorpusSet("pairs", "translation", {"train": tokens})


@pytest.mark.parametrize(("metric", "expected"), [("val/loss", False), ("val/ter", True), ("val/pairs/ter", True)])
def test_the_edit_rate_is_measured_where_it_is_the_objective(metric, expected):
    section = TranslationSet(task="translation", files={"train": "a.tsv"})
    measure = section.measure(pairs([LONG] * 3), EvaluationConfig(), metric=metric)
    assert measure.scoring.ter is expected
