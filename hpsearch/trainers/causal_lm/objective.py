"""The objective: which metrics the data sets give, and by which of them trials can be compared."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from hpsearch.config import Objective
from hpsearch.space import wording
from hpsearch.space.document import Fault
from hpsearch.trainers.trainer import Asked

MINIMIZED = ("loss", "perplexity", "bits_per_byte")
OF_TASK = {  # with the direction in which each is better
    "translation": {"bleu": "maximize", "chrf": "maximize", "ter": "minimize", "exact_match": "maximize"},
    "classification": dict.fromkeys(("f1_macro", "f1_micro", "f1_weighted", "accuracy", "mcc"), "maximize"),
}
OF_POSITIVE = dict.fromkeys(("f1", "precision", "recall"), "maximize")  # of the label that a set calls positive


def metrics(tasks: Mapping[str, str], *, positive: Collection[str] = ()) -> dict[str, str]:
    """Every validation metric of the data sets (name -> task), with the direction in which it is better.

    positive: the names of the sets that have a positive label.
    """
    names: dict[str, str] = {}
    for prefix, sets in [("val", list(tasks)), *((f"val/{name}", [name]) for name in tasks)]:
        if prefix != "val" and len(tasks) == 1:
            continue
        better = dict.fromkeys(MINIMIZED, "minimize")
        for task, group in OF_TASK.items():
            better |= group if task in (tasks[name] for name in sets) else {}
        better |= OF_POSITIVE if set(sets) & set(positive) else {}
        names |= {f"{prefix}/{name}": direction for name, direction in better.items()}
    return names


def objective(asked: Asked) -> Objective:
    """The objective with its direction; refused where the data cannot give it or trials cannot be compared by it."""
    given, config = asked.given.get("objective") or {}, asked.config
    metric = config.objective.metric
    tasks = {name: data_set.task for name, data_set in config.data.items()}
    positive = [name for name, data_set in config.data.items() if getattr(data_set, "positive", None) is not None]
    known = metrics(tasks, positive=positive)
    if metric not in known:
        raise Fault(("objective", "metric"), _no_such_metric(metric, known, tasks))
    if metric.endswith("/ter") and config.evaluation.ter is False:
        raise Fault(("evaluation", "ter"), f"the objective is {metric}: leave ter out, or write true")
    if asked.varies("tokenizer") and metric.rsplit("/", 1)[1] in ("loss", "perplexity"):
        better = metric.rsplit("/", 1)[0] + "/bits_per_byte"
        reason = f"{metric} cannot be compared between vocabularies, and the tokenizer has a range; use {better}"
        raise Fault(("objective", "metric") if "metric" in given else ("tokenizer",), reason)
    direction = known[metric]
    if given.get("direction", direction) != direction:
        raise Fault(("objective", "direction"), f"{metric} is better when {_extreme(direction)}: {direction}")
    return Objective.model_validate({"metric": metric, "direction": direction})


def _extreme(direction: str) -> str:
    return "lower" if direction == "minimize" else "higher"


def _no_such_metric(metric: str, known: Iterable[str], tasks: Mapping[str, str]) -> str:
    """Why the data have no such metric: of another task, without its label, or misspelt."""
    reason, last, known = f"no metric {wording.shown(metric)}", metric.rsplit("/", 1)[-1], list(known)
    near = [name for name in known if name.rsplit("/", 1)[1] == last]
    task = next((task for task, group in OF_TASK.items() if last in group and task not in tasks.values()), None)
    if task is not None:
        return f"{reason} ({last} is of {task}, and no data set is one); these data sets give {', '.join(known)}"
    if not near and last in OF_POSITIVE and "classification" in tasks.values():
        name = next(name for name, of in tasks.items() if of == "classification")
        return f"{reason} ({last} is of one label: name it as data.{name}.positive, or use val/f1_macro)"
    near = near or difflib.get_close_matches(metric, known, n=1)
    reason += f" (did you mean '{near[0]}'?)" if near else ""
    return f"{reason}; these data sets give {', '.join(known)}"
