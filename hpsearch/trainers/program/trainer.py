"""Trains by a program of the user's, which prints what it measures.

It is started for each trial, and again where a trial resumes; it is told by its arguments and its environment what to
train and where to keep its files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from hpsearch.config import Config
from hpsearch.contract import LOGS, Command, Evaluation, Handle, WorkerSettings
from hpsearch.document.document import Fault, Keys
from hpsearch.document.validation_errors import shown
from hpsearch.errors import ConfigError
from hpsearch.system import gpus
from hpsearch.system.atomic import write_json
from hpsearch.trainers.output_log import OutputLog
from hpsearch.trainers.own import FILES, OwnConfig, OwnTrainer, Placing, Report, files_of, gpus_of, note_tested
from hpsearch.trainers.program import process
from hpsearch.trainers.program.output import JsonLines, Lines, Patterns, wrong_pattern
from hpsearch.trainers.program.template import (
    OWN,
    arguments_of,
    check_names,
    filled,
    filled_text,
    placeholders,
    program_of,
)
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.state import load_state, save_state

RESUME = 75  # exit code: start me again (EX_TEMPFAIL of sysexits.h)
NO_MEMORY = (137, -9)  # killed, mostly because memory ran out
WANTS = ("out of memory", "outofmemoryerror", "cannot allocate memory", "can't allocate memory", "memoryerror")
LAST_LINES = 20  # of the output, in the error of a program that fails
LONGEST_LINE = 300  # characters of each


class ProgramFailed(RuntimeError):
    """A program ended with an exit code that says failure; the message has the last lines that it printed."""


class ProgramConfig(OwnConfig):
    """The program, its environment, and how its output is read."""

    command: str | list[str] = Field(
        description="the program and its arguments, with {name} for a value; a text is split as a shell does",
        examples=["python my_train.py --lr {lr} --out {folder}"],
    )
    resume_command: str | list[str] | None = Field(
        None, description="what is started instead in a trial whose folder has files; if left out, the command"
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="environment variables, with {name} for a value", examples=[{"LR": "{lr}"}]
    )
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="regular expressions, each with a group around the number; without any, lines of JSON are read",
        examples=[{"val/loss": "val loss ([0-9.]+)"}],
    )
    grace: float = Field(30.0, ge=0, description="seconds from SIGTERM to SIGKILL when a trial stops")

    silence: float | None = Field(
        None, gt=0, description="seconds without output after which the program counts as hanging; if left out, never"
    )

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values without the times that a program has."""
        return {key: value for key, value in values.items() if key not in ("grace", "silence")}

    @property
    def commands(self) -> dict[str, list[str]]:
        """The arguments of each command, by its key; raises ConfigError."""
        both = {"command": self.command, "resume_command": self.resume_command}
        return {key: arguments_of(command) for key, command in both.items() if command is not None}


class Program(OwnTrainer):
    """Trains by the program that the file names as `command:`."""

    config: ClassVar[type[Config]] = ProgramConfig
    exports: ClassVar[str] = "what the program wrote to its folder"

    def validate(self, space: SpaceView) -> None:
        """Raises Fault for a command that is none, a placeholder without a value, a value without a placeholder."""
        config, names = space.config, space.keys("config")
        _refuse_own_names(names)
        used: set[str] = set()
        for key, value in {"command": config.command, "resume_command": config.resume_command}.items():
            if value is not None:
                with _placed((key,)):
                    arguments = arguments_of(value)
                    check_names(arguments, [*names, *OWN])
                    used |= {*placeholders(arguments)}
        for key, value in config.env.items():
            with _placed(("env", key)):
                check_names([value], [*names, *OWN])
                used |= {*placeholders([value])}
        unseen = next((name for name, varies in names.items() if varies and not used & {name, "config"}), None)
        if unseen is not None:
            way = f"write {{{unseen}}} in the command, or {{config}}, a JSON file with all values"
            raise Fault(
                ("config", *unseen.split(".")), f"{unseen} is searched, but the command has no place for it: {way}"
            )
        for name, pattern in config.metrics.items():
            if reason := wrong_pattern(pattern):
                raise Fault(("metrics", name), f"{shown(pattern)} {reason}")

    def check(self, space: SpaceView) -> None:
        """Raises ConfigError if a program is not there."""
        for key, arguments in space.config.commands.items():
            name = program_of(arguments)[0]
            if "{" not in name and shutil.which(str(_program(name, space.base))) is None:
                raise ConfigError(f"{space.where(key)}: {key}: no program {name!r} on the PATH, or it cannot be run")

    def starts_anew(self, folder: Path) -> bool:
        """Whether the program has left no file in its folder to resume from."""
        return not any(path.is_file() for path in (folder / FILES).rglob("*"))

    def train(self, config: Any, handle: Handle) -> Iterator[Evaluation]:
        """Runs the program and yields its evaluations, those of earlier attempts first."""
        run = Run(config, handle)
        yield from run.known
        with contextlib.closing(OutputLog(handle.folder)) as log:
            code: int | None = RESUME
            while code == RESUME:
                before = run.placing.step
                code = yield from run.once(log)
                if code == RESUME and run.placing.step == before:
                    raise ProgramFailed(
                        f"it ended twice with exit code {RESUME} (resume me) and reported no step between"
                    )
        if code == 0:
            yield from run.last()
            note_tested(handle, run.placing.tested)
        elif code is not None:
            raise run.failed(code)


class Run:
    """One training by a program, over all its starts."""

    def __init__(self, config: Any, handle: Handle) -> None:
        self._config, self._handle = config, handle
        self._folder = files_of(handle)
        self.placing = Placing(config.objective.metric, config.evaluations)
        self.known: list[Evaluation] = []
        self._tail: deque[str] = deque(maxlen=LAST_LINES)
        self._resumed_at, self._skip, self._spoke = -1, 0, 0.0
        state = load_state(config, handle)
        if state is not None:
            self.known = [Evaluation.from_dict(one) for one in state["evaluations"]]
            self.placing.resume(state["placing"])

    def once(self, log: OutputLog) -> Generator[Evaluation, None, int | None]:
        """Starts the program and yields what it measures; returns its exit code, None if the trial was stopped."""
        self._resumed_at, self._skip, self._spoke = self.placing.step, len(self.known), time.monotonic()
        program = process.Program(self._arguments(), folder=self._handle.settings.base, environment=self._environment())
        reader = Patterns(self._config.metrics) if self._config.metrics else JsonLines()
        lines, stopped = Lines(), False
        try:
            for output in program.output():
                self._refuse_silence(output)
                log.append(output)
                for line in lines.of(output):
                    yield from self._evaluations(reader.report(line), line)
                if self._handle.command() >= Command.PAUSE:
                    stopped = True
                    break
            if not stopped:
                for line in lines.rest():
                    yield from self._evaluations(reader.report(line), line)
            return None if stopped else program.code()
        finally:
            for output in program.end(self._config.grace):
                log.append(output)
                self._handle.command()  # a sign of life
                for line in lines.of(output) if stopped else ():
                    deque(self._evaluations(reader.report(line), line), maxlen=0)  # yielded when it is resumed
            if stopped:
                self._save()

    def last(self) -> Iterator[Evaluation]:
        """The evaluation at the end, if the last report was none; raises ValueError if there was none at all."""
        try:
            found = self.placing.end()
        except ValueError as error:
            said = f"; its last line: {self._tail[-1]}" if self._tail else "; it printed nothing"
            raise ValueError(f"{error}{said}") from None
        if found is not None:
            yield found

    def failed(self, code: int) -> Exception:
        """The error of an exit code."""
        last = self._tail[-1].strip() if self._tail else "it printed nothing"
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"{ended}: {last}\nits last lines (all are in {self._handle.folder / LOGS[0]}):\n" + "\n".join(
            self._tail
        )
        is_memory = code in NO_MEMORY or any(want in line.lower() for line in self._tail for want in WANTS)
        return MemoryError(text) if is_memory else ProgramFailed(text)

    def _refuse_silence(self, output: bytes) -> None:
        """Raises ProgramFailed if the program has printed nothing for too long."""
        if output:
            self._spoke = time.monotonic()
        silence = self._config.silence
        if silence is not None and time.monotonic() - self._spoke > silence:
            last = f"; its last line: {self._tail[-1]}" if self._tail else ""
            raise ProgramFailed(f"it printed nothing for {silence:g} s (silence){last}")

    def _evaluations(self, metrics: dict[str, float], line: str) -> Iterator[Evaluation]:
        """Yields the evaluation of a line, if it is one that is not known yet."""
        self._tail.append(line[:LONGEST_LINE])
        if not metrics:
            return
        report = Report.of(metrics)
        if self._is_known(report):
            return
        evaluation = self.placing.place(report)
        if evaluation is not None:
            self.known.append(evaluation)
            self._save()  # before it is yielded: the program's own state may be later
            yield evaluation
            self._spoke = time.monotonic()  # it may have waited to print, while the search judged

    def _is_known(self, report: Report) -> bool:
        """Whether an earlier start reported it: it has no later step or, without steps, is among the first ones."""
        if report.step is not None:
            return report.step <= self._resumed_at
        if self.placing.objective in report.metrics and self._skip > 0:
            self._skip -= 1
            return True
        return self._skip > 0

    def _save(self) -> None:
        evaluations = [one.to_dict() for one in self.known]
        save_state(self._config, self._handle, {"evaluations": evaluations, "placing": self.placing.to_dict()})

    @property
    def _resumes(self) -> bool:
        """Whether the program has left files to resume from."""
        return any(path.is_file() for path in self._folder.rglob("*"))

    def _arguments(self) -> list[str]:
        commands = self._config.commands
        arguments = commands["command"]
        if self._resumes:
            arguments = commands.get("resume_command", arguments)
        name, *others = program_of(filled(arguments, self._values()))
        return [str(_program(name, self._handle.settings.base)), *others]

    def _values(self) -> dict[str, Any]:
        own, settings = self._handle.folder / "config.json", self._handle.settings
        write_json(own, self._config.config.nested)
        number = self._handle.folder.name
        return {
            **self._config.config.flat,
            "folder": self._folder,
            "seed": self._config.seed,
            "trial": int(number) if number.isdecimal() else "final",
            "device": settings.device,
            "gpus": gpus_of(self._handle),
            "threads": settings.threads,
            "config": own.absolute(),
        }

    def _environment(self) -> dict[str, str]:
        values = self._values()
        told = {f"HPSEARCH_{name.upper()}": str(values[name]) for name in OWN}
        given = {name: filled_text(text, values) for name, text in self._config.env.items()}
        threads = {name: str(values["threads"]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        return {
            **os.environ,
            **_visible(self._handle.settings),
            **threads,
            "PYTHONUNBUFFERED": "1",  # else Python keeps lines back that go to a pipe
            **told,
            "HPSEARCH_RESUME": str(int(self._resumes)),
            **{name: text for name, text in given.items() if text is not None},
        }


def _program(name: str, base: Path) -> Path | str:
    """The program; a path such as ./run.sh starts from the study's folder."""
    return base / name if "/" in name else name


def _visible(settings: WorkerSettings) -> dict[str, str]:
    """The variable that shows the program its GPUs alone: on a CPU none."""
    if settings.device == "cpu":
        return {gpus.VISIBLE: ""}
    kind, _, index = settings.device.partition(":")
    first = int(index or 0)
    shown = gpus.visible([str(first + other) for other in range(settings.gpus)], os.environ)
    return {} if kind != "cuda" or shown is None else {gpus.VISIBLE: shown}


def _refuse_own_names(names: Mapping[str, bool]) -> None:
    for name in names:
        if name in OWN:
            raise Fault(("config", name), f"{{{name}}} is a placeholder of hpsearch's own ({OWN[name]})", at_key=True)


@contextlib.contextmanager
def _placed(keys: Keys) -> Iterator[None]:
    try:
        yield
    except Fault:
        raise
    except ConfigError as error:
        raise Fault(keys, str(error)) from error
