"""`hpsearch schema`: the JSON Schema of a space file."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import force_option, trainer_option


@click.command(
    short_help="A JSON Schema, with which editors complete space files.",
    epilog="""\b
Example:
  hpsearch schema -o space.schema.json
Then, in the first line of a space file beside it:
  # yaml-language-server: $schema=space.schema.json""",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; default: the output."
)
@trainer_option
@force_option
def schema(output: Path | None, trainer: str | None, force: bool) -> None:
    """Write the JSON Schema of a space file, with which editors complete and check it as you type."""
    from hpsearch.api.new import write
    from hpsearch.api.reference import schema as made
    from hpsearch.displays.console import say
    from hpsearch.preflight.reference.schema import text_of
    from hpsearch.system.own_output import is_schema, refuse_other

    text = text_of(made(trainer=trainer))
    if output is None:
        click.echo(text, nl=False)
        return
    refuse_other(output, is_schema, force=force)
    write(output, text)
    say(f"{output}: the schema of a space file; name it in the file's first line:")
    say(f"  # yaml-language-server: $schema={output.name}")
