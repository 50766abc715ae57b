"""`hpsearch train`: the final training and the only evaluation on the test set."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.api.arguments import DATA, MOST_SEEDS
from hpsearch.cli.options import device_option, home_option, output_options
from hpsearch.output.digits import digits

if TYPE_CHECKING:
    from hpsearch.api.train import FinalResult
    from hpsearch.events import Show
    from hpsearch.space.experiment import Experiment
    from hpsearch.trainers import Trainer


@click.command(
    short_help="Train a config, test it once, write the model.",
    epilog="""\b
Example:
  hpsearch train best.yaml -o model""",
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("model"), show_default=True
)
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=1,
    show_default=True,
    help="Train so many seeds, the config's own first; the model is the one that is best on validation.",
)
@click.option(
    "--data",
    type=click.Choice(DATA),
    default=DATA[0],
    show_default=True,
    help="What to train on; with train+valid nothing is validated, and the last weights are the model.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU threads (default: as in the search; the same number repeats it to the last bit).",
)
@click.option("--data-changed", is_flag=True, help="Accept data that differ from those of the search.")
@click.option("--register", metavar="NAME", help="Make the model a version of NAME in MLflow's model registry.")
@click.option("--alias", metavar="ALIAS", help="The version's alias (default: champion for the first version of NAME).")
@device_option
@home_option
@output_options
def train(
    config: Path,
    output: Path,
    seeds: int,
    data: str,
    threads: int | None,
    data_changed: bool,
    register: str | None,
    alias: str | None,
    device: str | None,
    home_path: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train CONFIG (no ranges), test it once and write the model to a folder that transformers reads.

    Data that differ from those of the search are refused. Ctrl-C saves the state, and a killed training has saved it
    each minute (a function of your own at each trial.save): the same command resumes it.
    """
    from hpsearch.cli.training_outputs import training_output
    from hpsearch.displays.text import quoted
    from hpsearch.events import Preparing
    from hpsearch.home.home import Home

    options: dict[str, Any] = {"output": output, "home": home_path, "seeds": seeds, "data": data}
    options |= {"threads": threads, "data_changed": data_changed, "register": register, "alias": alias}
    with training_output(quiet=quiet, as_json=as_json) as terminal:
        terminal.show(Preparing(f"reading {config}", 0.0))
        from hpsearch.space.experiment import Experiment

        experiment = Experiment.load(config).override(device=device)
        result, caught = _train(experiment, terminal.show, options)
    more = f" --seeds {seeds}" * (seeds > 1) + f" --data {data}" * (data != DATA[0]) + naming(register, alias)
    again = f"hpsearch train {quoted(config)} -o {quoted(output)}{more}{Home(home_path).option}"
    if result.stopped:
        terminal.stopped(again, code=128 + (caught or 0))
        sys.exit(128 + (caught or 0))
    terminal.done(experiment, result, output, lines=about(experiment, result, output))
    if register is not None and result.registered is None:
        sys.exit(1)


def about(experiment: Experiment, result: FinalResult, output: Path) -> Iterator[str]:
    """The lines about a final training: its test, whether it reproduces its trial, the files, the registered model."""
    from hpsearch.displays.text import quoted

    metric, trainer = experiment.objective.metric, experiment.trainer
    tested = lines(result.metrics, result.signatures)
    if tested and result.seeds is not None:
        yield f"the test of the model, which is that of seed {result.seed}:"
    yield from [*(tested or [trainer.untested]), *result.untested]
    if result.reproduction or metric in result.metrics:
        yield result.reproduction or f"{metric} {digits(result.metrics[metric])}"
    yield from result.seeds.lines() if result.seeds is not None else []
    yield from result.gap.lines() if result.gap is not None else []
    yield written(trainer, output, has_model=result.has_model)
    if result.registered is not None:
        yield f"registered: {result.registered}  ({quoted(result.registered.uri)})"


def naming(register: str | None, alias: str | None) -> str:
    """The options of a command that register the model as before."""
    from hpsearch.displays.text import quoted

    wanted = {"register": register, "alias": alias}
    return "".join(f" --{name} {quoted(value)}" for name, value in wanted.items() if value is not None)


def _train(experiment: Experiment, shown: Show, options: dict[str, Any]) -> tuple[FinalResult, int | None]:
    """Trains; returns the result and the signal that stopped it."""
    from hpsearch.events import Prepared, Preparing, Testing

    shown(Preparing("importing torch and mlflow", 0.0))
    import hpsearch
    from hpsearch.cli.signals import noted

    with noted(shown, since=Prepared, until=Testing) as (show, signals):
        result = hpsearch.train(experiment, progress=show, stopping=signals.stopping, **options)
    return result, signals.caught


def written(trainer: Trainer, output: Path, *, has_model: bool = True) -> str:
    """The line about the files in the output folder."""
    from hpsearch.trainers import Trainer

    if type(trainer).export is Trainer.export:
        return f"{output}: metrics.json and hpsearch.json; the trainer exports no model"
    if not has_model:
        return f"{output}: metrics.json and hpsearch.json, and no model: {trainer.no_model}"
    return f"model: {output}" + (f"  ({trainer.exports})" if trainer.exports else "")


def lines(metrics: Mapping[str, float], signatures: Mapping[str, str]) -> list[str]:
    """The test metrics, a line each, BLEU and chrF with their signatures."""
    return list(_lines(metrics, signatures))


def _lines(metrics: Mapping[str, float], signatures: Mapping[str, str]) -> Iterator[str]:
    tested = {name: value for name, value in sorted(metrics.items()) if name.startswith("test/")}
    for name, value in tested.items():
        signature = signatures.get(name.removeprefix("test/")) or signatures.get(name.rsplit("/", 1)[-1])
        if not name.endswith("stderr"):
            yield f"{name} {digits(value)}" + (f"  ({signature})" if signature else "")
