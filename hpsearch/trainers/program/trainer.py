"""Trains by a program of the user's, which prints what it measures.

It is started for each trial, and again where a trial resumes; it is told by its arguments and its environment what to
train and where to keep its files.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from hpsearch.config import Config
from hpsearch.contract import Evaluation, Handle
from hpsearch.document.document import Fault, Keys
from hpsearch.document.validation_errors import shown
from hpsearch.errors import ConfigError
from hpsearch.trainers.output_log import OutputLog
from hpsearch.trainers.own import FILES, OwnConfig, OwnTrainer, note_tested
from hpsearch.trainers.program.output import wrong_pattern
from hpsearch.trainers.program.run import Run, program_path
from hpsearch.trainers.program.template import OWN, arguments_of, check_names, placeholders, program_of
from hpsearch.trainers.space_view import SpaceView


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
    no_model: ClassVar[str] = "the program wrote nothing to {folder}; have it save its weights there"

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
            if "{" not in name and shutil.which(str(program_path(name, space.base))) is None:
                raise ConfigError(f"{space.where(key)}: {key}: no program {name!r} on the PATH, or it cannot be run")

    def starts_anew(self, folder: Path) -> bool:
        """Whether the program has left no file in its folder to resume from."""
        return not any(path.is_file() for path in (folder / FILES).rglob("*"))

    def train(self, config: Any, handle: Handle) -> Iterator[Evaluation]:
        """Runs the program and yields its evaluations, those of earlier attempts first."""
        run = Run(config, handle)
        yield from run.known
        with contextlib.closing(OutputLog(handle.folder)) as log:
            code = yield from run.whole(log)
        if code == 0:
            yield from run.last()
            note_tested(handle, run.tested)
        elif code is not None:
            raise run.failed(code)


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
