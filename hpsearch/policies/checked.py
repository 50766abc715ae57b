"""Checks each answer of a user's policy: a mistake in it is one line, never a traceback."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

from hpsearch.errors import ConfigError, HpsearchError, UserError
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.output.error_lines import with_line
from hpsearch.output.printable import printable
from hpsearch.policies.policy import Decision, GoOn, Judgement, New, Nothing, Policy
from hpsearch.space.space import Space
from hpsearch.verdict import Verdict

LONGEST = 100  # characters of an answer in an error
SEEDS = 2**63  # a seed is below


class CheckedPolicy:
    """Returns the answers of a policy; raises UserError, which begins with `where`, for a wrong answer."""

    def __init__(self, policy: Policy, space: Space, *, where: str) -> None:
        self._policy, self._space, self._where = policy, space, where
        self._trainings: dict[str, int] = {}  # config and seed -> the first trial that has them
        self._read = 0  # trials of the history that are in `_trainings`

    def next(self, history: History) -> Decision:
        """The policy's decision, with Python integers: a new trial in the space, a paused trial, or nothing."""
        decision = self._asked("next", lambda: self._policy.next(history))
        if isinstance(decision, New):
            return self._new(decision, history)
        if isinstance(decision, GoOn):
            return self._resumed(decision, history)
        if not isinstance(decision, Nothing):
            raise self._wrong(f"next() returned {_shown(decision)}; allowed: New, GoOn, Nothing")
        self._check_reason("Nothing", decision.reason)
        return decision

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """The policy's judgement."""
        judgement = self._asked("judge", lambda: self._policy.judge(history, trial))
        if not isinstance(judgement, Judgement) or not isinstance(judgement.verdict, Verdict):
            verdicts = ", ".join(Verdict.__members__)
            raise self._wrong(f"judge() returned {_shown(judgement)}; allowed: a Judgement with a Verdict ({verdicts})")
        self._check_reason("Judgement", judgement.reason)
        return judgement

    def _asked(self, name: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except HpsearchError:
            raise
        except (Exception, SystemExit) as error:
            raise self._wrong(f"{name}() raised {with_line(error)}") from error

    def _new(self, new: New, history: History) -> New:
        internal, seed = self._internal(new.params), None
        if new.seed is not None:
            seed = _integer(new.seed)
            if seed is None or not 0 <= seed < SEEDS:
                raise self._wrong(f"New: seed={_shown(new.seed)}; allowed: an integer from 0 to 2**63 - 1, or None")
        until = self._until("New", new.until)
        if not isinstance(new.label, str):
            raise self._wrong(f"New: label={_shown(new.label)}; allowed: a text, which may be empty")
        if new.audit:
            raise self._wrong(f"New: audit={_shown(new.audit)}; allowed: False; `hpsearch audit` trains audits")
        if new.horizon != 1 or new.of is not None:
            raise self._wrong(
                "New: horizon and of are for search.shift, which a policy of your own has not; leave them"
            )
        if new.repeats is not None:
            return replace(new, seed=seed, until=until, repeats=self._repeated(new.repeats, seed, history))
        self._check_training(internal, _seed(history) if seed is None else seed, history)
        return replace(new, seed=seed, until=until)

    def _repeated(self, repeats: Any, seed: int | None, history: History) -> int:
        """Returns the number of the trial that a repeat trains again; raises UserError if it may not be."""
        number = _integer(repeats)
        trial = history.trials.get(-1 if number is None else number)
        if trial is None or not trial.counts or trial.best is None:
            raise self._wrong(f"New: repeats={_shown(repeats)}; allowed: the number of a completed trial, or None")
        known = {
            one.config.get("seed")
            for one in history.repeats.values()
            if one.confirms == trial.number and not one.audits
        }
        if seed is None or seed in {*known, trial.config.get("seed", _seed(history))}:
            raise self._wrong(f"New: repeats={trial.number} with seed={_shown(seed)}; allowed: a seed it has not had")
        return trial.number

    def _internal(self, params: Any) -> dict[str, Any]:
        """Returns the internal values of a new trial's params."""
        if not isinstance(params, dict):
            raise self._wrong(f"New({_shown(params)}): params are a dict of short names and values")
        try:
            internal = self._space.internal(params)
        except ConfigError as error:
            raise self._wrong(f"New: {error}") from None
        if unknown := [name for name in params if name not in internal]:
            has = ", ".join(internal) or "none"
            raise self._wrong(f"New: {_name(unknown[0])} is no parameter of this trial; it has: {has}")
        return internal

    def _check_training(self, internal: dict[str, Any], seed: int, history: History) -> None:
        """Raises UserError if a trial has the same config and seed: it would repeat that training."""
        for trial in islice(history.trials.values(), self._read, None):
            if trial.config:  # else its params stood on damaged lines alone
                own = trial.config.get("seed", _seed(history))
                self._trainings.setdefault(self._training(trial.internal, own), trial.number)
        self._read = len(history.trials)
        earlier = self._trainings.get(self._training(internal, seed))
        if earlier is not None:
            raise self._wrong(f"New: trial {earlier} has this config and seed {seed}; allowed: another config or seed")

    def _training(self, internal: dict[str, Any], seed: int) -> str:
        config = self._space.trainer.dedup_key(self._space.config(internal))
        return json.dumps([seed, config], sort_keys=True, default=str)

    def _resumed(self, decision: GoOn, history: History) -> GoOn:
        number = _integer(decision.trial)
        if number is None:
            raise self._wrong(f"GoOn({_shown(decision.trial)}): allowed: the number of a paused trial")
        trial = history.trials.get(number)
        if trial is None or not trial.paused:
            paused = ", ".join(str(number) for number, trial in history.trials.items() if trial.paused) or "none"
            is_not = "is not paused" if trial is not None else "does not exist"
            raise self._wrong(f"GoOn({number}): this trial {is_not}; paused: {paused}")
        return replace(decision, trial=number, until=self._until("GoOn", decision.until))

    def _until(self, what: str, until: Any) -> int | None:
        index = _integer(until)
        if until is not None and (index is None or index < 1):
            raise self._wrong(f"{what}: until={_shown(until)}; allowed: an evaluation's index (1, 2, ...), or None")
        return index

    def _check_reason(self, what: str, reason: Any) -> None:
        if not isinstance(reason, str):
            raise self._wrong(f"{what}: reason={_shown(reason)}; allowed: a text, which may be empty")

    def _wrong(self, what: str) -> UserError:
        return UserError(f"{self._where}: {what}")


def _integer(value: Any) -> int | None:
    """An integer of Python or NumPy as an int; None for any other value, True and False included."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _seed(history: History) -> int:
    """The study's seed, which trials have by default."""
    seed: int = history.origin.identity.get("seed", 0)
    return seed


def _shown(value: Any) -> str:
    """A value as it is written in Python, shortened; its class if `repr` fails, as for an integer of 5,000 digits."""
    try:
        return printable(repr(value)[:LONGEST], keep="")
    except Exception:
        return f"a value of the class {type(value).__name__}"


def _name(value: Any) -> str:
    return printable(value, keep="") if isinstance(value, str) else _shown(value)
