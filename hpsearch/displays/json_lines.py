"""The events of a search or a training as JSON, an object a line, for programs (docs/events.md has every key)."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from hpsearch import events
from hpsearch.contract import Evaluation
from hpsearch.events import Event
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.output.redaction import redact
from hpsearch.policies.budget.spending import extended

WARNING = "warning: "
VERSION = 1  # of the keys; a new key does not change it


class JsonLines:
    """Writes objects to a stream, each with `event` and `time` (unix seconds), one at a time."""

    def __init__(self, to: TextIO) -> None:
        self._to, self._turn, self._metric = to, threading.Lock(), ""

    def show(self, event: Event) -> None:
        """Writes one event."""
        fields = described(event)
        if isinstance(event, events.Opened | events.Watched):
            self._metric = event.history.metric
        elif isinstance(event, events.Measured):
            fields["value"] = event.evaluation.metrics.get(self._metric)
        self.write(**fields)

    def write(self, event: str, **fields: Any) -> None:
        """Writes an object; numbers that are not finite become null."""
        line = json.dumps(finite({"event": event, "time": time.time(), **fields}), ensure_ascii=False, default=str)
        with self._turn:
            self._to.write(f"{line}\n")
            self._to.flush()


def described(event: Event) -> dict[str, Any]:
    """The event as a JSON object: `event`, and what is documented for it."""
    found: dict[str, Any] = _DESCRIBED[type(event)](event)
    return found


def finite(value: Any) -> Any:
    """The value with null for numbers that are not finite, and without secrets."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


def best_of(history: History) -> dict[str, Any] | None:
    """The winner so far; None: no trial has a value."""
    best = history.leader()
    if best is None:
        return None
    return {**_trial(best), "status": str(history.trials[best.number].status), "best_evaluation": _place(best.best)}


def result(history: History) -> dict[str, Any]:
    """What a search has come to."""
    found, default = history.confirmation, history.default()
    return {
        "study": history.study,
        "metric": history.metric,
        "direction": history.direction,
        "best": best_of(history),
        "default": None if default is None else _trial(default),
        "outcomes": counted(history),
        "confirmation": None if found is None else found.to_dict(),
        "hours": history.seconds / 3600,
        "device_hours": history.device_seconds / 3600,
    }


def counted(history: History) -> dict[str, int]:
    """The number of trials by outcome."""
    found: dict[str, int] = {}
    for trial in history.trials.values():
        found[str(trial.status)] = found.get(str(trial.status), 0) + 1
    return found


def _trial(trial: TrialHistory) -> dict[str, Any]:
    """What every event of a trial says of it."""
    repeat: dict[str, Any] = {} if trial.confirms is None else {"confirms": trial.confirms, "repeat": trial.repeat}
    horizon = {} if trial.horizon == 1 and trial.of is None else {"horizon": trial.horizon, "of": trial.of}
    kept = {"trial": trial.number, "name": trial.name, "params": trial.trained_params, "sampled_params": trial.params}
    kept |= {"value": trial.value}
    if trial.cut is not None:
        repeat |= {"cut": trial.cut}
    return {**kept, "outcome": trial.outcome and str(trial.outcome), **repeat, **horizon}


def _place(place: BestEvaluation | None) -> dict[str, Any] | None:
    return None if place is None else asdict(place)


def _evaluation(found: Evaluation) -> dict[str, Any]:
    names = ("index", "step", "tokens", "epoch", "progress", "seconds", "metrics", "peak_memory", "device_memory")
    return {name: getattr(found, name) for name in names} | ({"branch": found.branch} if found.branch else {})


def _notice(event: events.Notice) -> dict[str, Any]:
    is_warning = event.line.startswith(WARNING)
    level = "warning" if is_warning else "info"
    return {"event": "notice", "level": level, "message": event.line.removeprefix(WARNING)}


def _opened(event: events.Opened) -> dict[str, Any]:
    experiment, history = event.experiment, event.history
    return {
        "event": "opened",
        "version": VERSION,
        "study": history.study,
        "folder": str(event.folder),
        "metric": history.metric,
        "direction": history.direction,
        "budget": extended(experiment.budget, history).model_dump(mode="json", exclude_none=True),
        "params": list(experiment.space.params),
        "workers": [{"device": one.device, "threads": one.threads} for one in event.workers],
        "data": event.data,
        "outcomes": counted(history),
        "waiting": event.waiting,
    }


def _watched(event: events.Watched | events.Left) -> dict[str, Any]:
    history = event.history
    about = {"study": history.study, "folder": str(event.folder), "state": str(event.state)}
    named = {"metric": history.metric, "direction": history.direction, "outcomes": counted(history)}
    kind = "watched" if isinstance(event, events.Watched) else "left"
    return {"event": kind, "version": VERSION, **about, **named, "best": best_of(history)}


def _stopped(event: events.Paused | events.Interrupted) -> dict[str, Any]:
    kind = "paused" if isinstance(event, events.Paused) else "interrupted"
    return {"event": kind, **_trial(event.trial), "slot": event.slot, "reason": event.reason, "saved": event.saved}


def _started(event: events.Started) -> dict[str, Any]:
    trial = event.trial
    about = {"slot": event.slot, "attempt": event.attempt, "device": trial.device, "label": trial.label}
    return {"event": "started", **_trial(trial), **about}


def _measured(event: events.Measured) -> dict[str, Any]:
    return {"event": "measured", **_trial(event.trial), "slot": event.slot, **_evaluation(event.evaluation)}


def _finished(event: events.Finished) -> dict[str, Any]:
    trial = event.trial
    end = {"seconds": trial.seconds, "reason": trial.reason, "best_evaluation": _place(trial.best)}
    return {"event": "finished", **_trial(trial), "slot": event.slot, **end}


def _searched(event: events.Searched) -> dict[str, Any]:
    return {"event": "searched", "stopped": event.stopped, "idle": event.idle, **result(event.history)}


def _resumed(event: events.Resumed) -> dict[str, Any]:
    return {"event": "resumed", "seed": event.seed, "step": event.step, "index": event.evaluation, "done": event.done}


def _trained(event: events.Trained) -> dict[str, Any]:
    about = {"share": event.share, "metric": event.metric, "seed": event.seed}
    return {"event": "trained", **about, **_evaluation(event.evaluation)}


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


_DESCRIBED: Mapping[type, Any] = {
    events.Notice: _notice,
    events.Preparing: lambda e: {"event": "preparing", "what": e.what, "share": e.share},
    events.Opened: _opened,
    events.Watched: _watched,
    events.Left: _watched,
    events.Started: _started,
    events.Measured: _measured,
    events.Finished: _finished,
    events.Paused: _stopped,
    events.Interrupted: _stopped,
    events.SearchPaused: lambda e: {"event": "search_paused", "study": e.history.study},
    events.SearchResumed: lambda e: {"event": "search_resumed", "study": e.history.study},
    events.Searched: _searched,
    events.Shipped: lambda e: {"event": "shipped", "exported": _path(e.exported), "lacking": e.lacking},
    events.Prepared: lambda e: {"event": "prepared", "data": e.data},
    events.Resumed: _resumed,
    events.Stepped: lambda e: {"event": "stepped", "seed": e.seed, "step": e.step, "share": e.share},
    events.Trained: _trained,
    events.Testing: lambda e: {"event": "testing"},
    events.Judging: lambda e: {"event": "judging", **vars(e)},
    events.Judged: lambda e: {"event": "judged", **vars(e)},
}
