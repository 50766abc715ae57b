"""`hpsearch compare`: studies, or trials of one study, beside each other."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from hpsearch.cli.options import home_option


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4 on
    """Numbers of trials, with commas between them."""

    name = "N,N,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The numbers."""
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdigit() for word in words):
            self.fail(f"{value!r} is not a list of trials, as in 3,7,12", param, ctx)
        return [int(word) for word in words]


@click.command(
    short_help="Compare studies, or trials of one study.",
    epilog="""\b
Examples:
  hpsearch compare quickstart quickstart-2
  hpsearch compare reviews ../other/mlruns/reviews --json
  hpsearch compare quickstart --trials 3,7,12""",
)
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option("--trials", type=Numbers(), help="Compare these trials of one study.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@home_option
def compare(studies: tuple[str, ...], trials: list[int] | None, as_json: bool, home_path: Path) -> None:
    """Compare studies (names, space files, or folders of studies in other homes), or some trials of one study.

    It says what differs in their spaces, data and objectives, and why values cannot be compared if they cannot; shows
    the winners with their evidence, and the best values at equal trials and at equal device time; and says which winner
    is better, or that it is a tie: by the noise between seeds, and the validation examples.
    """
    from hpsearch.api.compare import TrialComparison
    from hpsearch.api.compare import compare as compared

    found = compared(*studies, home=home_path) if trials is None else compared(*studies, home=home_path, trials=trials)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=not unicode, default=str))
        return
    from hpsearch.cli import comparison_tables

    if isinstance(found, TrialComparison):
        comparison_tables.print_trials(found)
    else:
        comparison_tables.print_studies(found)
