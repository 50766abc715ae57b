"""`hpsearch.studies`: the studies of a home at a glance."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.home.home import Home
from hpsearch.home.listing import StudySummary
from hpsearch.home.listing import studies as listed


def studies(home: str | Path = "mlruns") -> tuple[StudySummary, ...]:
    """The studies of a home, the one with the latest event first: state, trials, best value, bytes.

    It reads the journals only, so it works during searches. A study whose journal is damaged is listed as such; folders
    that are no studies are passed over. Raises UserError if there is no such home.
    """
    check_arguments(home=home)
    return tuple(listed(Home.at(Path(home))))
