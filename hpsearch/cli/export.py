"""`hpsearch export`: writes the winner as a config."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import home_option


@click.command(
    epilog="""\b
Example:
  hpsearch export search_spaces/quickstart.yaml -o best.yaml --model model"""
)
@click.argument("space_or_study")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("best.yaml"), show_default=True
)
@click.option(
    "--model", type=click.Path(path_type=Path, file_okay=False), help="Folder for the weights that the search has kept."
)
@home_option
def export(space_or_study: str, output: Path, model: Path | None, home_path: Path) -> None:
    """Write the best trial of SPACE_OR_STUDY as a config without ranges, with its provenance.

    --model also writes the trial's weights as a model that transformers reads, neither trained further nor tested.
    """
    from hpsearch.api.study import load
    from hpsearch.caveats import caveats
    from hpsearch.displays.text import equals, plain, quoted
    from hpsearch.home import Home
    from hpsearch.space.experiment import Experiment
    from hpsearch.weights import refuse_filled, setting_of, write_model

    study, home = load(space_or_study, home=home_path), Home(home_path)
    if model is not None:
        refuse_filled(model)
    study.export(output)
    exported = Experiment.load(output)
    exported.train_config()  # the exported file is valid
    winner = study.history.ranked(unfinished=True)[0]
    status = study.trials[winner.number].outcome
    click.echo(f"{output}: trial {winner.number}, {study.metric} {winner.value:.6g} ({status})")
    if (line := equals(study.history, winner)) is not None:
        click.echo(plain(line))
    for line in caveats(study.history):
        click.echo(f"warning: {line}")
    if model is not None:
        setting = setting_of(exported, home)
        write_model(study.history, winner, model, study=home.study(study.name), setting=setting)
        at = f"evaluation {winner.best.index}" if winner.best else "its best evaluation"
        click.echo(f"{model}: the weights of trial {winner.number} at {at}, as the search kept them; not tested")
    click.echo(f"next: hpsearch train {quoted(output)}{home.option} -o model")
