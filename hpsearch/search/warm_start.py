"""`search.warm_start`: what a study learns from the trials of other studies of its home.

A trial lies in this study's space if a trial of this study can have its config: each range has the value of the other
study's trial (of a parameter that was added: the other study's constant), and all other values are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.document.document import Keys
from hpsearch.errors import ConfigError, UserError
from hpsearch.home.home import Home, history_of
from hpsearch.home.identity import changes, data_changes, described, of_other_rules
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.journal.warm import warm_trial
from hpsearch.policies.optuna.trainings import training_key
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import DEFAULT

BEST, LATEST = 300, 700  # trials of a longer study that are read: the best ones, and the latest of all
FIRST_OF_OTHER_DATA = 3  # best configs that are tried first, if nothing else can be learnt from a study
UNLEARNING = ("random", "qmc", "grid")  # samplers that learn from no trial
WHOLE = 0.02  # of an evaluation: how far it may be from the place of one of this study


def sources(experiment: Experiment, home: Home, history: History) -> list[History]:
    """The studies that this one is still to learn from.

    Raises ConfigError, with the place in the file, for one that is unknown, is this study itself, or has another
    trainer, task or objective.
    """
    wanted = [name for name in experiment.search.warm_start if name not in history.warm]
    return [_source(experiment, home, name) for name in wanted]


def learnt(experiment: Experiment, source: History, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the event study_warmed; `data`: what Study.open got."""
    located = [(trial, internal) for trial in _ended(source) if (internal := _located(experiment, trial)) is not None]
    other = _other_values(experiment, source, data)
    first = _first(source, located)
    known = [] if other else [one for one in located if one[0].counts or not experiment.search.shift]
    trials = [_row(experiment, source.metric, *one) for one in _some(source, known)]
    return {
        "study": source.study,
        "created": source.created,
        "incomparable": other,
        "of": len(source.trials),
        "first": [internal for _, internal in first[: FIRST_OF_OTHER_DATA if other else 1]],
        "best": [trial.number for trial, _ in first[: FIRST_OF_OTHER_DATA if other else 1]],
        "trials": trials,
    }


def said(experiment: Experiment, fields: Mapping[str, Any]) -> str:
    """What was learnt, in a line."""
    name, best, count = f"study '{fields['study']}'", fields["best"], len(fields["trials"])
    tried = f"its trial {best[0]} is" if len(best) == 1 else f"its trials {', '.join(map(str, best))} are"
    tried = f"{tried} tried first" if best else "none is tried first"
    if fields["incomparable"]:
        why = f"its values are not comparable ({fields['incomparable']})"
        return f"warning: {name} informs no sampler, since {why}; {tried}"
    if not count:
        return f"warning: none of the {fields['of']} trials of {name} lies in this space with a value"
    if experiment.search.sampler in UNLEARNING:
        return f"warning: {name}: the sampler {experiment.search.sampler} learns from no trial; {tried}"
    return f"{name}: {count} of its {fields['of']} trials inform the sampler; {tried}"


# ------------------------------------------------------------------------------------------------------- another study


def _source(experiment: Experiment, home: Home, name: str) -> History:
    place = f"{experiment.where('search', 'warm_start', experiment.search.warm_start.index(name))}: search.warm_start"
    if name == experiment.study:
        raise ConfigError(f"{place}: '{name}' is this study itself; give this file a new name (study: ...)")
    try:
        source = history_of(home, name)
    except UserError as error:
        raise ConfigError(f"{place}: {error}") from None
    for what, there, here in _kinds(experiment, source):
        if there != here:
            raise ConfigError(f"{place}: study '{name}' has another {what} ({there}; here {here})")
    return source


def _kinds(experiment: Experiment, source: History) -> Iterator[tuple[str, str, str]]:
    """What must be equal: its name, the other study's value, this one's."""
    yield "trainer", source.origin.identity.get("trainer", DEFAULT), experiment.trainer.name
    yield "task", _tasks(source.origin.identity), _tasks(experiment.identity())
    objective = experiment.objective
    yield "objective", f"{source.direction} {source.metric}", f"{objective.direction} {objective.metric}"


def _tasks(identity: Mapping[str, Any]) -> str:
    data = identity.get("data")
    sets = data.values() if isinstance(data, Mapping) else ()
    return ", ".join(sorted(str(one["task"]) for one in sets if isinstance(one, Mapping) and "task" in one)) or "none"


def _other_values(experiment: Experiment, source: History, data: Mapping[str, Any]) -> str:
    """Why equal trainings would have other values in the other study; empty if they would have the same."""
    if maker := of_other_rules(source.origin.rules):
        return f"it was made by {maker}"
    apart = {*experiment.trainer.sections, "seed", "objective"}
    before, now = (_comparable(identity, apart) for identity in (source.origin.identity, experiment.identity()))
    found = [*changes(before, now), *data_changes(source.origin.data, data)]
    return described(found[:1], _nothing).strip()


def _comparable(identity: Mapping[str, Any], apart: set[str]) -> dict[str, Any]:
    """The parts of an identity that values depend on, but for the ranges and the number of evaluations."""
    found = {key: value for key, value in identity.items() if key not in apart}
    if isinstance(evaluation := found.get("evaluation"), Mapping):
        found["evaluation"] = {key: value for key, value in evaluation.items() if key != "times"}
    return found


def _nothing(keys: Keys) -> str:
    return ""


# ----------------------------------------------------------------------------------------------------------- its trials


Located = tuple[TrialHistory, dict[str, Any]]  # a trial, and its internal values in this space


def _ended(source: History) -> list[TrialHistory]:
    """The trials that say something: with a value, or at least a curve; none that failed or was shortened."""
    trials = [source.so_far(trial) for trial in source.trials.values() if trial.config and trial.horizon == 1]
    return [trial for trial in trials if trial.state != "FAIL" and (trial.evaluations or trial.counts)]


def _located(experiment: Experiment, trial: TrialHistory) -> dict[str, Any] | None:
    """The trial's internal values in this space; None: it does not lie there."""
    space, trainer = experiment.space, experiment.trainer
    try:
        internal = space.found_in(trial.config)
        own = experiment.config(internal).model_dump(mode="json")
    except ConfigError:
        return None
    keys = (training_key(trainer, {name: one[name] for name in trainer.sections}) for one in (own, trial.config))
    return internal if len(set(keys)) == 1 else None


def _first(source: History, located: list[Located]) -> list[Located]:
    """The trials in the order in which they are tried: the winner, then by their values."""
    leader = source.leader()
    ranked = {trial.number: place for place, trial in enumerate(source.ranked(unfinished=True))}
    found = [one for one in located if one[0].number in ranked]
    return sorted(found, key=lambda one: (leader is None or one[0].number != leader.number, ranked[one[0].number]))


def _some(source: History, located: list[Located]) -> list[Located]:
    """All trials, or of very many the best and the latest ones."""
    if len(located) <= BEST + LATEST:
        return located
    best = {trial.number for trial, _ in _first(source, located[:-LATEST])[:BEST]}
    return [one for one in located[:-LATEST] if one[0].number in best] + located[-LATEST:]


def _row(experiment: Experiment, metric: str, trial: TrialHistory, internal: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a trial: its curve at the evaluations of this study, or with `search.shift` its end alone."""
    if experiment.search.shift:
        return warm_trial(trial, internal, {})
    end = experiment.trainer.evaluations(experiment.config(internal))
    curve = {}
    for index, evaluation in sorted(trial.evaluations.items()):
        value = evaluation.metrics.get(metric)
        place = evaluation.progress * end if end else float(index)
        if value is not None and abs(place - round(place)) <= WHOLE and round(place) >= 1:
            curve[round(place)] = value if math.isfinite(value) else math.inf
    return warm_trial(trial, internal, curve)
