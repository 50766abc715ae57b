"""What a program's output says: its evaluations, over all its starts, and the state that a later attempt reads on from.

The state has the evaluations and how far the output is read. What lies behind that in the files, a later attempt reads
before it starts the program again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from hpsearch.contract import Evaluation, Handle
from hpsearch.trainers.own import Placing, Report
from hpsearch.trainers.program.output import JsonLines, Lines, Patterns
from hpsearch.trainers.program.spool import Spool, free, starts
from hpsearch.trainers.program.spooler import SEGMENT
from hpsearch.trainers.state import load_state, save_state

LAST_LINES = 20  # of the output, in the error of a program that fails
LONGEST_LINE = 300  # characters of each
FAR = 4 * SEGMENT  # bytes without an evaluation after which the state is saved, so that files can be deleted


class Reading:
    """The evaluations in the output of a program, the latest lines, and where reading stands."""

    def __init__(self, config: Any, handle: Handle) -> None:
        self._config, self._handle = config, handle
        self.placing = Placing(config.objective.metric, config.evaluations)
        self.known: list[Evaluation] = []
        self.tail: deque[str] = deque(maxlen=LAST_LINES)
        self._saved = (0, 0)  # start and position of the last saved state
        self._begin(0)
        state = load_state(config, handle)
        if state is not None:
            self._resume(state)

    def unread(self) -> Iterator[Spool]:
        """Yields the output that earlier attempts have not read; each is read to its end before the next."""
        for start in starts(self._handle.folder):
            if start > self._start:
                self._begin(start)
            if start == self._start:
                spool = Spool(self._handle.folder, start, position=self._lines.position)
                spool.settle()
                yield spool

    def next_start(self) -> Spool:
        """The output of the next start, of which there is nothing yet."""
        self._begin(max([self._start, *starts(self._handle.folder)]) + 1)
        return Spool(self._handle.folder, self._start)

    def take(self, output: bytes) -> Iterator[Evaluation]:
        """Yields the evaluations in the lines that are complete with this output; each is in the saved state then."""
        for line in self._lines.of(output):
            yield from self._evaluations(line)
        start, position = self._saved
        if self._lines.position - (position if start == self._start else 0) > FAR:
            self.save()

    def rest(self) -> Iterator[Evaluation]:
        """Yields the evaluation in a last line without an end, of a program that has ended by itself."""
        for line in self._lines.rest():
            yield from self._evaluations(line)

    def save(self) -> None:
        """Saves the state; deletes output that neither this state nor the one before needs."""
        output = {
            "start": self._start,
            "position": self._lines.position,
            "inside": self._lines.inside,
            "places": self._reader.places,
            "resumed_at": self._resumed_at,
            "skip": self._skip,
        }
        evaluations = [one.to_dict() for one in self.known]
        state = {"evaluations": evaluations, "placing": self.placing.to_dict(), "output": output}
        save_state(self._config, self._handle, state)
        free(self._handle.folder, *self._saved)
        self._saved = (self._start, self._lines.position)

    def _begin(self, start: int) -> None:
        """Reads another start from its beginning: what it repeats is known."""
        self._start, self._lines, self._reader = start, Lines(), self._new_reader({})
        self._resumed_at, self._skip = self.placing.step, len(self.known)

    def _resume(self, state: dict[str, Any]) -> None:
        self.known = [Evaluation.from_dict(one) for one in state["evaluations"]]
        self.placing.resume(state["placing"])
        self._begin(0)
        if (output := state.get("output")) is not None:  # earlier versions have none
            self._start, self._lines = output["start"], Lines(output["position"], inside=output["inside"])
            self._reader = self._new_reader(output["places"])
            self._resumed_at, self._skip = output["resumed_at"], output["skip"]
            self._saved = (self._start, self._lines.position)

    def _new_reader(self, places: dict[str, float]) -> JsonLines | Patterns:
        return Patterns(self._config.metrics, places) if self._config.metrics else JsonLines()

    def _evaluations(self, line: str) -> Iterator[Evaluation]:
        """Yields the evaluation of a line, if it is one that is not known yet."""
        self.tail.append(line[:LONGEST_LINE])
        metrics = self._reader.report(line)
        if not metrics:
            return
        report = Report.of(metrics)
        if self._is_known(report):
            return
        evaluation = self.placing.place(report)
        if evaluation is not None:
            self.known.append(evaluation)
            self.save()  # before it is yielded: the program's own state may be later
            yield evaluation

    def _is_known(self, report: Report) -> bool:
        """Whether an earlier start reported it: it has no later step or, without steps, is among the first ones."""
        if report.step is not None:
            return report.step <= self._resumed_at
        if self.placing.objective in report.metrics and self._skip > 0:
            self._skip -= 1
            return True
        return self._skip > 0
