"""`hpsearch predict`: completes, translates or labels texts."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from hpsearch.cli.options import force_option, model_device_option, writing_options
from hpsearch.errors import UserError
from hpsearch.output.waiting import waiting

if TYPE_CHECKING:
    from hpsearch.data.read_report import ReadReport
    from hpsearch.serving.models.model import Model
    from hpsearch.serving.models.predictions import Prediction


@click.command(
    short_help="Complete, translate or label texts with a model.",
    epilog="""\b
Examples:
  hpsearch predict model -t "You have won a prize!"
  hpsearch predict model reviews.csv --column body -o labels.jsonl
  cat sources.txt | hpsearch predict model - --beam-size 4""",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), required=False)
@click.option("-t", "--text", "texts", multiple=True, help="A text in place of a file; may be repeated.")
@click.option("--column", help="The column of the texts (default: as in the training); of -: its lines are JSON.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A jsonl file.")
@click.option("--set", "set_name", help="Of a model of several data sets: as which of them the texts are read.")
@click.option("--task", help="The same by the task, where one of its sets has it.")
@click.option("--batch-size", type=click.IntRange(1, 65536), default=32, show_default=True, help="Texts at once.")
@writing_options
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0: the likeliest text; 1: drawn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@force_option
@model_device_option
def predict(
    model: Path,
    file: Path | None,
    texts: tuple[str, ...],
    column: str | None,
    output: Path | None,
    set_name: str | None,
    task: str | None,
    batch_size: int,
    max_new_tokens: int | None,
    beam_size: int | None,
    temperature: float,
    seed: int,
    force: bool,
    device: str,
) -> None:
    """Complete, translate or label the texts of FILE with MODEL, by what it was trained for: one JSON object a line.

    FILE: a text file (a text a line), or a column of a jsonl, csv, tsv or parquet file; -: the standard input. MODEL:
    what `hpsearch train -o` writes, or a directory that transformers reads. A text longer than the model's context is
    cut as in the training, and its line says "truncated".
    """
    if texts and file is not None:
        raise click.UsageError("give FILE or --text, not both")
    import hpsearch
    from hpsearch.data.read_report import ReadReport
    from hpsearch.system.own_output import is_predictions, refuse_other

    if output is not None:
        refuse_other(output, is_predictions, force=force)
    with waiting("loading the model"):
        loaded = hpsearch.load_model(model, device=device)
    use = loaded.use(set_name, task)
    report = ReadReport()
    given = texts or _read(loaded, use.name, file, column, report)
    at_once = 1 if file is None and not texts and sys.stdin.isatty() else batch_size  # a person waits for each
    options = {"max_new_tokens": max_new_tokens, "beam_size": beam_size, "temperature": temperature, "seed": seed}
    _write(loaded.stream(given, set=use.name, batch_size=at_once, **options), output)  # type: ignore[arg-type]
    if report.skipped:
        more = "; ..." if report.skipped > 1 else ""
        click.echo(f"warning: {report.skipped} rows have no prediction: {report.first_errors[0]}{more}", err=True)


def _read(model: Model, name: str, file: Path | None, column: str | None, report: ReadReport) -> Iterable[str]:
    """The texts of the file, or of the standard input."""
    from hpsearch.serving.models.inputs import texts_in, texts_of

    if file is None or str(file) == "-":
        return texts_in(sys.stdin.buffer, column)
    return texts_of(file, column or model.column(name), trained=model.data_set(name), report=report)


def _write(predictions: Iterator[Prediction], output: Path | None) -> None:
    """Writes a line for each prediction as it comes, and says at the end how many texts were cut."""
    n = cut = 0
    with _opened(output) as stream:
        for one in predictions:
            stream.write(json.dumps(one.to_dict(), ensure_ascii=False) + "\n")
            if stream.isatty():
                stream.flush()
            n, cut = n + 1, cut + one.truncated
    if cut:
        click.echo(f"warning: {cut} of {n} texts are longer than the model reads: they were cut", err=True)
    if output is not None:
        click.echo(f"{output}: {n} predictions", err=True)


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """The standard output, or the file, which is there once all of it is written."""
    if output is None:
        yield sys.stdout
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            yield stream
        part.replace(output)
    except OSError as error:
        raise UserError(f"{output}: cannot write: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
