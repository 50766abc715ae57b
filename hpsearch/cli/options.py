"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def _home(context: click.Context, param: click.Parameter, path: Path) -> Path:
    """Returns the folder that this --home stands for, and says so if it is another one."""
    from hpsearch.home import Home

    found = Home.at(path).path
    if found.resolve() != path.resolve():
        click.echo(f"{path} is an MLflow file store; hpsearch keeps its studies beside it, in {found}", err=True)
    return found


home_option = click.option(
    "--home",
    "home_path",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("mlruns"),
    show_default=True,
    callback=_home,
    help="Folder of all studies, their databases and the cache.",
)
device_option = click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="Where to train.")


class Workers(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4 on
    """A count of at least 1, or auto."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The count or "auto"."""
        if value == "auto" or (str(value).isdecimal() and int(value) >= 1):
            return value if value == "auto" else int(value)
        self.fail(f"{value!r} is neither auto nor a whole number of at least 1", param, ctx)
