"""`hpsearch export`: the winner as a config."""

from __future__ import annotations

from pathlib import Path

import click

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
    from hpsearch.api.study import load
    from hpsearch.caveats import caveats
    from hpsearch.displays.text import equals, plain, quoted
    from hpsearch.home import Home
    from hpsearch.space.experiment import Experiment

    study = load(space_or_study, home=home_path)
    study.export(output)
    Experiment.load(output).train_config()  # what is exported can be read
    winner = study.history.ranked(unfinished=True)[0]
    status = study.trials[winner.number].outcome
    click.echo(f"{output}: trial {winner.number}, {study.metric} {winner.value:.6g} ({status})")
    if (line := equals(study.history, winner)) is not None:
        click.echo(plain(line))
    for line in caveats(study.history):
        click.echo(f"warning: {line}")
    click.echo(f"next: hpsearch train {quoted(output)}{Home(home_path).option} -o model")
