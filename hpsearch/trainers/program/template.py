"""A command with placeholders: split as a shell does, then filled in by argument, so that no value can inject.

`{name}` is a value, `{{` and `}}` are braces. An argument with a value that is null, or that the trial does not have,
is left out.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from hpsearch.document.validation_errors import unknown_key
from hpsearch.errors import ConfigError

OWN = {  # placeholders that hpsearch fills in
    "folder": "the trial's folder",
    "seed": "the seed",
    "trial": "the trial's number",
    "device": "cpu, cuda:0",
    "gpus": "the number of the trial's GPUs",
    "threads": "CPU threads",
    "config": "a JSON file with the whole config",
}
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish"}
_OF_SHELLS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>", "2>&1", "&>"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def arguments_of(command: str | Sequence[str]) -> list[str]:
    """The command's arguments with their placeholders; raises ConfigError for what only a shell understands."""
    try:
        arguments = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise ConfigError(f"{str(error).lower()} in the command") from None
    if not arguments or not arguments[0]:
        raise ConfigError("an empty command; write a program and its arguments: python my_train.py --lr {lr}")
    if isinstance(command, str):
        _refuse_shell(arguments)
    _refuse_scripts(arguments)
    return arguments


def placeholders(arguments: Sequence[str]) -> list[str]:
    """The names of the placeholders; raises ConfigError for a brace of none."""
    return [name for argument in arguments for kind, name in _parts(argument) if kind == "value"]


def check_names(arguments: Sequence[str], known: Sequence[str]) -> None:
    """Raises ConfigError for a placeholder of another name."""
    for name in placeholders(arguments):
        if name not in known:
            raise ConfigError(f"{{{name}}}: {unknown_key(name, known)}; a brace of your own is {{{{ or }}}}")


def filled(arguments: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The arguments with values; those with one that is None or missing are left out."""
    found = (filled_text(argument, values) for argument in arguments)
    return [argument for argument in found if argument is not None]


def filled_text(text: str, values: Mapping[str, Any]) -> str | None:
    """A text with values; None if one of them is None or missing."""
    parts = []
    for kind, part in _parts(text):
        if kind == "value" and values.get(part) is None:
            return None
        parts.append(str(values[part]) if kind == "value" else part)
    return "".join(parts)


def program_of(arguments: Sequence[str]) -> list[str]:
    """The arguments with the Python that runs hpsearch for a plain `python`."""
    return [sys.executable if arguments[0] in ("python", "python3") else arguments[0], *arguments[1:]]


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yields ("text", ...) and ("value", name)."""
    end = 0
    for found in _PART.finditer(text):
        yield "text", text[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            yield "text", found[0][0]
        elif found[1] is None:
            raise ConfigError(
                f"{found[0]!r} in {text!r} belongs to no placeholder; a brace of your own is {{{{ or }}}}"
            )
        else:
            yield "value", found[1]
    yield "text", text[end:]


def _refuse_shell(arguments: Sequence[str]) -> None:
    """Raises ConfigError for what would be an argument without a shell."""
    if _ASSIGNMENT.match(arguments[0]):
        name = arguments[0].partition("=")[0]
        raise ConfigError(f"no shell runs the command, so {name}=... is no assignment; write env: {{{name}: ...}}")
    found = next((one for one in arguments if one in _OF_SHELLS), None)
    if found is not None:
        raise ConfigError(f"no shell runs the command, so {found!r} has no meaning; put it into a script of your own")


def _refuse_scripts(arguments: Sequence[str]) -> None:
    """Raises ConfigError for a placeholder in the script of `sh -c`, where a value could be a command."""
    if PurePath(arguments[0]).name not in _SHELLS:
        return
    for option, script in pairwise(arguments):
        if re.fullmatch(r"-\w*c", option) and (names := placeholders([script])):
            raise ConfigError(
                f"{{{names[0]}}} in the script of {arguments[0]} {option}: a value could be a command there; pass it "
                f"as an argument: {arguments[0]} {option} '... \"$1\"' {arguments[0]} {{{names[0]}}}"
            )
