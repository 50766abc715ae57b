"""Converts the journal's events to MLflow's metric rows, tags and texts."""

from __future__ import annotations

from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal import Entry
from hpsearch.journal.trial_history import number

TAG_LENGTH, PARAM_LENGTH = 5000, 6000  # limits of every MLflow >= 3 store, in characters

Row = tuple[str, float, float, int]  # metric name, value, unix seconds, step


def rows_of(evaluation: Evaluation, at: float) -> list[Row]:
    """Returns metric rows over the tokens seen of an evaluation and its training points, each (name, step) once.

    A metric of the points has no row of the evaluation: its mean would be an outlier in the curve of the points.
    """
    tokens = int(evaluation.tokens)
    values = {**evaluation.metrics, **{key: getattr(evaluation, key) for key in ("epoch", "progress", "step")}}
    if evaluation.peak_memory:
        values["memory/peak_gib"] = evaluation.peak_memory / 2**30
    of_points = {name for point in evaluation.points for name in point.metrics}
    rows = {
        (name, tokens): (name, number(value), at, tokens) for name, value in values.items() if name not in of_points
    }
    for point in evaluation.points:
        for name, value in point.metrics.items():
            key = (name, int(point.tokens))
            rows.setdefault(key, (name, number(value), point.time, key[1]))
    return list(rows.values())


def best_rows(evaluation: Evaluation, metric: str, at: float) -> list[Row]:
    """Returns rows about a trial's best evaluation: its place, and `at_best/NAME` for each other metric.

    Each has one row, so MLflow shows a value and no curve.
    """
    tokens = int(evaluation.tokens)
    where = {f"best/{key}": float(getattr(evaluation, key)) for key in ("index", "epoch", "progress")}
    others = {f"at_best/{k}": v for k, v in evaluation.metrics.items() if k.startswith("val/") and k != metric}
    return [(name, number(value), at, tokens) for name, value in {**where, **others}.items()]


def provenance(environment: Entry, data: Entry, seed: Any) -> dict[str, str]:
    """Returns tags that all trials of a study share: versions of code, packages and data."""
    tags = {
        "git_commit": environment.get("git_commit"),
        "git_dirty": environment.get("git_dirty"),
        "mlflow.source.git.commit": environment.get("git_commit"),
        "mlflow.source.name": "hpsearch",
        "mlflow.source.type": "LOCAL",
        "python": environment.get("python"),
        "platform": environment.get("platform"),
        "data_fingerprint": data.get("fingerprint"),
        "seed": seed,
    }
    tags |= {f"version.{name}": version for name, version in environment.get("versions", {}).items()}
    return {name: str(value) for name, value in tags.items() if value is not None}


def describe_range(limits: Entry) -> str:
    """Formats a range: "1e-04 .. 0.03, log" or "8 | 16 | 32"."""
    if "choices" in limits:
        return " | ".join(str(choice) for choice in limits["choices"])
    extras = [f"step {limits['step']}"] if limits.get("step") else []
    extras += ["log"] if limits.get("log") else []
    return ", ".join([f"{limits['low']:g} .. {limits['high']:g}", *extras])


def samples_text(examples: list[dict[str, str]]) -> str:
    """Formats the texts of each example (source, reference, hypothesis), one below the other."""
    parts = ("\n".join(f"{what:<10}  {value}" for what, value in example.items()) for example in examples)
    return "\n\n".join(parts) + "\n"


def milliseconds(seconds: float) -> int:
    """Converts unix seconds to MLflow's integer milliseconds."""
    return round(1000 * seconds)


def text(value: Any, length: int = TAG_LENGTH) -> str:
    """Formats a value for a tag or param."""
    shown = f"{value:.10g}" if isinstance(value, float) else "" if value is None else str(value)
    return shown.replace("\0", "")[:length]  # PostgreSQL refuses NUL
