"""Options that several commands share."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hpsearch.journal.history import MAX_TRIALS


def _home(context: click.Context, param: click.Parameter, path: Path) -> Path:
    """Returns the folder that this --home stands for, and says so if it is another one."""
    from hpsearch.home.home import Home

    found = Home.at(path).path
    if found.resolve() != path.resolve():
        click.echo(f"{path} is an MLflow file store; hpsearch keeps its studies beside it, in {found}", err=True)
    return found


home_option = click.option(
    "--home",
    "home_path",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("mlruns"),
    show_default=True,
    callback=_home,
    help="Folder of all studies, their databases and the cache.",
)
DEVICES = click.Choice(["auto", "cpu", "cuda", "mps"])
device_option = click.option("--device", type=DEVICES, help="Where to train.")
model_device_option = click.option(
    "--device", type=DEVICES, default="auto", show_default=True, help="Where the model computes."
)


def writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a model that writes texts: `max_new_tokens` and `beam_size`."""
    tokens = click.option(
        "--max-new-tokens",
        type=click.IntRange(1),
        help="Tokens of a written text at most (default: as in the training).",
    )
    beams = click.option(
        "--beam-size", type=click.IntRange(1, 64), help="Beams; 1: greedy (default: as in the training)."
    )
    return tokens(beams(command))


trainer_option = click.option(
    "--trainer", metavar="python:MODULE:CLASS", help="Of the space files of a trainer of your own."
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose what a search or a training prints: `quiet` and `as_json`."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Print errors, warnings and the winner alone.")
    as_json = click.option("--json", "as_json", is_flag=True, help="Print an object a line, for programs.")
    return quiet(as_json(command))


class Amount(click.FloatRange):
    """A finite number above 0."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        return found if math.isfinite(found) else self.fail("must be a finite number above 0", param, ctx)


def budget_options(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that limit a search; `what` they count."""
    options = [
        click.option("--trials", type=click.IntRange(1, MAX_TRIALS), help=f"Trials {what}."),
        click.option("--hours", type=Amount(), help=f"Hours {what}."),
        click.option("--device-hours", type=Amount(), help=f"Hours of all devices {what}."),
        click.option("--money", type=Amount(), help=f"Money {what}, by budget.price_per_hour."),
    ]

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def study_name(context: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Returns the name that --study gives; raises ConfigError if it is not allowed."""
    from hpsearch.errors import ConfigError
    from hpsearch.space.validation import wrong_study

    if name is not None and (reason := wrong_study(name)):
        raise ConfigError(f"--study: {reason}")
    return name


class Workers(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4 on
    """A count of at least 1, or auto."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The count or "auto"."""
        if value == "auto" or (str(value).isdecimal() and int(value) >= 1):
            return value if value == "auto" else int(value)
        self.fail(f"{value!r} is neither auto nor a whole number of at least 1", param, ctx)


workers_option = click.option("--workers", type=Workers(), help="Training processes; auto: one per CPU core or GPU.")


def resources_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where a search trains: `workers`, `device` and `launcher`."""
    launcher = click.option(
        "--launcher",
        type=click.Choice(["local", "inline", "ray"]),
        help="Where workers run: processes here, this process, a Ray cluster.",
    )
    return workers_option(device_option(launcher(command)))


yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def ask(question: str, *, yes: bool, doing: str) -> None:
    """Asks a person; returns if the answer is yes, or `yes` is set. Aborts for another answer.

    doing: what the command does with --yes, for the error. Raises UserError if there is no terminal to ask.
    """
    from hpsearch.errors import UserError

    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError(f"standard input is no terminal, so nobody can be asked: --yes {doing} without asking")
    if not click.confirm(question, err=True):
        raise UserError("nothing was changed")


force_option = click.option(
    "--force", is_flag=True, help="Replace the file even if something else wrote it, or a person edited it."
)
