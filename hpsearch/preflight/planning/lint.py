"""Warnings about a space that hold for every trainer; what only one trainer knows is in its `Trainer.advice`.

Each names what is wrong and what to do. What `run` itself warns of is not said here again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpsearch.document.document import Keys, dotted
from hpsearch.document.ranges import Branches, Choices, Number
from hpsearch.journal.branch_labels import unfolded
from hpsearch.launchers.devices import cores, could_share
from hpsearch.preflight.planning.plan import Plan
from hpsearch.results.evidence import idle_gpus
from hpsearch.space.default_config import NoDefault
from hpsearch.space.experiment import Experiment
from hpsearch.space.pruners import HyperbandPruner, PromotionPruner, SuccessiveHalvingPruner
from hpsearch.trainers import Advice, Prepared

DECADE = 30.0  # high / low of a linear range, from which most of its draws lie at its upper end
OUTSIDE = 1.2  # factor by which a recommended value may lie outside of its range: below, trial 0 is moved by little
FEWEST, MOST = 4, 10  # trials that the samplers draw at random before they learn (policies/optuna/samplers.py)
DEARER = 1.0  # evaluations may take as long as the training between two of them
_KEY = re.compile(r"([a-z_]+\.[\w.-]+?)(?=[ :])")  # the key that a line of a trainer begins with


def lint(experiment: Experiment, sets: Mapping[str, Any]) -> Iterator[Advice]:
    """What the space file and the counts of the data tell, before anything is measured."""
    yield from _ranges(experiment)
    yield from _outside(experiment, sets)
    yield from _budget(experiment)
    yield from _pruner(experiment)
    yield from experiment.trainer.advice(experiment.space_file, sets)


def measured(experiment: Experiment, plan: Plan) -> Iterator[Advice]:
    """What the measurements tell."""
    trial, memory, outlook = plan.trial, plan.memory, plan.outlook
    if trial is None:
        return
    if trial.evaluating > DEARER * trial.training and experiment.evaluations:
        wrong = (
            f"an evaluation takes {trial.evaluating / trial.training:.1f} times as long as the training between two "
            f"of them (on average over the space)"
        )
        yield Advice(("evaluation",), wrong, "evaluate fewer times, decode less often, or take a smaller valid split")
    if trial.longest > experiment.budget.seconds:
        wrong = f"the longest config takes {trial.longest / 3600:.2g} h, more than the study has"
        yield Advice(("budget", "hours"), wrong, "give it more hours, or take fewer epochs or smaller models")
    if memory is not None and memory.never > 0:
        least = " ".join(f"{name}={value}" for name, value in unfolded(memory.least).items())
        wrong = f"{memory.never:.0%} of the space's configs never fit into the memory, the smallest of them is {least}"
        yield Advice((), wrong, "narrow these ranges, or train with smaller micro-batches")
    elif memory is not None and memory.available and memory.at_once > 1 and memory.together > memory.available:
        wrong = f"{memory.at_once} trainings at once take more memory than there is"
        yield Advice(("resources",), wrong, f"take at most {max(1, _room(plan))} workers")
    if memory is not None and could_share(experiment.resources, plan.workers):
        wrong = idle_gpus.idle(plan.busy, peak=memory.peak, size=memory.available)
        if wrong:
            yield Advice(("resources", "trials_per_gpu"), wrong, idle_gpus.REMEDY)
    if outlook is not None and outlook.limit != "trials":
        yield from _few(experiment, outlook.trials, "by the measured times ")


def _room(plan: Plan) -> int:
    assert plan.memory is not None
    return plan.memory.available // max(1, plan.memory.together // max(1, plan.memory.at_once))


def lines(experiment: Experiment, advice: Iterable[Advice]) -> list[str]:
    """The warnings as lines: `file:line:column: key: what is wrong; what to do`, in the order of the file."""
    found = list(dict.fromkeys(advice))
    return [_line(experiment, one) for one in found]


def reading(experiment: Experiment, prepared: Prepared) -> list[str]:
    """What `run` would warn of too, with the place of the key that a line begins with."""
    return [_placed(experiment, line) for line in [*experiment.warnings, *prepared.warnings, *prepared.untested]]


def _line(experiment: Experiment, one: Advice) -> str:
    said = f"{one.wrong}; {one.remedy}" if one.remedy else one.wrong
    if not one.keys:
        return f"{experiment.path}: {said}"
    return f"{experiment.where(*one.keys)}: {dotted(one.keys)}: {said}"


def _placed(experiment: Experiment, line: str) -> str:
    found = _KEY.match(line)
    keys = found[1].split(".", 1) if found else []
    if len(keys) == 2 and keys[1] in (experiment.document.value.get(keys[0]) or {}):
        return f"{experiment.where(*keys)}: {line}"
    return line


# -------------------------------------------------------------------------------------------------------------- ranges


def _ranges(experiment: Experiment) -> Iterator[Advice]:
    params = experiment.space.params
    if not params:
        wrong = "the space has no range, so there is one config to train"
        yield Advice(
            (), wrong, "give a value a range such as {low: 1e-4, high: 1e-2, log: true}, or `hpsearch train` it"
        )
    for node in params.values():
        keys = _keys(node)
        if node.size == 1 and isinstance(node, Choices | Branches):
            yield Advice(keys, "a list of one choice", "write its value in place of the list, or add others")
        elif node.size == 1:
            yield Advice(keys, "a range of one value", "write the value in place of the range, or widen it")
        elif isinstance(node, Number) and _is_steep(node):
            ratio = node.high / node.low
            share = (node.high / 10 - node.low) / (node.high - node.low)
            wrong = f"a factor of {ratio:.3g} on a linear scale: {1 - share:.0%} of the draws exceed {node.high / 10:g}"
            yield Advice(keys, wrong, "add log: true")


def _is_steep(node: Number) -> bool:
    return not node.log and not node.step and node.low > 0 and node.high / node.low >= DECADE


def _keys(node: Number | Choices | Branches) -> Keys:
    return node.keys


def _outside(experiment: Experiment, sets: Mapping[str, Any]) -> Iterator[Advice]:
    """Recommended values that the ranges do not have."""
    try:
        found = experiment.default(sets)
    except NoDefault:
        return  # of which the experiment warns
    for name, rule in found.rules.items():
        node = experiment.space.params[name]
        if isinstance(node, Branches) or node.size == 1:
            continue
        numbers = [node.low, node.high] if isinstance(node, Number) else [float(one) for one in node.choices]  # type: ignore[arg-type]
        low, high = min(numbers), max(numbers)
        if rule.value > OUTSIDE * high or rule.value < low / OUTSIDE:
            wrong = f"the default config's {rule.value:.3g} ({rule.source}) is not in {low:g} to {high:g}"
            yield Advice(node.keys, wrong, "widen the range, unless you know better")


# ------------------------------------------------------------------------------------------------ budget and resources


def _budget(experiment: Experiment) -> Iterator[Advice]:
    budget, resources = experiment.budget, experiment.resources
    if budget.trials is not None and experiment.space.params:
        yield from _few(experiment, budget.trials, "")
    if isinstance(resources.workers, int) and budget.trials is not None and resources.workers > budget.trials:
        wrong = f"{resources.workers} workers for {budget.trials} trials"
        yield Advice(("resources", "workers"), wrong, f"{resources.workers - budget.trials} of them would never train")
    local = resources.launcher.name == "local" and resources.device in ("auto", "cpu")
    workers = resources.workers if isinstance(resources.workers, int) else 1
    if local and (resources.threads or 1) * workers > cores():
        wrong = f"{workers} workers of {resources.threads or 1} threads on {cores()} cores"
        yield Advice(("resources",), wrong, "they slow each other down; take fewer workers or threads")


def _few(experiment: Experiment, trials: int, because: str) -> Iterator[Advice]:
    """A budget in which nothing is learnt: a sampler draws its first trials at random."""
    params = len(experiment.space.params)
    random, size = min(MOST, max(FEWEST, params + 2)), experiment.space.size
    if trials > random or (size is not None and trials >= size) or not params:
        return
    key = "trials" if not because else "hours"
    names = f"{params} searched param{'s' * (params > 1)}"
    wrong = f"{because}{trials} trial{'s' * (trials > 1)} for {names}: each is drawn at random, nothing is learnt"
    yield Advice(("budget", key), wrong, f"search fewer params, or give it {2 * random} trials and more")


def _pruner(experiment: Experiment) -> Iterator[Advice]:
    """A pruner that never compares."""
    pruner, times = experiment.pruner, experiment.evaluations
    if times is None or not isinstance(pruner, SuccessiveHalvingPruner | HyperbandPruner | PromotionPruner):
        return
    if pruner.min_resource is not None and pruner.min_resource >= times:
        wrong = f"its first rung is evaluation {pruner.min_resource}, and a training has {times}: it stops no trial"
        yield Advice(("search", "pruner"), wrong, "take a smaller min_resource, or more evaluations (evaluation.times)")
