"""The priors of a study's ranges: those of the space file, and with `search.prior` those of the trainer's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.document.ranges import Choices, Number, Prior
from hpsearch.space.default_config import NoDefault
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import Rule

IGNORING = ("qmc", "grid")  # samplers that draw from no prior


def priors(experiment: Experiment, sets: Mapping[str, Any]) -> dict[str, Prior]:
    """The prior of each range that has one, by short name; `sets`: counts of the prepared data.

    The rules are taken at the default config.
    """
    ruled = _ruled(experiment, sets) if experiment.search.prior else {}
    own = {name: node.prior for name, node in experiment.space.params.items() if isinstance(node, Number)}
    found = ruled | {name: prior for name, prior in own.items() if prior is not None}
    return {name: prior for name, prior in found.items() if isinstance(prior, Prior)}


def description(experiment: Experiment, sets: Mapping[str, Any]) -> str:
    """Names the priors in a line; empty if there are none."""
    found = priors(experiment, sets)
    if not found:
        return ""
    if experiment.search.policy.startswith("python:"):
        return f"a policy of your own ignores priors ({', '.join(found)})"
    if experiment.search.sampler in IGNORING:
        return f"the sampler {experiment.search.sampler} ignores priors ({', '.join(found)})"
    return "priors: " + "; ".join(_named(name, prior) for name, prior in found.items())


def _ruled(experiment: Experiment, sets: Mapping[str, Any]) -> dict[str, Prior]:
    try:
        rules = experiment.default(sets).rules
    except NoDefault:
        return {}
    params = experiment.space.params
    return {name: prior for name, rule in rules.items() if (prior := _of(params[name], rule)) is not None}


def _of(node: Any, rule: Rule) -> Prior | None:
    """The prior of a rule; None if it names no spread, or the range has values that no logarithm has."""
    if rule.spread is None or not isinstance(node, Number | Choices):
        return None
    lowest = node.low if isinstance(node, Number) else min(float(str(choice)) for choice in node.choices)
    if rule.decades and min(lowest, rule.value) <= 0:
        return None
    return Prior(rule.value, rule.spread, rule.decades, rule.source)


def _named(name: str, prior: Prior) -> str:
    spread = f"{prior.spread:.3g} decades" if prior.decades else f"{prior.spread:.3g}"
    return f"{name} {prior.center:.3g} ± {spread} ({prior.source or 'of the space file'})"
