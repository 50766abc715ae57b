"""The commands: the only place that prints or exits.

run.py show.py export.py train.py ui.py sync.py     one command each
terminal.py                                 what several of them print
"""

from __future__ import annotations

import os
import signal
import sys

import click

from hpsearch import __version__
from hpsearch.cli.export import export
from hpsearch.cli.run import run
from hpsearch.cli.show import show
from hpsearch.cli.sync import sync
from hpsearch.cli.train import train
from hpsearch.cli.ui import ui
from hpsearch.errors import HpsearchError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hpsearch")
def commands() -> None:
    """Find the hyperparameters for training a language model on your data.

    \b
    hpsearch run space.yaml          search; resumes where it was stopped
    hpsearch ui                      compare the trials in the MLflow UI
    hpsearch export space.yaml       the winner as best.yaml
    hpsearch train best.yaml         the final training, and the test
    """


for command in (run, show, export, train, ui, sync):
    commands.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """The `hpsearch` program: exit 0 done, 2 the user's mistake, 1 a failure, 73 busy, 74 the disk, 130 Ctrl-C."""
    os.umask(0o077)  # what is written is the user's own
    try:
        sys.exit(commands.main(arguments, prog_name="hpsearch", standalone_mode=False))
    except HpsearchError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = getattr(error, "ctx", None)
        hint = f" (see {command.command_path} --help)" if command is not None else ""
        click.echo(f"error: {error.format_message()}{hint}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe has gone
        sys.exit(1)
