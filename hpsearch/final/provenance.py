"""Where an exported config comes from: the section `provenance` of best.yaml.

best.yaml contains the fingerprints of its data sets and the exported config: changed data are refused, and edited
values are reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hpsearch.config import Config
from hpsearch.document.document import dotted
from hpsearch.errors import StudyMismatch
from hpsearch.home.identity import Change, changed_models, changes, described, named_contents, of_other_rules, shown
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.output.digits import digits
from hpsearch.space.experiment import Experiment


def provenance(history: History, trial: TrialHistory, config: Config, run_id: str | None) -> dict[str, Any]:
    """The section `provenance` of best.yaml: the study and the trial of its config."""
    environment, data = history.origin.environment, history.origin.data
    return {
        "study": history.study,
        "trial": trial.number,
        "mlflow_run_id": run_id,
        "outcome": str(trial.outcome),
        **({"equal_trials": tied} if (tied := history.tied(trial)) else {}),
        history.metric: trial.value,
        "evaluation": trial.best.index if trial.best else None,
        "trials": len(history.trials),
        **_search_best(history),
        **({"confirmation": found.to_dict()} if (found := history.confirmation) is not None else {}),
        "device": trial.device,
        "threads": trial.threads,
        "rules": history.origin.rules,
        "data_fingerprint": data["fingerprint"],
        "data_contents": data.get("contents", {}),
        **({"models": data["models"]} if data.get("models") else {}),
        "config": _values(config),
        "git_commit": environment["git_commit"],
        "git_dirty": environment["git_dirty"],
        "processor": environment.get("processor"),
        "python": environment["python"],
        "versions": environment["versions"],
    }


def _search_best(history: History) -> dict[str, Any]:
    """The best value of the search and its trial, which need not be the exported one."""
    best = next(iter(history.ranked(unfinished=True)), None)
    return {} if best is None else {"search_best": best.value, "search_best_trial": best.number}


def outdated(known: Mapping[str, Any], history: History) -> str | None:
    """Says that a study has a better trial than the exported one, which was its best then; None if it has none.

    known: the section `provenance` of best.yaml. A trial that was chosen by its number is left alone.
    """
    was_best = known.get("trial") == known.get("search_best_trial") is not None
    best = history.leader()
    if not was_best or best is None or known.get("data_fingerprint") != history.origin.data.get("fingerprint"):
        return None
    before, now = number(known.get(history.metric)), number(best.value)
    confirmed = history.confirmation is not None and not known.get("confirmation") and best.number != known["trial"]
    if not confirmed and not history.better(now, before):
        return None
    why = "is the winner over fresh seeds" if confirmed else f"has {history.metric} {digits(now)}"
    had = f"trial {known['trial']} of this file had {digits(before)}"
    return f"trial {best.number} {why} by now; {had}: `hpsearch export {history.study}` writes the better one"


# ------------------------------------------------------------------------------------------------------------- the data


def data_changes(known: Mapping[str, Any], data: Mapping[str, Any]) -> list[Change]:
    """The data sets, and the checkpoint, that changed since the config was exported; none if that is unknown.

    Compares the sets, not the fingerprint of the prepared data, which depends on the version of hpsearch.
    """
    contents = known.get("data_contents")
    if not contents or of_other_rules(known.get("rules", 1)):
        return []
    return [*named_contents(contents, data["contents"]), *changed_models(known, data)]


def cannot_tell(known: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """Why it is unknown whether the data are those of the trial; None if it is known.

    Other versions of hpsearch may split the data differently; the first ones did not record fingerprints of the sets.
    """
    if not known.get("data_fingerprint") or known["data_fingerprint"] == data["fingerprint"]:
        return None
    if known.get("data_contents") == data["contents"] or data_changes(known, data):
        return None
    maker = of_other_rules(known.get("rules", 1)) or "an hpsearch that did not note what they held"
    return f"it comes from {maker}: whether the data are still those of trial {known.get('trial')} cannot be told"


def refuse_changed(experiment: Experiment, found: list[Change]) -> None:
    """Raises StudyMismatch with the sets that changed."""
    if found:
        known = experiment.provenance
        raise StudyMismatch(
            f"{experiment.where(*found[0][0][:1])}: the data are not those of trial {known.get('trial')} of "
            f"study '{known.get('study')}'; undo, or train on them as they are (`hpsearch train "
            "--data-changed`, in Python data_changed=True):\n" + described(found)
        )


# --------------------------------------------------------------------------------------------------------- the training


def edits(known: Mapping[str, Any], config: Config) -> list[str]:
    """The values that were edited since the config was exported: `training.epochs was edited (20 -> 10)`."""
    before = known.get("config")
    if not isinstance(before, Mapping):
        return []
    now = _values(config)
    found = changes(_completed(before, config), now)
    return [f"{dotted(keys)} was edited ({shown(old)} -> {shown(new)})" for keys, old, new in found]


def _values(config: Config) -> dict[str, Any]:
    """All values that a training depends on, without the paths of its data."""
    return config.identity_of(config.model_dump(mode="json", exclude_none=True))


def _completed(before: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """An exported config's values, completed with the defaults of keys that its version of hpsearch lacked."""
    whole = config.model_dump(mode="json")
    try:
        return _values(type(config).model_validate(_over(before, _left_out(whole, config.identity_of(whole)))))
    except ValidationError:  # of another version, with keys that were removed
        return dict(before)


def _left_out(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of `whole` that `part` lacks, recursively."""
    found: dict[str, Any] = {}
    for key, value in whole.items():
        if key not in part:
            found[key] = value
        elif isinstance(value, Mapping) and (inner := _left_out(value, part[key])):
            found[key] = inner
    return found


def _over(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> dict[str, Any]:
    """Merges two mappings recursively; the values of `upper` win."""
    both = {**lower, **upper}
    for key in lower.keys() & upper.keys():
        if isinstance(lower[key], Mapping) and isinstance(upper[key], Mapping):
            both[key] = _over(upper[key], lower[key])
    return both
