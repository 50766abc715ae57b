"""`hpsearch export`: the winner as a config."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import home_option, study_named


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
    """Write the best trial of SPACE_OR_STUDY as a config: every range a value, and where it comes from.

    With --model also its weights, as a model that transformers reads, not trained again and not tested.
    """
    from hpsearch import best
    from hpsearch.caveats import caveats
    from hpsearch.cli.text import equals, plain, quoted
    from hpsearch.home import Home, base_of, history_of
    from hpsearch.space.experiment import Experiment
    from hpsearch.views.mlflow.store import run_ids
    from hpsearch.weights import prepared_corpus, refuse_filled, write_model

    name, _ = study_named(space_or_study)
    home = Home(home_path)
    history = history_of(home, name, space=space_or_study)
    winner = best.winner(history)
    if model is not None:
        refuse_filled(model)
    best.write(
        history, output, base=base_of(history, home.study(name)), run_id=run_ids(home.path, name).get(winner.number)
    )
    exported = Experiment.load(output)
    exported.train_config()  # what is exported can be read
    click.echo(f"{output}: trial {winner.number}, {history.metric} {winner.value:.6g} ({winner.outcome})")
    if (line := equals(history, winner)) is not None:
        click.echo(plain(line))
    for line in caveats(history):
        click.echo(f"warning: {line}")
    if model is not None:
        corpus = prepared_corpus(exported, home)
        write_model(history, winner, model, study=home.study(name), corpus=corpus)
        at = f"evaluation {winner.best.index}" if winner.best else "its best evaluation"
        click.echo(f"{model}: the weights of trial {winner.number} at {at}, as the search kept them; not tested")
    click.echo(f"next: hpsearch train {quoted(output)}{home.option} -o model")
