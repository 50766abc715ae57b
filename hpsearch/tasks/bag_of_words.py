"""TF-IDF with logistic regression, the classifier that a second of scikit-learn trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hpsearch.tasks.scores import script

EXAMPLES = 20_000  # of the train split, at most
LONGEST = 10_000  # characters of a text that are read
FEATURES, COEFFICIENTS = 50_000, 2_000_000  # at most: words and pairs of words; times labels
AT_ONCE = 2_000  # texts that are classified at once
SPACED = ("13a", "ko-mecab")  # scripts that separate words by spaces, as script.tokenizers names them


def probabilities(
    texts: Sequence[str], labels: Sequence[int], valid: Sequence[str], n_labels: int
) -> Iterator[NDArray[np.float64]]:
    """Yields the probabilities (n, labels) of the next valid texts' labels, learnt from the train texts.

    Features are words and pairs of words, or up to three characters in scripts without spaces. C = 10 (less
    regularisation than scikit-learn's default) is better on short texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    most = max(100, min(FEATURES, COEFFICIENTS // n_labels))
    by_word = script.tokenizers(texts)[0] in SPACED
    cut: dict[str, object] = {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    options = cut if by_word else {"analyzer": "char", "ngram_range": (1, 3)}
    vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=most, **options)
    model = LogisticRegression(C=10.0, max_iter=200)
    model.fit(vectorizer.fit_transform(texts), labels)
    for start in range(0, len(valid), AT_ONCE):
        some = [text[:LONGEST] for text in valid[start : start + AT_ONCE]]
        found = np.zeros((len(some), n_labels))
        found[:, model.classes_] = model.predict_proba(vectorizer.transform(some))
        yield found
