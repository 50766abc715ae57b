"""The baselines of a study: measured once beside its trainings, recorded in its journal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from hpsearch.config import digest
from hpsearch.contract import WorkerSettings
from hpsearch.events import Notice
from hpsearch.journal.history import History
from hpsearch.results.evidence.comparisons import named
from hpsearch.search.baselines.process import BaselineProcess, has_baselines
from hpsearch.search.study import Study
from hpsearch.system.environment import versions
from hpsearch.system.user_modules import contents

PATIENCE = 60.0  # seconds to wait for them at the end of a search
SAID_AFTER = 1.0  # seconds of waiting, after which it is said
WAITS = "all trials are saved; measuring the baselines (Ctrl-C: the next run does)"
POLL_SECONDS = 0.05


class Baselines:
    """Measures the baselines that the journal lacks; `close` ends the measuring."""

    def __init__(self, study: Study, settings: WorkerSettings) -> None:
        """Starts a process if the study has no baselines yet, and returns at once."""
        self._study, self._code = study, digest([versions(), str(contents(study.experiment.base))])
        experiment, self._process = study.experiment, None
        if has_baselines(experiment.trainer) and _are_due(experiment.search.baselines, study.history, self._code):
            config = experiment.space_file.config.model_dump(mode="json")
            self._process = BaselineProcess(experiment.trainer.name, config, settings)

    def collect(self) -> Iterator[Notice]:
        """Records the results once they are there, and yields lines about them; never waits."""
        if self._process is None or self._process.running:
            return
        results, self._process = self._process.results, None
        if results.baselines or results.failed:
            measured = {"baselines": results.baselines, "failed": results.failed, "code": self._code}
            self._study.record("baselines_measured", **measured)
        if results.baselines:
            said = "; ".join(named(self._study.history, one) for one in results.baselines)
            yield Notice(f"baselines: {said}")
        for line in results.failed:
            yield Notice(f"warning: baseline: {line}")
        if results.failed and not results.baselines:
            yield Notice("the baselines are measured again when their code has changed, or with `baselines: retry`")

    def await_results(self, stopping: Callable[[], bool]) -> Iterator[Notice]:
        """Like `collect`, but waits for the results: PATIENCE seconds at most, and not when the search is to stop."""
        now = time.monotonic()
        deadline, silent_until = now + PATIENCE, now + SAID_AFTER
        while self._process is not None and self._process.running and not stopping():
            if time.monotonic() > silent_until:
                silent_until = math.inf
                yield Notice(WAITS)
            if time.monotonic() > deadline:
                yield Notice("warning: the baselines are not measured yet; the next run measures them")
                return
            time.sleep(POLL_SECONDS)
        yield from self.collect()

    def close(self) -> None:
        """Ends the process, if it still runs."""
        if self._process is not None:
            self._process.close()


def _are_due(wanted: bool | str, history: History, code: str) -> bool:
    """Whether baselines are to be measured: not twice, and not again by code with which all of them failed."""
    if wanted is False or history.baselines:
        return wanted == "retry" and bool(history.baselines_failed)
    return wanted == "retry" or not history.baselines_failed or history.baselines_by != code
