"""`hpsearch register`: a model of an earlier final training in MLflow's registry."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import home_option


@click.command(
    short_help="Make a trained model a version in MLflow's registry.",
    epilog="""\b
Examples:
  hpsearch register model "mail sorter"
  hpsearch register model "mail sorter" --alias champion""",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--alias", metavar="ALIAS", help="The version's alias (default: champion for the first version of NAME).")
@home_option
def register(model: Path, name: str, alias: str | None, home_path: Path) -> None:
    """Make MODEL, the folder of a final training, a version of NAME in MLflow's registry.

    As `hpsearch train --register NAME`, for a model that was trained without it, or while MLflow was down: what MLflow
    lacks of the training is written first. The same command again finds the version that it has made.
    """
    import hpsearch
    from hpsearch.displays.console import say
    from hpsearch.displays.text import quoted

    found = hpsearch.register(model, name, alias=alias, home=home_path, progress=say_notice)
    say(f"registered: {found}  ({quoted(found.uri)})")


def say_notice(event: object) -> None:
    """Prints what the store has said."""
    from hpsearch.displays.console import say
    from hpsearch.events import Notice

    if isinstance(event, Notice):
        say(event.line)
