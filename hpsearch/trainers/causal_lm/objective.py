"""The objective: the metrics of the data sets, and which of them can rank trials."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from hpsearch.config import Objective
from hpsearch.document import validation_errors
from hpsearch.document.document import Fault
from hpsearch.tasks import LOSSES, TASKS, TaskSet
from hpsearch.trainers.space_view import SpaceView


def metrics(data: Mapping[str, TaskSet]) -> dict[str, str]:
    """Every validation metric of the data sets -> minimize or maximize."""
    names: dict[str, str] = {}
    for prefix, sets in [("val", list(data)), *((f"val/{name}", [name]) for name in data)]:
        if prefix != "val" and len(data) == 1:
            continue
        better = {metric.name: metric.direction for metric in LOSSES}
        for section in TASKS.values():
            members = [data[name] for name in sets if isinstance(data[name], section)]
            found = {metric.name for data_set in members for metric in data_set.metrics()}
            better |= {metric.name: metric.direction for metric in section.METRICS if metric.name in found}
        names |= {f"{prefix}/{name}": direction for name, direction in better.items()}
    return names


def objective(space: SpaceView) -> Objective:
    """Returns the objective with its direction; raises Fault if the data lack it or trials cannot be compared by it."""
    given, config = space.given.get("objective") or {}, space.config
    metric = config.objective.metric
    known = metrics(config.data)
    if metric not in known:
        raise Fault(("objective", "metric"), _no_such_metric(metric, known, config.data))
    for data_set in config.data.values():
        if found := data_set.switched_off(metric.rsplit("/", 1)[1], config.evaluation):
            raise Fault(("evaluation", found[0]), f"the objective is {metric}: {found[1]}")
    if space.varies("tokenizer") and metric.rsplit("/", 1)[1] in ("loss", "perplexity"):
        better = metric.rsplit("/", 1)[0] + "/bits_per_byte"
        reason = f"{metric} cannot be compared between vocabularies, and the tokenizer has a range; use {better}"
        raise Fault(("objective", "metric") if "metric" in given else ("tokenizer",), reason)
    direction = known[metric]
    if given.get("direction", direction) != direction:
        raise Fault(("objective", "direction"), f"{metric} is better when {_extreme(direction)}: {direction}")
    return Objective.model_validate({"metric": metric, "direction": direction})


def _extreme(direction: str) -> str:
    return "lower" if direction == "minimize" else "higher"


def _no_such_metric(metric: str, known: Iterable[str], data: Mapping[str, TaskSet]) -> str:
    """The message for an unknown metric: of another task, of a set without what it needs, or misspelt."""
    reason, last, known = f"no metric {validation_errors.shown(metric)}", metric.rsplit("/", 1)[-1], list(known)
    near = [name for name in known if name.rsplit("/", 1)[1] == last]
    lacks = [line for name, data_set in data.items() if (line := data_set.lacks_metric(name, last))]
    if not near and lacks:
        return f"{reason} ({lacks[0]})"
    for task, section in TASKS.items():
        others = not any(isinstance(data_set, section) for data_set in data.values())
        if others and last in (one.name for one in section.METRICS):
            return f"{reason} ({last} is of {task}, and no data set is one); these data sets give {', '.join(known)}"
    near = near or difflib.get_close_matches(metric, known, n=1)
    reason += f" (did you mean '{near[0]}'?)" if near else ""
    return f"{reason}; these data sets give {', '.join(known)}"
