"""One training by a program, over all its starts: what it is told, when it is ended, and what its end means."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from hpsearch.contract import LOGS, Command, Evaluation, Handle, WorkerSettings
from hpsearch.system import gpus
from hpsearch.system.atomic import write_json
from hpsearch.trainers.output_log import OutputLog
from hpsearch.trainers.own import files_of, gpus_of
from hpsearch.trainers.program import process
from hpsearch.trainers.program.output import unread
from hpsearch.trainers.program.reading import Reading
from hpsearch.trainers.program.template import OWN, filled, filled_text, program_of

RESUME = 75  # exit code: start me again (EX_TEMPFAIL of sysexits.h)
NO_MEMORY = (137, -9)  # killed, mostly because memory ran out
WANTS = ("out of memory", "outofmemoryerror", "cannot allocate memory", "can't allocate memory", "memoryerror")


class ProgramFailed(RuntimeError):
    """A program ended with an exit code that says failure; the message has the last lines that it printed."""


class Run:
    """One training by a program, over all its starts."""

    def __init__(self, config: Any, handle: Handle) -> None:
        self._config, self._handle = config, handle
        self._folder = files_of(handle)
        self._reading = Reading(config, handle)
        self._spoke = 0.0

    @property
    def known(self) -> list[Evaluation]:
        """The evaluations of earlier attempts."""
        return list(self._reading.known)

    @property
    def tested(self) -> dict[str, float]:
        """The last metrics test/... that it reported."""
        return self._reading.placing.tested

    def whole(self, log: OutputLog) -> Generator[Evaluation, None, int | None]:
        """Yields what it measures up to its end; returns its exit code, None if the trial was stopped."""
        for spool in self._reading.unread():
            while output := spool.read():
                log.append(output)
                yield from self._reading.take(output)
        code: int | None = RESUME
        while code == RESUME:
            before = self._reading.placing.step
            code = yield from self._once(log)
            if code == RESUME and self._reading.placing.step == before:
                raise ProgramFailed(f"it ended twice with exit code {RESUME} (resume me) and reported no step between")
        return code

    def last(self) -> Iterator[Evaluation]:
        """The evaluation at the end, if the last report was none; raises ValueError if there was none at all."""
        try:
            found = self._reading.placing.end()
        except ValueError as error:
            tail = self._reading.tail
            why = "" if self._reading.placing.named else unread(tail, patterns=bool(self._config.metrics))
            said = f"its last line: {tail[-1]}" if tail else "it printed nothing"
            raise ValueError("; ".join(filter(None, [str(error), why, said]))) from None
        if found is not None:
            yield found

    def failed(self, code: int) -> Exception:
        """The error of an exit code."""
        tail = self._reading.tail
        last = tail[-1].strip() if tail else "it printed nothing"
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"{ended}: {last}\nits last lines (all are in {self._handle.folder / LOGS[0]}):\n" + "\n".join(tail)
        is_memory = code in NO_MEMORY or any(want in line.lower() for line in tail for want in WANTS)
        return MemoryError(text) if is_memory else ProgramFailed(text)

    def _once(self, log: OutputLog) -> Generator[Evaluation, None, int | None]:
        """Starts the program and yields what it measures; returns its exit code, None if the trial was stopped."""
        reading, stopped = self._reading, self._handle.command() >= Command.PAUSE
        if stopped:  # by an evaluation that was read late
            reading.save()
            return None
        spool, self._spoke = reading.next_start(), time.monotonic()
        program = process.Program(
            self._arguments(), folder=self._handle.settings.base, environment=self._environment(), spool=spool
        )
        try:
            for output in program.output():
                self._refuse_silence(output)
                log.append(output)
                for evaluation in reading.take(output):
                    yield evaluation
                    self._spoke = time.monotonic()  # it may have waited to print, while the search judged
                if self._handle.command() >= Command.PAUSE:
                    stopped = True
                    break
            if not stopped:
                yield from reading.rest()
            return None if stopped else program.code()
        finally:
            for output in program.end(self._config.grace):
                log.append(output)
                self._handle.command()  # a sign of life
                if stopped:
                    deque(reading.take(output), maxlen=0)  # yielded when it is resumed
            if stopped:
                reading.save()

    def _refuse_silence(self, output: bytes) -> None:
        """Raises ProgramFailed if the program has printed nothing for too long."""
        if output:
            self._spoke = time.monotonic()
        silence, tail = self._config.silence, self._reading.tail
        if silence is not None and time.monotonic() - self._spoke > silence:
            last = f"; its last line: {tail[-1]}" if tail else ""
            raise ProgramFailed(f"it printed nothing for {silence:g} s (silence){last}")

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
        return [str(program_path(name, self._handle.settings.base)), *others]

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


def program_path(name: str, base: Path) -> Path | str:
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
