"""The command line: the only place that prints or exits.

NAME.py                    the command `hpsearch NAME` (listing.py: list; pause.py: pause and resume)
study_table.py study_json.py comparison_tables.py    what `show` and `compare` print
terminal.py closing.py     what `run` prints besides the search itself (see displays/)
outputs.py json_errors.py  --quiet and --json
signals.py lost_output.py  Ctrl-C and other signals; a standard output that is closed or full
options.py                 options that several commands share
completion.py              a shell's script, and what it completes
"""

from __future__ import annotations

import difflib
import errno
import gc
import os
import shutil
import signal
import sys
import textwrap
from typing import Any

import click

from hpsearch import __version__
from hpsearch.cli import json_errors, lost_output
from hpsearch.cli.audit import audit
from hpsearch.cli.check import check
from hpsearch.cli.clean import clean
from hpsearch.cli.compare import compare
from hpsearch.cli.completion import complete_names, completion
from hpsearch.cli.confirm import confirm
from hpsearch.cli.delete import delete
from hpsearch.cli.enqueue import enqueue
from hpsearch.cli.evaluate import evaluate
from hpsearch.cli.explain import explain
from hpsearch.cli.export import export
from hpsearch.cli.extend import extend
from hpsearch.cli.listing import list_studies
from hpsearch.cli.new import new
from hpsearch.cli.pause import pause, resume
from hpsearch.cli.plan import plan
from hpsearch.cli.predict import predict
from hpsearch.cli.register import register
from hpsearch.cli.rename import rename
from hpsearch.cli.repair import repair
from hpsearch.cli.report import report
from hpsearch.cli.run import run
from hpsearch.cli.schema import schema
from hpsearch.cli.show import show
from hpsearch.cli.stop import stop
from hpsearch.cli.sync import sync
from hpsearch.cli.train import train
from hpsearch.cli.ui import ui
from hpsearch.cli.verify import verify
from hpsearch.cli.watch import watch
from hpsearch.errors import HpsearchError, StorageFailed, StudyMismatch
from hpsearch.output import waiting
from hpsearch.output.printable import printable
from hpsearch.output.redaction import guard, redact
from hpsearch.output.streams import unfailing
from hpsearch.system.environment import refuse_old, stand_in_for_user

NEEDS = {  # packages with a version floor
    "plan": ("torch",),
    "check": ("torch",),
    "run": ("torch", "mlflow"),
    "confirm": ("torch", "mlflow"),
    "audit": ("torch", "mlflow"),
    "extend": ("torch", "mlflow"),
    "train": ("torch", "mlflow"),
    "register": ("mlflow",),
    "verify": ("torch",),
    "predict": ("torch",),
    "evaluate": ("torch",),
    "ui": ("mlflow",),
}
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}  # errors of the disk that nothing closer to it has handled


class Sections(click.Group):
    """Commands listed under headings, in the order in which people need them."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections: dict[str, list[click.Command]] = {}

    def add_section(self, heading: str, *members: click.Command) -> None:
        """Adds the commands under the heading."""
        self.sections[heading] = list(members)
        for command in members:
            complete_names(command)
            self.add_command(command)

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """Finds the command; the error for an unknown one names the nearest."""
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"{error.message}{hint}", context) from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a list of commands under each heading."""
        widest = max(len(name) for name in self.commands)
        for heading, members in self.sections.items():
            limit = formatter.width - 6 - widest
            rows = [(str(one.name).ljust(widest), one.get_short_help_str(limit)) for one in members]
            with formatter.section(heading):
                formatter.write_dl(rows)


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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


commands.add_section("Before", new, plan, check, explain, schema)
commands.add_section("Search", run, watch, pause, resume, extend, enqueue, stop)
commands.add_section("Look and compare", list_studies, show, compare, report, ui)
commands.add_section("Trust", confirm, audit, verify)
commands.add_section("Use the winner", export, train, register, predict, evaluate)
commands.add_section("Keep in order", rename, clean, delete, sync, repair, completion)


def main(arguments: list[str] | None = None) -> None:
    """The `hpsearch` program.

    Exit code 0: done; 1: failure; 2: user's mistake; 3: not reproduced (verify); 73: busy; 74: disk; 130: Ctrl-C.
    """
    os.umask(0o077)  # new files are private
    guard()
    stand_in_for_user()
    with unfailing(lost_output.tell):
        given = sys.argv[1:] if arguments is None else arguments
        if not {"--quiet", "--json"} & set(given):
            waiting.start()
        try:
            _main(given)
        finally:
            waiting.stop()
            if arguments is None:  # else the caller's process goes on
                _leave_garbage()


def _leave_garbage() -> None:
    """Spares the interpreter's end its search for garbage among all that torch and MLflow are: a second of a core.

    Threads are waited for, exit handlers run and streams are flushed as ever.
    """
    gc.freeze()


def _main(arguments: list[str]) -> None:
    json_errors.expect(arguments)
    try:
        code = commands.main(arguments, prog_name="hpsearch", standalone_mode=False)
        lost_output.check()
        sys.exit(code)
    except HpsearchError as error:
        _say_error(str(error), keep="\n" if isinstance(error, StudyMismatch) else "")  # its difference has lines
        json_errors.tell(error, str(error), error.exit_code)
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = getattr(error, "ctx", None)
        _say_error(error.format_message() + (f" (see {command.command_path} --help)" if command is not None else ""))
        json_errors.tell(error, error.format_message(), error.exit_code)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo("stopped", err=True)
        json_errors.tell(error, "stopped", 128 + signal.SIGINT)
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if error.errno not in DISK:
            json_errors.tell(error, str(error), 1)
            raise
        _say_error(f"{error.filename or 'the disk'}: {error.strerror}")
        json_errors.tell(error, f"{error.filename or 'the disk'}: {error.strerror}", StorageFailed.exit_code)
        sys.exit(StorageFailed.exit_code)
    except Exception as error:
        json_errors.tell(error, str(error), 1)
        raise


def _say_error(message: str, *, keep: str = "") -> None:
    lines = f"error: {printable(redact(message), keep=keep)}".split("\n")
    if sys.stderr is not None and sys.stderr.isatty():
        width = max(40, shutil.get_terminal_size().columns)
        lines = [line if len(line) <= width else _wrapped(line, width) for line in lines]
    click.echo("\n".join(lines), err=True)


def _wrapped(line: str, width: int) -> str:
    """The line in lines that fit, broken at spaces alone: a path or a place stays whole."""
    return textwrap.fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
