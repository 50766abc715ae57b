"""`hpsearch verify`: trains an exported config again, and says whether it reproduces the value that the file names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import device_option, home_option

if TYPE_CHECKING:
    from hpsearch.events import Show
    from hpsearch.final.reproduction import Verification
    from hpsearch.space.experiment import Experiment

NOT_REPRODUCED = 3  # exit code


@click.command(
    short_help="Train an exported config again: is its value reproduced?",
    epilog="""\b
Example:
  hpsearch verify best.yaml""",
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--threads", type=click.IntRange(1), help="CPU threads (default: as in the search).")
@device_option
@home_option
def verify(config: Path, threads: int | None, device: str | None, home_path: Path) -> None:
    """Train CONFIG, which `hpsearch export` wrote, again: does it reproduce the value that the file names?

    On the CPU, with the same versions and data, to the last bit; else within the seed noise. What differs from the
    search is said first. The test data are never looked at; nothing is written to the study or to MLflow. Exit code 0:
    it reproduces; 3: it does not.
    """
    from hpsearch.displays.training import TrainingTerminal
    from hpsearch.space.experiment import Experiment

    experiment = Experiment.load(config).override(device=device)
    with TrainingTerminal() as terminal:
        found, caught = _verify(experiment, terminal.show, {"home": home_path, "threads": threads})
        terminal.say(found.line)
    if found.stopped:
        sys.exit(128 + (caught or 0))
    if not found.reproduces:
        sys.exit(NOT_REPRODUCED)


def _verify(experiment: Experiment, shown: Show, options: dict[str, Any]) -> tuple[Verification, int | None]:
    """Verifies; returns the verdict and the signal that stopped it."""
    import hpsearch
    from hpsearch.cli.signals import noted
    from hpsearch.events import Prepared, Testing

    with noted(shown, since=Prepared, until=Testing) as (show, signals):
        found = hpsearch.verify(experiment, progress=show, stopping=signals.stopping, **options)
    return found, signals.caught
