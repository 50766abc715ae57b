"""`hpsearch new`: a space file for the user's files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import Amount, device_option
from hpsearch.journal.history import MAX_TRIALS

if TYPE_CHECKING:
    from hpsearch.preflight.draft.questions import Question

LISTED = 12  # answers that are offered by number


@click.command(
    short_help="Write a space file for your data.",
    epilog="""\b
Examples:
  hpsearch new reviews.csv
  hpsearch new train.tsv valid.tsv test.tsv --label intent -o intents.yaml
  hpsearch new train.en train.fr
  hpsearch new reviews.csv ./my_bert
  hpsearch new corpus/ --hours 8""",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("space.yaml"), show_default=True
)
@click.option("--task", type=click.Choice(["text", "translation", "classification"]), help="What the models learn.")
@click.option("--text", multiple=True, metavar="COLUMN", help="Column of the texts; given twice: joined.")
@click.option("--label", metavar="COLUMN", help="Column of the labels.")
@click.option("--source", metavar="COLUMN", help="Column (or language of the file) that is translated.")
@click.option("--target", metavar="COLUMN", help="Column (or language of the file) of the translations.")
@click.option("--encoding", help="Of the files, if it is not UTF-8: cp1252, gb18030, ...")
@click.option(
    "--pretrained", multiple=True, metavar="MODEL", help="Fine-tune this model: a folder, or a name on the hub."
)
@click.option("--study", metavar="NAME", help="Name of the study; default: that of the file, without .yaml.")
@click.option("--trials", type=click.IntRange(1, MAX_TRIALS), help="Trials of the study.")
@click.option("--hours", type=Amount(), help="Hours of the study; models are sized for them.")
@device_option
@click.option("-y", "--yes", is_flag=True, help="Take the likeliest answer instead of asking.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def new(files: tuple[Path, ...], output: Path, device: str | None, yes: bool, **options: Any) -> None:
    """Look at FILES and write a commented space file that runs as it is.

    FILES: a csv, tsv, json, jsonl or parquet file of labelled texts, pairs or texts, or its train, valid and test
    parts; two line-aligned text files; .txt files; a folder of these, or of the datasets library. A folder with a
    checkpoint of transformers among them is fine-tuned. What they do not tell is asked at a terminal; the options
    answer it beforehand.
    """
    from hpsearch.api.new import new as made
    from hpsearch.displays.console import say
    from hpsearch.displays.text import quoted

    if sys.stdout.isatty() and files:
        say(f"reading {', '.join(map(str, files[:3]))}{', ...' if len(files) > 3 else ''}")
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not yes
    found = made(files, output, device=device or "auto", first=yes, ask=_ask if asks else None, **options)
    for line in found.lines:
        say(line)
    for line in found.warnings:
        say(f"warning: {line}")
    say(f"{output}: written, study {found.study}; each value has its reason beside it")
    say("next:")
    commands = {
        f"hpsearch plan {quoted(output)}": "does it fit, and how long does it take?",
        f"hpsearch run {quoted(output)}": "search; the same command resumes",
        f"hpsearch watch {found.study}": "the study from another terminal; show, report, export take its name, too",
    }
    width = max(map(len, commands))
    for command, what in commands.items():
        say(f"  {command:<{width}}    {what}")


def _ask(question: Question) -> str:
    """Asks at the terminal; the answer is a number."""
    from hpsearch.displays.console import console
    from hpsearch.output.printable import printable

    click.echo(question.text)
    shown = [printable(answer, keep="") for answer in question.answers[:LISTED]]
    about = [printable(words, keep="") for words in question.about] or [""] * len(shown)
    width, room = max(map(len, shown)), console().width
    for number, (answer, words) in enumerate(zip(shown, about, strict=False), start=1):
        line = f"  {number:<2} {answer:<{width}}   {words}".rstrip()
        click.echo(line if len(line) <= room else f"{line[: room - 3]}...")
    if len(question.answers) > LISTED:
        click.echo(f"  ... {len(question.answers) - LISTED} more; {question.option} names any")
    choice = click.prompt("Number", type=click.IntRange(1, len(shown)), default=1)
    return question.answers[choice - 1]
