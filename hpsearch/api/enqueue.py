"""`hpsearch.enqueue`: a config that a study tries next, also while it is searched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import recorded, study_named
from hpsearch.errors import UserError
from hpsearch.home.home import Home, hint, history_of
from hpsearch.journal.history import History
from hpsearch.journal.queue_file import QueueFile


def enqueue(study: str | Path, params: Mapping[str, Any], *, home: str | Path = "mlruns") -> dict[str, Any]:
    """Enqueues a config: the process that searches the study tries it next, or else the next run does.

    params: values by the names of the ranges, as in `search.first`, or by section and key (training.learning_rate); the
    default config has the others. Returns the whole config by the names of the ranges, once it is on the disk. Raises
    UserError for an unknown study, an unknown name, a value outside of its range, and for a config that the study has
    tried or that is enqueued already.
    """
    from hpsearch.policies.enqueued import completed

    check_arguments(study=study, home=home)
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise UserError(f"params: {params!r} is not allowed; allowed: a mapping of the names of ranges to values")
    at, (name, _) = Home.at(Path(home)), study_named(study)
    history, queue = _history(at, name, study), QueueFile(at.study(name))
    experiment = recorded(history, at.study(name))
    plain = {key: value.item() if hasattr(value, "item") else value for key, value in params.items()}  # NumPy's numbers
    with queue.locked():  # another process may enqueue the same config at this moment
        waiting = [entry["params"] for entry in queue.new() if entry["id"] not in history.requests]
        try:
            values = experiment.space.values(completed(experiment, history, plain, waiting=waiting))
        except UserError as error:
            raise UserError(f"study '{name}': {error}") from None
        queue.add(values)
    return values


def _history(home: Home, name: str, study: str | Path) -> History:
    """The history of the study; raises UserError, with a way out, for one that has not been run."""
    try:
        return history_of(home, name, curves=False, space=study)
    except UserError as error:
        if home.journal(name).exists() or hint(home, name, study):
            raise
        raise UserError(f"{error} (run it first, or name the config in search.first)") from None
