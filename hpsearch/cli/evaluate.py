"""`hpsearch evaluate`: the metrics of any model on a space's data sets or a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import home_option, model_device_option, writing_options
from hpsearch.output.digits import digits
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact
from hpsearch.output.waiting import waiting

if TYPE_CHECKING:
    from hpsearch.api.evaluate import ModelMetrics


@click.command(
    short_help="Measure any model: perplexity, BLEU, F1.",
    epilog="""\b
Examples:
  hpsearch evaluate model --data space.yaml
  hpsearch evaluate bert-of-others --data reviews.csv --column text=body --column label=topic
  hpsearch evaluate model --data space.yaml --split test --json""",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="A space file, or a file with examples alone."
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    default="valid",
    show_default=True,
    help="Of a space file. The test split is for the winner alone: a look of another model is recorded.",
)
@click.option("--set", "sets", multiple=True, help="Of a space file: these data sets; of a file: as the model's set.")
@click.option("--task", help="Of a file, for a model of several data sets: the task of its set.")
@click.option("--column", "columns", multiple=True, metavar="KEY=NAME", help="Of a file: text=body, label=topic, ...")
@writing_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@model_device_option
@home_option
def evaluate(
    model: Path,
    data: Path,
    split: str,
    sets: tuple[str, ...],
    task: str | None,
    columns: tuple[str, ...],
    max_new_tokens: int | None,
    beam_size: int | None,
    as_json: bool,
    device: str,
    home_path: Path,
) -> None:
    """Measure MODEL on the data sets of a space file, or on a file: perplexity and bits per byte, BLEU and chrF, F1.

    MODEL: what `hpsearch train -o` writes, or a directory that transformers reads (a causal language model for text, a
    sequence classifier, an encoder-decoder for translation). It is scored by the code that scores trials.
    """
    import hpsearch

    named = dict(_column(one) for one in columns)
    with waiting("measuring the model"):
        found = hpsearch.evaluate(
            model,
            data,
            split=split,
            sets=sets,
            task=task,
            columns=named,
            home=home_path,
            device=device,
            max_new_tokens=max_new_tokens,
            beam_size=beam_size,
        )
    for line in found.warnings:
        click.echo(printable(redact(line)), err=True)
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        _print(found)


def _column(given: str) -> tuple[str, str]:
    key, equals, name = given.partition("=")
    if not (key and equals and name):
        raise click.BadParameter(f"{given!r}: KEY=NAME is expected, as in text=body", param_hint="--column")
    return key, name


def _print(found: ModelMetrics) -> None:
    """A table for each data set."""
    from hpsearch.displays.console import Column, console, table

    columns = [Column("metric"), Column("value"), Column("computed as", wraps=True, needed=1)]
    to = console()
    for name, one in found.sets.items():
        title = f"{found.model} on {name} ({one.task}), {one.split}: {one.examples:,} examples"
        to.print(table(to, title, columns, list(_rows(one.metrics, one.signatures))))


def _rows(metrics: dict[str, float], signatures: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, value in sorted(metrics.items()):
        if not name.endswith("stderr"):
            error = metrics.get(f"{name}_stderr")
            margin = "" if error is None else f" ± {1.96 * error:.2g}"
            yield name, f"{digits(value)}{margin}", signatures.get(name, "" if error is None else "± 95% of its tokens")
