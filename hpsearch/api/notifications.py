"""Tells a webhook (`notify` of the space file, or HPSEARCH_NOTIFY) how a search ends, and when a loss first diverges.

The messages are in docs/notify.md. A file in the study's folder remembers which end was told, so that a search that is
killed after its end and run again tells it once.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import ConfigError, HpsearchError, StudyBusy
from hpsearch.events import Event, Finished, Notice, Opened, Searched, Show
from hpsearch.home.home import Home
from hpsearch.journal.history import History
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from hpsearch.output.error_lines import with_class
from hpsearch.output.printable import printable
from hpsearch.output.redaction import hide, redact
from hpsearch.output.webhook import Message, Webhook, wrong_url
from hpsearch.space.experiment import Experiment
from hpsearch.system.atomic import write_json

VARIABLE = "HPSEARCH_NOTIFY"
TOLD = "notified.json"  # in the study's folder
LONGEST = 500  # characters of a text or a reason
_QUIET = str.maketrans({"<": "(", ">": ")", "@": "(at)", "`": "'", "*": "", "|": "/"})  # marks of chat programs


@contextlib.contextmanager
def notifying(experiment: Experiment, home: Home, show: Show) -> Iterator[Show]:
    """Yields `show`, which also tells the webhook of the search in the block; without a webhook, `show` itself.

    Raises ConfigError for an invalid HPSEARCH_NOTIFY. Errors of the block propagate; a webhook that fails is a Notice.
    """
    url = url_of(experiment)
    if url is None:
        yield show
        return
    hide(url)
    webhook = Webhook(url, fails=lambda reason: show(Notice(f"warning: notify: the webhook was not told: {reason}")))
    messages = Notifications(experiment, home, webhook)
    try:
        yield messages.watching(show)
    except BaseException as error:
        messages.failed(error)
        raise
    finally:
        webhook.finish()


def url_of(experiment: Experiment) -> str | None:
    """Returns the webhook of the space file, else that of the environment; None if neither names one."""
    if experiment.settings.notify is not None:
        return experiment.settings.notify
    url = os.environ.get(VARIABLE, "").strip()
    if not url:
        return None
    if reason := wrong_url(url):
        raise ConfigError(f"{VARIABLE}: {reason}")
    return url


class Notifications:
    """The messages about one run of a study."""

    def __init__(self, experiment: Experiment, home: Home, webhook: Webhook) -> None:
        self._experiment, self._home, self._webhook = experiment, home, webhook
        self._history: History | None = None  # None until the study is open
        self._stopped = False
        self._told = Told(home.study(experiment.study) / TOLD)

    def watching(self, show: Show) -> Show:
        """Returns `show` with a look at each event."""

        def shown(event: Event) -> None:
            show(event)
            with contextlib.suppress(Exception):  # a message is not worth a search
                self._look(event)

        return shown

    def failed(self, error: BaseException) -> None:
        """Tells that the run ended by an error or a person; nothing for a study that another process searches."""
        if isinstance(error, StudyBusy) or (self._stopped and isinstance(error, KeyboardInterrupt)):
            return
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            if self._history is not None:
                self._send("stopped", reason="stopped by a person at once; the same command resumes it")
        else:
            line = str(error) if isinstance(error, HpsearchError) else with_class(error)
            self._send("failed", reason=line)

    def _look(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._history = event.history
        elif isinstance(event, Finished) and event.trial.outcome is Outcome.DIVERGED:
            reason = f"{event.trial.name}: {event.trial.reason or 'its loss is not finite'}"
            self._send_once("diverged", "first", reason=reason, of=event.trial.number)
        elif isinstance(event, Searched) and event.stopped:
            self._stopped = True
            self._send("stopped", reason="stopped by a person; everything is saved, and the same command resumes it")
        elif isinstance(event, Searched) and event.history.is_fruitless:
            self._send_once("failed", _state(event.history), reason=_why_fruitless(event.history))
        elif isinstance(event, Searched) and event.history.trials:
            self._send_once("finished", _state(event.history))

    def _send_once(self, event: str, key: str, **more: Any) -> None:
        """Sends a message unless this one was told before; one that did not arrive is told again by the next run."""
        if self._told.claim(event, key):
            self._send(event, lost=lambda: self._told.forget(event), **more)

    def _send(self, event: str, *, lost: Callable[[], None] = lambda: None, **more: Any) -> None:
        """Sends a message; what fails on the way to the queue must not end a search."""
        with contextlib.suppress(Exception):
            self._webhook.send(message(event, self._experiment, self._history, home=self._home, **more), lost=lost)


class Told:
    """A file that says which end and which divergence were told."""

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, threading.Lock()

    def claim(self, event: str, key: str) -> bool:
        """Whether this was not told yet; it counts as told from now on."""
        with self._turn:
            known = self._read()
            if known.get(event) == key:
                return False
            self._write({**known, event: key})
            return True

    def forget(self, event: str) -> None:
        """Notes that the message did not arrive."""
        with self._turn:
            self._write({name: key for name, key in self._read().items() if name != event})

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, known: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # of a full disk; a message may then come twice
            write_json(self._path, known)


def message(
    event: str,
    experiment: Experiment,
    history: History | None,
    *,
    home: Home,
    reason: str = "",
    of: int | None = None,
) -> Message:
    """Returns the JSON of an event: finished, stopped, failed or diverged. `of`: the trial that diverged."""
    history = History(study=experiment.study) if history is None else history
    best = history.leader()
    outcomes = Counter(trial.status for trial in history.trials.values())
    reason = printable(redact(reason), keep="")[:LONGEST]
    found: Message = {
        "text": _text(event, experiment, history, reason),
        "event": event,
        "id": uuid.uuid4().hex,
        "study": experiment.study,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": socket.gethostname(),
        "reason": reason or None,
        "metric": experiment.objective.metric,
        "direction": experiment.objective.direction,
        "value": best.value if best else None,
        "trial": best.number if best else None,
        "params": best.trained_params if best else {},
        "trials": len(history.trials),
        "outcomes": dict(outcomes),
        "seconds": round(history.seconds, 1),
        "link": _link(experiment),
        "commands": _commands(event, experiment, home, is_won=best is not None),
        **({} if of is None else {"diverged": of}),
    }
    told: Message = _plain(found)
    return told


def _text(event: str, experiment: Experiment, history: History, reason: str) -> str:
    """One sentence, without characters that a chat program reads as a mention, a link or a style."""
    best = history.leader()
    value = "no winner"
    if best is not None and best.value is not None:
        value = f"best {history.metric} {digits(best.value)} (trial {best.number})"
    of = f" of {history.configs}" * (history.ended != history.configs)
    spent = f"{history.ended}{of} trials, {history.seconds / 60:.1f} minutes"
    what = "audit" if experiment.audits else "search" if experiment.searches else "confirmation"
    after = f": {reason}" if reason else ""
    said = {
        "finished": f"{what} of {experiment.study} finished: {value}; {spent}",
        "stopped": f"{what} of {experiment.study} stopped after {spent}; {value} so far",
        "failed": f"{what} of {experiment.study} failed after {spent}{after}",
        "diverged": f"a trial of {experiment.study} diverged{after}",
    }[event]
    return f"hpsearch: {said}".translate(_QUIET)[:LONGEST]


def _why_fruitless(history: History) -> str:
    """Why a search that has come to its end is none that has finished, in words."""
    outcomes = Counter(trial.status.replace("_", " ") for trial in history.trials.values())
    return f"no trial has a value ({', '.join(f'{n} {outcome}' for outcome, n in outcomes.most_common())})"


def _link(experiment: Experiment) -> str | None:
    """The address of the MLflow server, if the study has one."""
    uri = experiment.tracking.uri or ""
    return redact(uri) if uri.startswith(("http://", "https://")) else None


def _commands(event: str, experiment: Experiment, home: Home, *, is_won: bool) -> list[str]:
    """What a person may want to call next."""
    study, option = experiment.study, home.option
    after = [f"hpsearch export {study}{option}"] if is_won and event == "finished" else []
    return [f"hpsearch show {study}{option}", *after]


def _state(history: History) -> str:
    """What tells one end of a study from another: how many trials and repeats have ended, and how far the rest are."""
    ended = sum(trial.outcome is not None for trial in history.everything.values())
    evaluated = sum(len(trial.measured) for trial in history.everything.values() if trial.outcome is None)
    return f"{len(history.everything)} {ended} {evaluated}"


def _plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinity as null, text without secrets."""
    if isinstance(value, dict):
        return {redact(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else redact(str(value))
