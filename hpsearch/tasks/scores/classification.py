"""Scores of predicted labels; imports scikit-learn when first needed."""

from __future__ import annotations

from collections.abc import Sequence


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


def confusion(y_true: Sequence[int], y_pred: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """The confusion matrix: true labels are rows, predicted labels are columns, in the order of `labels`."""
    from sklearn.metrics import confusion_matrix

    counts: list[list[int]] = confusion_matrix(y_true, y_pred, labels=list(labels)).tolist()
    return counts
