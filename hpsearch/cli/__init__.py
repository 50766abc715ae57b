"""The command line: the only place that prints or exits.

run.py stop.py show.py export.py train.py ui.py sync.py repair.py     one command each
terminal.py closing.py     what `run` prints besides the search itself (see displays/)
signals.py lost_output.py  Ctrl-C and other signals; a standard output that is closed or full
options.py                 options that several commands share
"""

from __future__ import annotations

import errno
import os
import signal
import sys

import click

from hpsearch import __version__
from hpsearch.cli import lost_output
from hpsearch.cli.export import export
from hpsearch.cli.repair import repair
from hpsearch.cli.run import run
from hpsearch.cli.show import show
from hpsearch.cli.stop import stop
from hpsearch.cli.sync import sync
from hpsearch.cli.train import train
from hpsearch.cli.ui import ui
from hpsearch.environment import refuse_old, stand_in_for_user
from hpsearch.errors import HpsearchError, StorageFailed, StudyMismatch
from hpsearch.output import unfailing
from hpsearch.printable import printable
from hpsearch.redaction import guard, redact

NEEDS = {"run": ("torch", "mlflow"), "train": ("torch", "mlflow"), "ui": ("mlflow",)}  # packages with a version floor
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}  # errors of the disk that nothing closer to it has handled


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hpsearch")
@click.pass_context
def commands(context: click.Context) -> None:
    """Find the hyperparameters for training a language model on your data.

    \b
    hpsearch run space.yaml          search; resumes where it was stopped
    hpsearch ui                      compare the trials in the MLflow UI
    hpsearch export space.yaml       the winner as best.yaml
    hpsearch train best.yaml         the final training, and the test
    """
    lost_output.running(context.invoked_subcommand or "")
    refuse_old(*NEEDS.get(context.invoked_subcommand or "", ()))


for command in (run, stop, show, export, train, ui, sync, repair):
    commands.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """The `hpsearch` program. Exit code 0: done; 1: failure; 2: user's mistake; 73: busy; 74: disk; 130: Ctrl-C."""
    os.umask(0o077)  # new files are private
    guard()
    stand_in_for_user()
    with unfailing(lost_output.tell):
        _main(arguments)


def _main(arguments: list[str] | None) -> None:
    try:
        code = commands.main(arguments, prog_name="hpsearch", standalone_mode=False)
        lost_output.check()
        sys.exit(code)
    except HpsearchError as error:
        _say_error(str(error), keep="\n" if isinstance(error, StudyMismatch) else "")  # its difference has lines
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = getattr(error, "ctx", None)
        _say_error(error.format_message() + (f" (see {command.command_path} --help)" if command is not None else ""))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if error.errno not in DISK:
            raise
        _say_error(f"{error.filename or 'the disk'}: {error.strerror}")
        sys.exit(StorageFailed.exit_code)


def _say_error(message: str, *, keep: str = "") -> None:
    click.echo(f"error: {printable(redact(message), keep=keep)}", err=True)
