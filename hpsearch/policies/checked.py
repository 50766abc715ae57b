"""Checks each answer of a user's policy: a mistake in it is one line, never a traceback."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from hpsearch.errors import ConfigError, HpsearchError, UserError
from hpsearch.journal.history import History, TrialHistory
from hpsearch.policies.policy import Decision, GoOn, Judgement, New, Nothing, Policy
from hpsearch.printable import printable
from hpsearch.space.space import Space
from hpsearch.verdict import Verdict

LONGEST = 100  # characters of an answer in an error


class CheckedPolicy:
    """Returns the answers of a policy; raises UserError, which begins with `where`, for a wrong answer."""

    def __init__(self, policy: Policy, space: Space, *, where: str) -> None:
        self._policy, self._space, self._where = policy, space, where

    def next(self, history: History) -> Decision:
        """The policy's decision: a new trial in the space, a paused trial, or nothing."""
        decision = self._asked("next", lambda: self._policy.next(history))
        if isinstance(decision, New):
            self._check_new(decision)
        elif isinstance(decision, GoOn):
            self._check_paused(decision, history)
        elif not isinstance(decision, Nothing):
            raise self._wrong(f"next() returned {_shown(decision)}; allowed: New, GoOn, Nothing")
        return decision  # type: ignore[no-any-return]

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """The policy's judgement."""
        judgement = self._asked("judge", lambda: self._policy.judge(history, trial))
        if not isinstance(judgement, Judgement) or not isinstance(judgement.verdict, Verdict):
            verdicts = ", ".join(Verdict.__members__)
            raise self._wrong(f"judge() returned {_shown(judgement)}; allowed: a Judgement with a Verdict ({verdicts})")
        return judgement

    def _asked(self, name: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except HpsearchError:
            raise
        except (Exception, SystemExit) as error:
            raise self._wrong(f"{name}() raised {line(error)}") from error

    def _check_new(self, new: New) -> None:
        if not isinstance(new.params, dict):
            raise self._wrong(f"New({_shown(new.params)}): params are a dict of short names and values")
        try:
            known = self._space.values(self._space.internal(new.params))
        except ConfigError as error:
            raise self._wrong(f"New: {error}") from None
        if unknown := [name for name in new.params if name not in known]:
            raise self._wrong(f"New: {unknown[0]} is no parameter of this trial; it has: {', '.join(known) or 'none'}")
        if new.seed is not None and (type(new.seed) is not int or new.seed < 0):
            raise self._wrong(f"New: seed={_shown(new.seed)}; allowed: an integer of at least 0, or None")
        self._check_until("New", new.until)

    def _check_paused(self, decision: GoOn, history: History) -> None:
        trial = history.trials.get(decision.trial)
        if trial is None or not trial.paused:
            paused = ", ".join(str(number) for number, trial in history.trials.items() if trial.paused) or "none"
            is_not = "is not paused" if trial is not None else "does not exist"
            raise self._wrong(f"GoOn({_shown(decision.trial)}): this trial {is_not}; paused: {paused}")
        self._check_until("GoOn", decision.until)

    def _check_until(self, what: str, until: Any) -> None:
        if until is not None and (type(until) is not int or until < 1):
            raise self._wrong(f"{what}: until={_shown(until)}; allowed: an evaluation's index (1, 2, ...), or None")

    def _wrong(self, what: str) -> UserError:
        return UserError(f"{self._where}: {what}")


def line(error: BaseException) -> str:
    """An error of a user's code in one line, with the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    first = (str(error).strip().splitlines() or [""])[0]
    return printable(f"{type(error).__name__}: {first}{place}")


def _shown(value: Any) -> str:
    return printable(repr(value)[:LONGEST])
