"""What a person is told when standard output takes no more: what works on goes on, what only prints is over."""

from __future__ import annotations

import os

import click

from hpsearch.errors import StorageFailed
from hpsearch.output import NAMES, loss, reader_gone

GOES_ON = {
    "run": "the search goes on; `hpsearch show` lists its trials",
    "train": "the training goes on",
    "ui": "the UI goes on",
}
_state = {"command": ""}


def running(command: str) -> None:
    """Notes which command runs."""
    _state["command"] = command


def tell(descriptor: int, error: OSError) -> None:
    """Says on standard error, once, that standard output takes no more; nothing after `show | head`."""
    if descriptor == 1 and _state["command"] in GOES_ON:
        click.echo(f"{_why(error)}: {GOES_ON[_state['command']]}", err=True)


def check() -> None:
    """Raises StorageFailed when what a command printed is lost and printing was all that was left of its work."""
    error = loss()
    if error is not None and not reader_gone(error) and _state["command"] not in GOES_ON:
        raise StorageFailed(_why(error))


def _why(error: OSError) -> str:
    return f"{NAMES[1]}: {os.strerror(error.errno or 0)}"
