"""What a check finds, one line each: what the trainer does, and what a study will not promise where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

PAGE = "docs/own_training.md, Check it"


@dataclass(frozen=True)
class Finding:
    """One part of the contract."""

    name: str  # of the part, a key of PARTS
    passed: bool | None  # None: it was not checked
    line: str  # what was seen
    not_promised: str = ""  # what a study with this trainer does not have; empty unless it fails
    mend: str = ""  # what the trainer must do
    output: tuple[str, ...] = ()  # the last lines that a training printed which failed

    @property
    def mark(self) -> str:
        """The word in front of it."""
        return {True: "ok", False: "FAILS", None: "-"}[self.passed]


@dataclass(frozen=True)
class Conformance:
    """The result of `hpsearch check`: what a trainer does of its contract, by short trainings of one config."""

    study: str
    trainer: str
    params: Mapping[str, Any]  # of the config, as trials have them
    device: str
    findings: tuple[Finding, ...]
    trainings: int = 0
    seconds: float = 0.0  # in all
    notes: tuple[str, ...] = field(default=())  # warnings that the trainings logged

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The parts that the trainer does not keep."""
        return tuple(one for one in self.findings if one.passed is False)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def finding(self, name: str) -> Finding:
        """The finding of a part; raises KeyError for a name of none."""
        for one in self.findings:
            if one.name == name:
                return one
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-able values."""
        return {**asdict(self), "params": dict(self.params), "ok": self.ok}


@dataclass(frozen=True)
class Part:
    """A part of the contract: what a study does not have without it, and how each kind of trainer keeps it."""

    not_promised: str
    mend: Mapping[str, str]  # kind of trainer -> what to do; "": any other kind


_ANY = ""
_SAVE = "trial.save(state) after each yield, with optimizer and random numbers; trial.load() at the start"
PARTS: Mapping[str, Part] = {
    "evaluations": Part(
        "there is nothing to search by: every trial fails",
        {
            "function": 'yield {"val/loss": ...}, or name the metric as objective: {metric: ...}',
            "program": "print lines that `metrics` finds, with the objective among them",
            _ANY: "yield Evaluations whose metrics contain the objective",
        },
    ),
    "finite": Part(
        "a trial whose objective or loss is not finite ends as diverged and never wins",
        {_ANY: "if this config should train, look for a division by zero, or narrow the range of the rate"},
    ),
    "progress": Part(
        "the displays know no progress and no time left; hyperband and promotion guess how long a training is",
        {
            "function": 'yield "step" and "steps", or "progress"; or write evaluations: N in the file',
            "program": "print step and steps, or progress; or write evaluations: N in the file",
            _ANY: "yield evaluation i of n at progress i / n, the last one at 1",
        },
    ),
    "seed": Part(
        "`hpsearch verify` does not reproduce a value, and a trial that is trained again has another one",
        {
            "function": "seed every generator with trial.seed (workers of a DataLoader too)",
            "program": "pass the seed: --seed={seed}, and seed every generator with it",
            _ANY: "seed every generator with config.seed",
        },
    ),
    "together": Part(
        "trials that run at once are not those that would run alone: use resources: {workers: 1}",
        {
            "function": "write to trial.folder alone; take no fixed port and no fixed file name elsewhere",
            "program": "write to {folder} alone; take no fixed port (torchrun --standalone) and no fixed file name",
            _ANY: "write to handle.folder alone; take no fixed port and no fixed file name elsewhere",
        },
    ),
    "group": Part(
        "trials that one worker trains together are not those that it would train alone: use trials_per_worker: 1",
        {
            _ANY: "in train_many keep weights, random numbers, batches and steps of each task apart (or let shape tell "
            "apart what it cannot); read each task.handle.command(), and yield (trial, None) when it pauses"
        },
    ),
    "memory": Part(
        "a worker grows with each trial: it is replaced from time to time, and large trials may run out of memory",
        {_ANY: "keep no data, model or curve in a global variable, a cache or a closure after the training"},
    ),
    "files": Part(
        "trials overwrite each other's files, and what lies elsewhere is neither resumed nor cleaned up",
        {
            "function": "write to trial.folder alone",
            "program": "write to {folder} alone",
            _ANY: "write to handle.folder alone",
        },
    ),
    "processes": Part(
        "processes of trials that have ended keep memory and cores until their worker ends",
        {_ANY: "end what the training starts in a `finally:` block"},
    ),
    "resumes": Part(
        "a trial that was paused (Ctrl-C, `hpsearch pause`, the promotion pruner) starts anew: its time so far is lost",
        {
            "function": _SAVE,
            "program": "keep checkpoints in {folder}, and resume if HPSEARCH_RESUME is 1, or by resume_command",
            _ANY: "save_state at PAUSE; load_state at the start, and yield the evaluations in it first",
        },
    ),
    "stops": Part(
        "Ctrl-C, `hpsearch stop` and a pruner wait for it; after search.stall_timeout its worker is killed",
        {
            "function": "yield more often, or look at trial.stopping; let TrialStopped pass",
            "program": "end at SIGTERM; grace: SECONDS in the file says when it is killed",
            _ANY: "call handle.command() before each step, and return at PAUSE and FINISH",
        },
    ),
    "killed": Part(
        "a trial whose worker is killed (kill -9, a crash, a lost node) starts anew: its time so far is lost",
        {
            "function": _SAVE,
            "program": "keep checkpoints in {folder}, and resume if HPSEARCH_RESUME is 1, or by resume_command",
            _ANY: "save_state from time to time (handle.settings.checkpoint_seconds), and load_state at the start",
        },
    ),
}


GROUP = "group"  # of trials that one worker trains together: a part where the space file wants such


def keeps(name: str, line: str) -> Finding:
    """The finding that a trainer keeps a part."""
    return Finding(name, True, line)


def not_checked(name: str, why: str) -> Finding:
    """The finding that nothing is known of a part."""
    return Finding(name, None, f"not checked: {why}")


def fails(name: str, line: str, *, kind: str, lacks: str = "", mend: str = "") -> Finding:
    """The finding that a trainer of this kind does not keep a part.

    lacks, mend: what is not promised, and what to do, where it is not what PARTS says.
    """
    part = PARTS[name]
    mend = mend or part.mend.get(kind, part.mend[_ANY])
    return Finding(name, False, line, lacks or part.not_promised, f"{mend} ({PAGE})")
