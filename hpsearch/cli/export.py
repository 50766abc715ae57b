"""`hpsearch export`: writes the winner as a config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import home_option
from hpsearch.errors import UserError

if TYPE_CHECKING:
    from hpsearch.api.study import Study
    from hpsearch.journal.trial_history import TrialHistory


@click.command(
    short_help="Write the best trial as a config without ranges.",
    epilog="""\b
Examples:
  hpsearch export search_spaces/quickstart.yaml -o best.yaml --model model
  hpsearch export quickstart --cheapest -o cheapest.yaml""",
)
@click.argument("space_or_study")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("best.yaml"), show_default=True
)
@click.option(
    "--model", type=click.Path(path_type=Path, file_okay=False), help="Folder for the weights that the search has kept."
)
@click.option(
    "--cheapest", is_flag=True, help="Of the trials within two sigma of the best, the one that costs least to train."
)
@click.option("--trial", type=click.IntRange(0), help="This trial; an audited one as its audit trained it to its end.")
@home_option
def export(
    space_or_study: str, output: Path, model: Path | None, cheapest: bool, trial: int | None, home_path: Path
) -> None:
    """Write the best trial of SPACE_OR_STUDY as a config without ranges, with its provenance.

    --model also writes the trial's weights as a model that transformers reads, neither trained further nor tested.
    """
    from hpsearch.api.study import load
    from hpsearch.displays.console import say
    from hpsearch.displays.text import quoted
    from hpsearch.home import Home
    from hpsearch.space.experiment import Experiment
    from hpsearch.weights import refuse_filled, setting_of, write_model

    if cheapest and trial is not None:
        raise UserError("--cheapest and --trial: only one of the two is allowed")
    study, home = load(space_or_study, home=home_path), Home(home_path)
    if model is not None:
        refuse_filled(model)
    study.export(output, cheapest=cheapest, trial=trial)
    exported = Experiment.load(output)
    exported.train_config()  # the exported file is valid
    winner = _exported(study, output, cheapest=cheapest, trial=trial)
    if model is not None:
        setting = setting_of(exported, home)
        write_model(study.history, winner, model, study=home.study(study.name), setting=setting)
        at = f"evaluation {winner.best.index}" if winner.best else "its best evaluation"
        say(f"{model}: the weights of trial {winner.number} at {at}, as the search kept them; not tested")
    say(f"next: hpsearch train {quoted(output)}{home.option} -o model")


def _exported(study: Study, output: Path, *, cheapest: bool, trial: int | None) -> TrialHistory:
    """Says which trial was exported, and returns it."""
    from hpsearch import choice
    from hpsearch.displays.console import say
    from hpsearch.displays.text import about_winner, equals
    from hpsearch.evidence.caveats import caveats

    history, winner = study.history, choice.winner(study.history)
    chosen = choice.cheapest(history) if cheapest else None if trial is None else choice.numbered(history, trial)
    found = winner if chosen is None else chosen.trial
    say(f"{output}: trial {found.number}, {study.metric} {found.value:.6g} ({study.trials[found.number].outcome})")
    if chosen is not None:
        lines = list(chosen.lines)
    else:
        lines = [*filter(None, [equals(history, winner)]), *about_winner(history)]
        lines += [f"warning: {line}" for line in caveats(history)]
    for line in lines:
        say(line)
    return found
