"""`hpsearch delete`: deletes studies with all that belongs to them, after asking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import ask, home_option, yes_option

if TYPE_CHECKING:
    from hpsearch.home.deletion import Deletion


@click.command(
    short_help="Delete studies: files, MLflow runs and database rows.",
    epilog="""\b
Examples:
  hpsearch delete quickstart
  hpsearch delete quickstart reviews --yes""",
)
@click.argument("studies", nargs=-1, required=True, metavar="SPACE_OR_STUDY...")
@yes_option
@click.option("--keep-mlflow", is_flag=True, help="Leave the runs in MLflow.")
@home_option
def delete(studies: tuple[str, ...], yes: bool, keep_mlflow: bool, home_path: Path) -> None:
    """Delete studies: their files, MLflow runs and rows in the Optuna database, and data that only they use.

    It says what goes and asks first. Space files, and configs and models that were exported elsewhere, stay. If it is
    interrupted, the same command deletes the rest.
    """
    from hpsearch.api.delete import to_delete
    from hpsearch.displays.console import say
    from hpsearch.home.deletion import delete as deleted
    from hpsearch.home.deletion import refuse_registered
    from hpsearch.home.home import Home

    plans = to_delete(studies, home_path)
    for plan in plans:
        refuse_registered(plan, keep_mlflow=keep_mlflow)
    for plan in plans:
        say(_said(plan, keep_mlflow))
    ask("delete this? It cannot be restored", yes=yes, doing="deletes")
    for plan in plans:
        deleted(Home(home_path), plan.study, keep_mlflow=keep_mlflow, say=say)
        say(f"study '{plan.study}' is deleted")


def _said(plan: Deletion, keep_mlflow: bool) -> str:
    """What goes, in a line."""
    from hpsearch.displays.amounts import bytes_text
    from hpsearch.output.redaction import redact

    runs = "" if plan.runs is None else f", {plan.runs} MLflow run{'s' * (plan.runs != 1)}"
    runs = f", its MLflow runs on {redact(plan.tracking)}" if plan.tracking is not None else runs
    rest = "what is left of it: " if plan.begun else ""
    damaged = "" if plan.created is not None or plan.begun else " (its journal cannot be read)"
    trials = f"{plan.trials} trial{'s' * (plan.trials != 1)}, "
    return f"study '{plan.study}': {rest}{trials}{bytes_text(plan.bytes)}{'' if keep_mlflow else runs}{damaged}"
