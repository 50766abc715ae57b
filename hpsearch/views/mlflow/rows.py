"""What the journal says, as MLflow has it: metric rows, tags, texts."""

from __future__ import annotations

from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal import Entry
from hpsearch.journal.history import number

TAG_LENGTH, PARAM_LENGTH = 5000, 6000  # characters that every MLflow >= 3 store takes

Row = tuple[str, float, float, int]  # metric name, value, unix seconds, step


def rows_of(evaluation: Evaluation, at: float) -> list[Row]:
    """One evaluation and the training points before it as metric rows over the tokens seen, each (name, step) once.

    A curve of the points is theirs alone: an evaluation's mean under the same name would be a tooth in it.
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
    """The rows that say where a trial's best evaluation was, and what else was measured there.

    `at_best/OTHER` is what the other metrics were at that evaluation. One row each, so that they are no curves.
    """
    tokens = int(evaluation.tokens)
    where = {f"best/{key}": float(getattr(evaluation, key)) for key in ("index", "epoch", "progress")}
    others = {f"at_best/{k}": v for k, v in evaluation.metrics.items() if k.startswith("val/") and k != metric}
    return [(name, number(value), at, tokens) for name, value in {**where, **others}.items()]


def provenance(environment: Entry, data: Entry, seed: Any) -> dict[str, str]:
    """What the trials of a study share: where their code, packages and data come from."""
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
    """A range in a few words: "1e-04 .. 0.03, log" or "8 | 16 | 32"."""
    if "choices" in limits:
        return " | ".join(str(choice) for choice in limits["choices"])
    extras = [f"step {limits['step']}"] if limits.get("step") else []
    extras += ["log"] if limits.get("log") else []
    return ", ".join([f"{limits['low']:g} .. {limits['high']:g}", *extras])


def samples_text(examples: list[dict[str, str]]) -> str:
    """The texts of each example (source, reference, hypothesis), one below the other."""
    parts = ("\n".join(f"{what:<10}  {value}" for what, value in example.items()) for example in examples)
    return "\n\n".join(parts) + "\n"


def milliseconds(seconds: float) -> int:
    """Unix seconds as MLflow's integer milliseconds."""
    return round(1000 * seconds)


def text(value: Any, length: int = TAG_LENGTH) -> str:
    """A value as a tag or param shows it."""
    shown = f"{value:.10g}" if isinstance(value, float) else "" if value is None else str(value)
    return shown.replace("\0", "")[:length]  # PostgreSQL takes no NUL
