"""`hpsearch train`: the final training, and the one look at the test set."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from hpsearch.cli.options import device_option, home_option, open_home


@click.command(
    epilog="""\b
Example:
  hpsearch train best.yaml -o model"""
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("model"), show_default=True
)
@click.option(
    "--threads", type=click.IntRange(1), help="CPU threads (else the trial's: equal ones repeat to the last bit)."
)
@click.option("--data-changed", is_flag=True, help="Train on data that are not those of the search.")
@device_option
@home_option
def train(
    config: Path, output: Path, threads: int | None, data_changed: bool, device: str | None, home_path: Path
) -> None:
    """Train CONFIG (no ranges), test it once and write the model to a folder that transformers reads.

    Data other than those that CONFIG was exported with are refused. Ctrl-C saves the state; the same command goes on.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from hpsearch.cli.run import Signals
    from hpsearch.cli.terminal import warnings_said
    from hpsearch.cli.text import measured, plain, quoted, spinner
    from hpsearch.final import FinalTraining
    from hpsearch.preparation import prepare, setting_for
    from hpsearch.provenance import cannot_tell, data_changes, refuse_changed, reproduction
    from hpsearch.space.experiment import Experiment
    from hpsearch.views.mlflow.final_run import FinalRun
    from hpsearch.views.mlflow.schema import check_home

    experiment = Experiment.load(config).override(device=device)
    wanted, trainer = experiment.train_config(), experiment.trainer
    home = open_home(home_path)
    check_home(home.path, experiment.tracking.uri)
    console = Console(highlight=False, soft_wrap=True)
    signals = Signals()

    def say(line: str) -> None:
        console.print(plain(line))

    changed: list[str] = []

    def check(facts: Mapping[str, Any]) -> None:
        found = data_changes(experiment.provenance, facts)
        if not data_changed:
            refuse_changed(experiment, found)
        changed.extend(str(keys[-1]) for keys, *_ in found)
        if reason := cannot_tell(experiment.provenance, facts):
            say(f"warning: {config}: {reason}")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[value]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("reading the data", total=1.0, value="")
        prepared = prepare(
            experiment,
            home,
            lambda what, share: bars.update(bar, description=what, completed=share),
            known=check,
        )
        for said in [*prepared.summary, *(f"warning: {warning}" for warning in prepared.warnings)]:
            say(said)
        setting = setting_for(experiment, home, prepared, threads)
        final = FinalTraining(wanted, output, setting, trainer=trainer, data=prepared.facts)
        run = FinalRun(home.path, experiment.tracking.uri, experiment.study, say=say)
        run.start(wanted.model_dump(mode="json"), experiment.provenance)
        metric = experiment.objective.metric
        bars.update(bar, description="training", completed=0.0)
        with signals, warnings_said(say):
            for evaluation in final.run(signals.stopping):
                value = evaluation.metrics.get(metric, float("nan"))
                done = evaluation.progress / trainer.phases(wanted).ends_at
                bars.update(bar, completed=done, value=f"{metric} {measured(value)}")
                run.evaluation(evaluation)
    if final.stopped:
        run.finish({}, status="KILLED")
        again = f"hpsearch train {quoted(config)} -o {quoted(output)}{home.option}"
        console.print(f"stopped; everything is saved. Go on with: {again}")
        sys.exit(128 + (signals.caught or 0))
    with console.status("testing", spinner=spinner(console)):
        metrics = final.test()
    line = reproduction(experiment.provenance, wanted, metrics[metric], setting, data_changed=bool(changed))
    run.finish(metrics, output)
    for text in [*lines(metrics, final.signatures), *prepared.untested]:
        say(text)
    console.print(line or f"{metric} {metrics[metric]:.6g}")
    console.print(f"model: {output}" + (f"  ({trainer.exports})" if trainer.exports else ""))


def lines(metrics: Mapping[str, float], signatures: Mapping[str, str]) -> Iterator[str]:
    """The test's metrics as a person reads them, BLEU and chrF with their signatures."""
    tested = {name: value for name, value in sorted(metrics.items()) if name.startswith("test/")}
    for name, value in tested.items():
        signature = signatures.get(name.removeprefix("test/")) or signatures.get(name.rsplit("/", 1)[-1])
        if not name.endswith("stderr"):
            yield f"{name} {value:.6g}" + (f"  ({signature})" if signature else "")
    if not tested:
        yield "no test split: the model is not tested"
