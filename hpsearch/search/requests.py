"""Reads a study's queue for the driver: records each config in the journal as enqueued, or as refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hpsearch.document.ranges import Internal
from hpsearch.errors import UserError
from hpsearch.events import Event, Notice
from hpsearch.journal import Entry
from hpsearch.journal.queue_file import QueueFile
from hpsearch.journal.request import ENQUEUED, REFUSED, named
from hpsearch.policies.enqueued import completed, needs_room
from hpsearch.search.study import Study
from hpsearch.system import failpoints


class Requests:
    """What people enqueue while a study is searched."""

    def __init__(self, study: Study, folder: Path) -> None:
        self._study, self._queue = study, QueueFile(folder)
        self._read: list[Entry] = []  # and not recorded yet

    def waiting(self) -> bool:
        """Whether a config is in the queue that the journal does not have."""
        known = self._study.history.requests
        self._read += [entry for entry in self._queue.new() if entry["id"] not in known]
        return bool(self._read)

    def record(self) -> Iterator[Event]:
        """Records the configs that are new in the queue; yields a line about each."""
        while self.waiting():
            entry = self._read.pop(0)
            failpoints.hit("request_begun")
            line = self._recorded(entry)
            failpoints.hit("request_recorded")
            yield Notice(line)

    def _recorded(self, entry: Entry) -> str:
        study, request, params = self._study, entry["id"], entry["params"]
        try:
            internal = completed(study.experiment, study.history, params)
        except UserError as error:
            study.record(REFUSED, id=request, params=params, reason=str(error))
            return f"warning: an enqueued config is refused: {error} ({named(params)})"
        values = study.experiment.space.values(internal)
        study.record(ENQUEUED, id=request, params=values, internal=internal)
        waits = "" if self._may_begin(internal) else "; it waits for a larger budget (hpsearch extend)"
        return f"enqueued: {named(values)}{waits}"

    def _may_begin(self, internal: Mapping[str, Internal]) -> bool:
        """Whether this run may train the config."""
        history = self._study.history
        if history.closed:
            return False
        return history.room != 0 or not needs_room(self._study.experiment.space, history, internal)
