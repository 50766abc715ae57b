"""What makes a study the one it is: on resume it must be the same, or the difference is shown."""

from __future__ import annotations

from typing import Any

from hpsearch.errors import StudyMismatch
from hpsearch.experiment import Experiment
from hpsearch.history import History


def check_identity(experiment: Experiment, history: History, data: dict[str, Any]) -> None:
    """Raises StudyMismatch when the study on disk is not the one this experiment describes."""
    before, now = flatten(history.origin["identity"]), flatten(experiment.identity())
    for values, facts in ((before, history.origin["data"]), (now, data)):
        values["data (contents)"] = facts["fingerprint"][:12]
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if keys:
        lines = [f"  {key}: {_shown(before.get(key))} -> {_shown(now.get(key))}" for key in keys]
        raise StudyMismatch(
            f"{experiment.path}: study '{experiment.study}' was made from another space or other data; "
            "name a new study (study: or --study), or undo:\n" + "\n".join(lines)
        )


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings as dotted path -> value."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flatten(inner, f"{path}.{key}" if path else str(key))
    return found


def _shown(value: Any) -> str:
    return "(not there)" if value is None else str(value)
