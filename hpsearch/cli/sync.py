"""`hpsearch sync`: writes to MLflow and the Optuna database what they lack."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option
from hpsearch.errors import HpsearchError
from hpsearch.output.waiting import waiting


@click.command(
    short_help="Send MLflow and the Optuna database what they lack.",
    epilog="""\b
Example:
  hpsearch sync quickstart""",
)
@click.argument("space_or_study")
@home_option
def sync(space_or_study: str, home_path: Path) -> None:
    """Write to MLflow and the Optuna database what they lack of SPACE_OR_STUDY's journal."""
    from hpsearch.displays.console import say
    from hpsearch.displays.terminal import parts
    from hpsearch.home.home import Home, history_of
    from hpsearch.search.driver import VIEWS
    from hpsearch.views import shipping
    from hpsearch.views.follower import parts_lacking

    name, uri = study_named(space_or_study)
    home = Home(home_path)
    history = history_of(home, name, space=space_or_study)
    uri = uri or history.origin.experiment.get("tracking", {}).get("uri")
    before = {view: parts_lacking(home.study(name), view) for view in VIEWS}
    with waiting("writing what MLflow and the Optuna database lack"):
        lacking = shipping.sync(home.study(name), home.path, uri, VIEWS, say=say)
    for view, count in lacking.items():
        wrote = f"; wrote {before[view]}" if before[view] else ""
        left = parts_lacking(home.study(name), view) or parts(count)
        say(f"{view}: " + (f"still lacks {left}" if count else f"has everything{wrote}"))
    if any(lacking.values()):
        raise HpsearchError("not everything could be written")
