"""`hpsearch clean`: deletes checkpoints and tokenised data that nothing needs, after asking."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import ask, home_option, yes_option


@click.command(
    short_help="Delete checkpoints and tokenised data that nothing needs.",
    epilog="""\b
Examples:
  hpsearch clean --dry-run
  hpsearch clean quickstart --yes""",
)
@click.argument("studies", nargs=-1, metavar="[SPACE_OR_STUDY...]")
@click.option("--dry-run", is_flag=True, help="Delete nothing; say what would go.")
@yes_option
@home_option
def clean(studies: tuple[str, ...], dry_run: bool, yes: bool, home_path: Path) -> None:
    """Delete what nothing needs of some studies, or of the whole home: checkpoints of ended trials, litter of crashes.

    Without a study also tokenised data that no study uses. Kept are the states of trials that can resume, and the
    weights that `export --model` may be asked for. Running studies are not touched.
    """
    from hpsearch.api.clean import clean as cleaned
    from hpsearch.displays.amounts import bytes_text
    from hpsearch.displays.console import say

    found = cleaned(*studies, home=home_path, dry_run=True)
    for one in found:
        name = f"study '{one.study}'" if one.study else "tokenised data that no study uses"
        count = len(one.paths)
        things = f"{bytes_text(one.bytes)} in {count} {'files or folders' if count != 1 else 'file or folder'}"
        say(f"{name}: {one.note or (things if count else 'nothing to delete')}")
        for path in one.paths if dry_run else ():
            say(f"  {path}")
    total = sum(one.bytes for one in found)
    if not any(one.paths for one in found) or dry_run:
        return
    ask(f"delete {bytes_text(total)}?", yes=yes, doing="deletes")
    freed = sum(one.bytes for one in cleaned(*studies, home=home_path))
    say(f"deleted: {bytes_text(freed)}")
