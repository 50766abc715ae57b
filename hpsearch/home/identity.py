"""The identity of a study: a resumed study must have the same one, or the difference is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from hpsearch.document.document import Keys, dotted
from hpsearch.errors import StudyMismatch
from hpsearch.journal.history import History
from hpsearch.space.experiment import Experiment
from hpsearch.space.sections import RANGE_KEYS

RULES = 3  # version of truncation, training and scoring; raised when a config trains to other values than before
MISSING = object()
LONGEST = 100  # characters of a value in a line of the difference

Change = tuple[Keys, Any, Any]  # where, the value before (or MISSING), the value now (or MISSING)


def check_space(experiment: Experiment, history: History) -> None:
    """Raises StudyMismatch if the study on disk has another space than the experiment, or was made by an hpsearch
    whose trials cannot be compared with this one's.

    It needs no data, so it is called before anything is read, prepared or started.
    """
    _check_rules(experiment, history)
    _refuse(experiment, history, _space_changes(experiment, history))


def check_data(experiment: Experiment, history: History, data: Mapping[str, Any]) -> None:
    """Raises StudyMismatch if the data sets changed since the study was created.

    `data` has the "fingerprint" of the prepared data and, by set, of its "contents".
    """
    _refuse(experiment, history, _data_changes(history, data))


def check_identity(experiment: Experiment, history: History, data: Mapping[str, Any]) -> None:
    """`check_space` and `check_data` as one refusal."""
    _check_rules(experiment, history)
    space, contents = _space_changes(experiment, history), _data_changes(history, data)
    told = {keys[:2] for keys, _, _ in space}  # a set with another split has another fingerprint, too
    named = [change for change in contents if len(change[0]) > 1]
    _refuse(experiment, history, [*space, *(change for change in named if change[0][:2] not in told)] or contents)


def of_other_rules(rules: int) -> str:
    """Returns "an earlier hpsearch" or "a later hpsearch" for the rules of a study or config, "" for our RULES."""
    return "" if rules == RULES else "an earlier hpsearch" if rules < RULES else "a later hpsearch"


def _check_rules(experiment: Experiment, history: History) -> None:
    maker = "" if history.is_new else of_other_rules(history.origin.rules)
    if maker:
        raise StudyMismatch(
            f"{experiment.where('study')}: study '{history.study}' was made by {maker}, which cuts, trains and scores "
            "otherwise: its trials cannot be compared with new ones; name a new study (study: in the file; "
            "`hpsearch run --study NAME`, study= in Python). It can still be shown, exported and trained"
        )


def _space_changes(experiment: Experiment, history: History) -> list[Change]:
    return [] if history.is_new else list(changes(history.origin.identity, experiment.identity()))


def _data_changes(history: History, data: Mapping[str, Any]) -> list[Change]:
    return [] if history.is_new else data_changes(history.origin.data, data)


def data_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Where two facts (see `check_data`) differ: by set, or as a whole if no set is known to differ."""
    if before["fingerprint"] == now["fingerprint"]:
        return []
    both = before.get("contents", {}).keys() & now.get("contents", {}).keys()
    old, new = (
        {name: facts["contents"][name] for name in facts.get("contents", {}) if name in both} for facts in (before, now)
    )
    whole: Change = (("data",), _contents(before["fingerprint"]), _contents(now["fingerprint"]))
    return [*named_contents(old, new), *changed_models(before, now)] or [whole]


def named_contents(before: Mapping[str, str], now: Mapping[str, str], section: str = "data") -> list[Change]:
    """The sets, or keys of another section, with different contents."""
    old, new = ({name: _contents(digits) for name, digits in contents.items()} for contents in (before, now))
    return list(changes(old, new, (section,)))


def changed_models(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The keys of `model` that name other weights or another tokenizer than before, by two facts about the data."""
    both = before.get("models", {}).keys() & now.get("models", {}).keys()
    old, new = ({key: facts["models"][key] for key in sorted(both)} if both else {} for facts in (before, now))
    return named_contents(old, new, "model")


def _contents(digits: str) -> str:
    return f"contents {digits[:12]}"


def described(found: list[Change], reason: Callable[[Keys], str] = lambda keys: "") -> str:
    """A line for each difference; `reason(keys)` is appended to it."""
    return "\n".join(f"  {dotted(keys)}: {shown(before)} -> {shown(now)}{reason(keys)}" for keys, before, now in found)


def changes(before: Any, now: Any, keys: Keys = ()) -> Iterator[Change]:
    """Yields where two values differ; mappings are compared key by key, ranges and lists as one value."""
    if not (_has_parts(before) and _has_parts(now)):
        if before != now and not (
            before is MISSING and now is None
        ):  # a key that earlier versions lack, with its default
            yield keys, before, now
        return
    for key in {**before, **now}:
        yield from changes(before.get(key, MISSING), now.get(key, MISSING), (*keys, key))


def _has_parts(value: Any) -> bool:
    return isinstance(value, Mapping) and not (value and all(key in RANGE_KEYS for key in value))


def _refuse(experiment: Experiment, history: History, found: list[Change]) -> None:
    if not found:
        return
    raise StudyMismatch(
        f"{experiment.where(*found[0][0])}: study '{history.study}' was made from another space or other data; "
        "name a new study (study: in the file; `hpsearch run --study NAME`, study= in Python)"
        f"{_keeps(history, found)}, or undo:\n" + described(found, partial(_reason, experiment))
    )


def _keeps(history: History, found: list[Change]) -> str:
    """Says how a new study learns from the trials of the old one, if it has any of the same trainer and objective."""
    if not history.trials or any(keys[0] in ("trainer", "objective") for keys, _, _ in found):
        return ""
    return f", which learns from the trials of this one by search: {{warm_start: {history.study}}}"


def _reason(experiment: Experiment, keys: Keys) -> str:
    """Why a set's contents may have changed without an edit."""
    if len(keys) != 2 or keys[0] != "data":
        return ""
    return experiment.trainer.nondeterminism(experiment.space_file.config, str(keys[1]))


def shown(value: Any) -> str:
    """A value in a line of the difference."""
    text = "(not there)" if value is MISSING else _inline(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _inline(value: Any) -> str:
    """A value on one line, as in a space file; null and false values of a mapping are omitted."""
    if isinstance(value, Mapping):
        said = {key: inner for key, inner in value.items() if inner is not None and inner is not False}
        return "{" + ", ".join(f"{key}: {_inline(inner)}" for key, inner in said.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
