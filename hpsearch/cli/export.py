"""`hpsearch export`: the winner as a config."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option


@click.command(
    epilog="""\b
Example:
  hpsearch export search_spaces/quickstart.yaml -o best.yaml"""
)
@click.argument("space_or_study")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("best.yaml"), show_default=True
)
@home_option
def export(space_or_study: str, output: Path, home_path: Path) -> None:
    """Write the best trial of SPACE_OR_STUDY as a config: every range a value, and where it comes from."""
    from hpsearch import best
    from hpsearch.caveats import caveats
    from hpsearch.displays.text import equals, plain, quoted
    from hpsearch.home import Home, base_of, history_of
    from hpsearch.space.experiment import Experiment
    from hpsearch.views.mlflow.store import run_ids

    name, _ = study_named(space_or_study)
    home = Home(home_path)
    history = history_of(home, name, space=space_or_study)
    winner = best.winner(history)
    best.write(
        history, output, base=base_of(history, home.study(name)), run_id=run_ids(home.path, name).get(winner.number)
    )
    Experiment.load(output).train_config()  # what is exported can be read
    click.echo(f"{output}: trial {winner.number}, {history.metric} {winner.value:.6g} ({winner.outcome})")
    if (line := equals(history, winner)) is not None:
        click.echo(plain(line))
    for line in caveats(history):
        click.echo(f"warning: {line}")
    click.echo(f"next: hpsearch train {quoted(output)}{home.option} -o model")
