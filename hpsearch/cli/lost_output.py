"""A standard output that is closed or full: `run`, `train` and `ui` continue, a command that only prints fails."""

from __future__ import annotations

import os

import click

from hpsearch.errors import StorageFailed
from hpsearch.output.streams import NAMES, loss, reader_gone

CONTINUES = {
    "run": "the search continues; `hpsearch show` lists its trials",
    "train": "the training continues",
    "ui": "the UI keeps running",
}
_state = {"command": ""}


def running(command: str) -> None:
    """Notes the command that runs."""
    _state["command"] = command


def tell(descriptor: int, error: OSError) -> None:
    """Says on standard error, once, that standard output is lost; says nothing after `show | head`."""
    if descriptor == 1 and _state["command"] in CONTINUES:
        click.echo(f"{_why(error)}: {CONTINUES[_state['command']]}", err=True)


def check() -> None:
    """Raises StorageFailed if the output of a command that only prints is lost."""
    error = loss()
    if error is not None and not reader_gone(error) and _state["command"] not in CONTINUES:
        raise StorageFailed(_why(error))


def _why(error: OSError) -> str:
    return f"{NAMES[1]}: {os.strerror(error.errno or 0)}"
