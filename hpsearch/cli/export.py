"""`hpsearch export`: writes the winner as a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import force_option, home_option
from hpsearch.errors import UserError

if TYPE_CHECKING:
    from hpsearch.api.study import Study
    from hpsearch.home.home import Home
    from hpsearch.journal.trial_history import TrialHistory
    from hpsearch.trainers import ScaleUp


@click.command(
    short_help="Write the best trial as a config without ranges.",
    epilog="""\b
Examples:
  hpsearch export search_spaces/quickstart.yaml -o best.yaml --model model
  hpsearch export quickstart --cheapest -o cheapest.yaml
  hpsearch export quickstart --for "{width: 512, n_layers: 8, tokens: 1e8, epochs: 1}" """,
)
@click.argument("space_or_study")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="[default: best.yaml; with --for larger.yaml]",
)
@click.option(
    "--model", type=click.Path(path_type=Path, file_okay=False), help="Folder for the weights that the search has kept."
)
@click.option(
    "--cheapest", is_flag=True, help="Of the trials within two sigma of the best, the one that costs least to train."
)
@click.option("--trial", type=click.IntRange(0), help="This trial; an audited one as its audit trained it to its end.")
@click.option(
    "--for",
    "target",
    metavar="{KEY: VALUE, ...}",
    help="A larger training by published rules: width, n_layers, n_heads, context, tokens, epochs, batch_size.",
)
@click.option("--json", "as_json", is_flag=True, help="With --for: JSON of all values and their rules, for programs.")
@force_option
@home_option
def export(
    space_or_study: str,
    output: Path | None,
    model: Path | None,
    cheapest: bool,
    trial: int | None,
    target: str | None,
    as_json: bool,
    force: bool,
    home_path: Path,
) -> None:
    """Write the best trial of SPACE_OR_STUDY as a config without ranges, with its provenance.

    --model also writes the trial's weights as a model that transformers reads, neither trained further nor tested.
    --for writes the config of a larger training instead: its learning rate, batch size, weight decay, warm-up and
    dropout follow from the trial's by published rules, whose sources and limits are printed (docs/scale_up.md).
    """
    from hpsearch.api.study import load
    from hpsearch.displays.console import say
    from hpsearch.displays.text import quoted
    from hpsearch.final.weights import refuse_filled, setting_of, write_model
    from hpsearch.home.home import Home
    from hpsearch.space.experiment import Experiment

    if cheapest and trial is not None:
        raise UserError("--cheapest and --trial: only one of the two is allowed")
    if target is not None and model is not None:
        raise UserError("--for and --model: a larger training has no weights yet; only one of the two is allowed")
    if as_json and target is None:
        raise UserError("--json: only with --for")
    study, home = load(space_or_study, home=home_path), Home(home_path)
    if target is not None:
        output = output or Path("larger.yaml")
        found = study.scale_up(_target(target), output, cheapest=cheapest, trial=trial, force=force)
        _show_larger(found, output, home, as_json=as_json)
        return
    output = output or Path("best.yaml")
    if model is not None:
        refuse_filled(model)
    study.export(output, cheapest=cheapest, trial=trial, force=force)
    exported = Experiment.load(output)
    exported.train_config()  # the exported file is valid
    winner = _exported(study, output, cheapest=cheapest, trial=trial)
    if model is not None:
        setting = setting_of(exported, home)
        write_model(study.history, winner, model, study=home.study(study.name), setting=setting)
        at = f"evaluation {winner.best.index}" if winner.best else "its best evaluation"
        say(f"{model}: the weights of trial {winner.number} at {at}, as the search kept them; not tested")
    say(f"next: hpsearch train {quoted(output)}{home.option} -o model")


def _target(text: str) -> dict[str, Any]:
    """The mapping of --for, read as in a space file; raises UserError for a mistake."""
    from hpsearch.document.document import parse
    from hpsearch.errors import ConfigError

    try:
        found = parse(f"for: {text}\n", path="--for").value
    except ConfigError as error:
        raise UserError(f"--for: {str(error).partition(': ')[2]}") from None
    if list(found) != ["for"] or not isinstance(found["for"], dict) or not found["for"]:
        allowed = "{width: 1024, n_layers: 24, tokens: 2e9}"
        raise UserError(f"--for: {text!r} is no mapping of sizes; allowed: one as in {allowed}")
    return dict(found["for"])


def _show_larger(found: ScaleUp, output: Path, home: Home, *, as_json: bool) -> None:
    """Prints the values of a larger training, and how to train it."""
    from hpsearch.cli.scale_table import show
    from hpsearch.displays.console import say
    from hpsearch.displays.text import quoted

    if as_json:
        click.echo(json.dumps({"file": str(output)} | found.to_dict(), indent=1))
        return
    show(found)
    say(f"{output}: the config of the larger training")
    say(f"next: hpsearch train {quoted(output)}{home.option} -o model")


def _exported(study: Study, output: Path, *, cheapest: bool, trial: int | None) -> TrialHistory:
    """Says which trial was exported, and returns it."""
    from hpsearch.displays.console import say
    from hpsearch.displays.text import about_winner, equals
    from hpsearch.outcome import in_words
    from hpsearch.output.digits import digits
    from hpsearch.policies import choice
    from hpsearch.results.evidence.caveats import caveats

    history, winner = study.history, choice.winner(study.history)
    chosen = choice.cheapest(history) if cheapest else None if trial is None else choice.numbered(history, trial)
    found = winner if chosen is None else chosen.trial
    status = in_words(study.trials[found.number].outcome, found.ending)
    say(f"{output}: trial {found.number}, {study.metric} {digits(found.value or 0.0)} ({status})")
    if chosen is not None:
        lines = list(chosen.lines)
    else:
        lines = [*filter(None, [equals(history, winner)]), *about_winner(history)]
        lines += [text for line in caveats(history) if (text := f"warning: {line}") not in lines]
    for line in lines:
        say(line)
    return found
