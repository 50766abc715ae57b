"""Scores of predicted labels; imports scikit-learn when first needed, and numpy for their replicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpsearch.tasks.scores.replicates import Replicates, dealt, without

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def scores(
    y_true: Sequence[int], y_pred: Sequence[int], labels: Sequence[int], *, positive: int | None = None
) -> dict[str, float]:
    """Macro, micro and weighted F1, accuracy (each 0 to 1) and Matthews correlation (-1 to 1; 0 is chance).

    Averages over all `labels`; a label that never occurs has F1 0. With `positive`: also F1, precision and recall of
    that label.
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_recall_fscore_support

    def f1(average: str) -> float:
        return float(f1_score(y_true, y_pred, labels=list(labels), average=average, zero_division=0.0))

    found = {f"f1_{average}": f1(average) for average in ("macro", "micro", "weighted")}
    found["accuracy"] = float(accuracy_score(y_true, y_pred))
    several = len({*y_true, *y_pred}) > 1  # else scikit-learn warns, and returns 0 too
    found["mcc"] = float(matthews_corrcoef(y_true, y_pred)) if several else 0.0
    if positive is not None:
        of_one = precision_recall_fscore_support(y_true, y_pred, labels=[positive], zero_division=0.0)
        found |= {name: float(of_one[i][0]) for i, name in enumerate(("precision", "recall", "f1"))}
    return found


def replicates(
    y_true: Sequence[int], y_pred: Sequence[int], n_labels: int, *, positive: int | None = None
) -> Replicates:
    """The scores without each group of the examples (replicates.py), from the counts of each label in each group."""
    import numpy as np

    groups = dealt(len(y_true))
    shape = (int(groups.max(initial=0)) + 1, n_labels)

    def left(labels: Sequence[int], chosen: NDArray[np.bool_] | slice = slice(None)) -> NDArray[np.float64]:
        counts = np.zeros(shape)
        np.add.at(counts, (groups[chosen], np.asarray(labels)[chosen]), 1)
        return without(counts)

    right = left(y_true, np.asarray(y_true) == np.asarray(y_pred))
    found = _of_counts(right, left(y_true), left(y_pred), positive)
    return {name: values.tolist() for name, values in found.items()}


def _of_counts(
    right: NDArray[np.float64], true: NDArray[np.float64], guessed: NDArray[np.float64], positive: int | None
) -> dict[str, NDArray[np.float64]]:
    """The scores (G) of counts (G, labels): right answers, true labels, answers; Matthews correlation is Gorodkin's."""
    n = true.sum(1)
    f1 = _share(2 * right, true + guessed)
    accuracy = _share(right.sum(1), n)
    covariance = n * right.sum(1) - (true * guessed).sum(1)
    deviations = ((n * n - (true * true).sum(1)) * (n * n - (guessed * guessed).sum(1))) ** 0.5
    found = {"f1_macro": f1.mean(1), "f1_micro": accuracy, "f1_weighted": _share((true * f1).sum(1), n)}
    found |= {"accuracy": accuracy, "mcc": _share(covariance, deviations)}
    if positive is not None:
        precision, recall = _share(right, guessed)[:, positive], _share(right, true)[:, positive]
        found |= {"precision": precision, "recall": recall, "f1": f1[:, positive]}
    return found


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient; 0 where the whole is 0."""
    import numpy as np

    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def confusion(y_true: Sequence[int], y_pred: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """The confusion matrix: true labels are rows, predicted labels are columns, in the order of `labels`."""
    from sklearn.metrics import confusion_matrix

    counts: list[list[int]] = confusion_matrix(y_true, y_pred, labels=list(labels)).tolist()
    return counts
