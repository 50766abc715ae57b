"""Converts the journal's events to MLflow's metric rows, tags and texts."""

from __future__ import annotations

from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal import Entry
from hpsearch.journal.trial_history import number

TAG_LENGTH, PARAM_LENGTH = 5000, 6000  # limits of every MLflow >= 3 store, in characters

BRANCH = "cooldown/"  # before the names of a branch's metrics
VALIDATION = "val/"
AT_BEST = "val_at_best/"  # MLflow's page of a run has sections by prefix, in the order of the alphabet: after val/
DIGITS = 7
SYSTEM = {  # keys of Evaluation.usage -> MLflow's names
    "cpu": "system/process_cpu_utilization_percentage",
    "rss": "system/process_memory_usage_megabytes",
    "gpu": "system/gpu_utilization_percentage",
}

Row = tuple[str, float, float, int]  # metric name, value, unix seconds, step


def rows_of(evaluation: Evaluation, at: float) -> list[Row]:
    """Returns metric rows over the tokens seen of an evaluation and its training points, each (name, step) once.

    A metric of the points has no row of the evaluation: its mean would be an outlier in the curve of the points. The
    rows of a branch have names of their own, BRANCH + NAME: its tokens lie below those that the curve has reached.
    """
    tokens = int(evaluation.tokens)
    values = {**evaluation.metrics, **{key: getattr(evaluation, key) for key in ("epoch", "progress", "step")}}
    values |= system_metrics(evaluation)
    of_points = {name for point in evaluation.points for name in point.metrics}
    rows = {
        (name, tokens): (name, number(value), at, tokens) for name, value in values.items() if name not in of_points
    }
    for point in evaluation.points:
        for name, value in point.metrics.items():
            key = (name, int(point.tokens))
            rows.setdefault(key, (name, number(value), point.time, key[1]))
    before = BRANCH if evaluation.branch else ""
    return [(before + name, value, at, step) for name, value, at, step in rows.values()]


def system_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Returns what an evaluation says of memory and utilisation, by names of MLflow's tab "System metrics"."""
    found = {SYSTEM[name]: value for name, value in evaluation.usage.items() if name in SYSTEM}
    if evaluation.peak_memory:
        device = "gpu" if evaluation.device_memory else "process"
        found[f"system/{device}_memory_peak_megabytes"] = round(evaluation.peak_memory / 1e6, 1)
    if evaluation.device_memory:
        found["system/gpu_memory_peak_percentage"] = round(100 * evaluation.peak_memory / evaluation.device_memory, 1)
    return found


def best_rows(evaluation: Evaluation, metric: str, at: float) -> list[Row]:
    """Returns rows about a trial's best evaluation: its place, and AT_BEST + NAME for each other validation metric.

    Each has one row at step 0, which MLflow draws as a bar for each run; at another step it would be a line of one dot.
    """
    places = {f"best_{key}": float(getattr(evaluation, key)) for key in ("index", "epoch", "progress")}
    values = {name: value for name, value in evaluation.metrics.items() if name != metric}
    others = {at_best(name): value for name, value in values.items() if name.startswith(VALIDATION)}
    return [(name, rounded(number(value)), at, 0) for name, value in {**places, **others}.items()]


def at_best(metric: str) -> str:
    """The name of the value that a validation metric (val/NAME) has at a trial's best evaluation."""
    return AT_BEST + metric.removeprefix(VALIDATION)


def rounded(value: float) -> float:
    """Rounds to DIGITS significant digits, as people read them; the curves have all digits."""
    return float(f"{value:.{DIGITS}g}")


def source(environment: Entry) -> dict[str, str]:
    """Returns the tags of MLflow's own that say what wrote a run; its pages show them in columns, not among tags."""
    commit = environment.get("git_commit")
    tags = {"mlflow.source.name": "hpsearch", "mlflow.source.type": "LOCAL"}
    return tags | ({"mlflow.source.git.commit": str(commit)} if commit is not None else {})


def provenance(environment: Entry, data: Entry, seed: Any) -> dict[str, str]:
    """Returns tags of the study's run: versions of code, packages and data."""
    tags = {
        "git_commit": environment.get("git_commit"),
        "git_dirty": environment.get("git_dirty"),
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
