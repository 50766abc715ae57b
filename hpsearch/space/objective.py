"""The objective: which metrics the data sets give, and by which of them trials can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hpsearch.config import Objective
from hpsearch.space import wording
from hpsearch.space.document import Fault
from hpsearch.space.ranges import Fixed
from hpsearch.space.settings import Settings
from hpsearch.space.space import Space

MINIMIZED = ("loss", "perplexity", "bits_per_byte")
MAXIMIZED = {"translation": ("bleu", "chrf"), "classification": ("f1_macro", "f1_micro", "accuracy")}


def metrics(tasks: Mapping[str, str]) -> dict[str, str]:
    """Every validation metric of the data sets (name -> task), with the direction in which it is better."""
    names: dict[str, str] = {}
    for prefix, kinds in [("val", list(tasks.values())), *((f"val/{name}", [task]) for name, task in tasks.items())]:
        if prefix != "val" and len(tasks) == 1:
            continue
        names |= dict.fromkeys((f"{prefix}/{name}" for name in MINIMIZED), "minimize")
        better = (name for task, group in MAXIMIZED.items() if task in kinds for name in group)
        names |= dict.fromkeys((f"{prefix}/{name}" for name in better), "maximize")
    return names


def objective(raw: Mapping[str, Any], settings: Settings, space: Space) -> Objective:
    """The objective with its direction, refused where the data cannot give it or trials cannot be compared by it."""
    given = raw.get("objective") or {}
    metric = settings.objective.metric
    known = metrics({name: data_set.task for name, data_set in settings.data.items()})
    if metric not in known:
        reason = f"{_no_such_metric(metric, known)}; these data sets give {', '.join(known)}"
        raise Fault(("objective", "metric"), reason)
    if vocabulary_varies(space) and metric.rsplit("/", 1)[1] in ("loss", "perplexity"):
        better = metric.rsplit("/", 1)[0] + "/bits_per_byte"
        reason = f"{metric} cannot be compared between vocabularies, and the tokenizer has a range; use {better}"
        raise Fault(("objective", "metric") if "metric" in given else ("tokenizer",), reason)
    direction = known[metric]
    if given.get("direction", direction) != direction:
        raise Fault(("objective", "direction"), f"{metric} is better when {_extreme(direction)}: {direction}")
    return Objective.model_validate({"metric": metric, "direction": direction})


def _extreme(direction: str) -> str:
    return "lower" if direction == "minimize" else "higher"


def _no_such_metric(metric: str, known: Iterable[str]) -> str:
    near = [name for name in known if name.rsplit("/", 1)[1] == metric.rsplit("/", 1)[-1]]
    return f"no metric {wording.shown(metric)}" + (f" (did you mean '{near[0]}'?)" if near else "")


def vocabulary_varies(space: Space) -> bool:
    """Whether trials may have different tokenizers."""
    return any(not isinstance(node, Fixed) for node in space.sections.get("tokenizer", {}).values())
