"""`hpsearch enqueue`: a config that a study tries next, also while it is searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hpsearch.cli.options import home_option


@click.command(
    short_help="Have a study try a config next, also while it is searched.",
    epilog="""\b
Example:
  hpsearch enqueue quickstart learning_rate=3e-4 n_layers=2""",
)
@click.argument("space_or_study")
@click.argument("params", nargs=-1, metavar="NAME=VALUE...", required=True)
@home_option
def enqueue(space_or_study: str, params: tuple[str, ...], home_path: Path) -> None:
    """Have SPACE_OR_STUDY try a config next: by the search that is running, or else by the next `hpsearch run`.

    The names are those of the ranges, as `hpsearch show` lists them, or with their section, as `hpsearch explain` does
    (training.learning_rate). Values that are not given are those of the default config. A choice between sub-configs is
    named by what it sets: tokenizer=bytes, or n_layers=1 width=32.
    """
    from hpsearch.api.enqueue import enqueue as enqueued
    from hpsearch.displays.console import say
    from hpsearch.journal.request import named

    values = enqueued(space_or_study, _values(params), home=home_path)
    say(f"enqueued: {named(values)}; {_when(space_or_study, home_path, values)}")


def _values(params: tuple[str, ...]) -> dict[str, Any]:
    """The values by name, read as in a space file; raises UsageError for a mistake."""
    found: dict[str, Any] = {}
    for param in params:
        name, equals, text = param.partition("=")
        if not equals or not name:
            raise click.UsageError(f"'{param}' is not NAME=VALUE, as in learning_rate=3e-4")
        if name in found:
            raise click.UsageError(f"{name} is given twice")
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    """The value of a text as YAML has it; the text itself if it is no single value."""
    from hpsearch.document.document import parse
    from hpsearch.errors import ConfigError

    try:
        found = parse(f"value: {text}\n", path="value").value
    except ConfigError:
        return text
    return found["value"] if list(found) == ["value"] else text


def _when(space_or_study: str, home_path: Path, values: dict[str, Any]) -> str:
    """Says which run tries it."""
    from hpsearch.api.named import recorded, study_named
    from hpsearch.home.home import Home, history_of
    from hpsearch.journal.study_lock import is_locked
    from hpsearch.policies.budget.spending import allowed, extended
    from hpsearch.policies.enqueued import needs_room

    name, home = study_named(space_or_study)[0], Home(home_path)
    if is_locked(home.study(name) / "lock"):
        return f"study '{name}' is running and tries it next, if its budget has room"
    history = history_of(home, name, curves=False)
    experiment = recorded(history, home.study(name))
    trials = extended(allowed(experiment.budget, history), history).trials
    internal = experiment.space.internal(values)
    if trials is not None and history.configs >= trials and needs_room(experiment.space, history, internal):
        return f"the budget is spent: hpsearch extend {name}{home.option} --trials 1 tries it"
    return "the next `hpsearch run` tries it"
