"""What it costs that nothing is lost: journal, syncs and checkpoints against the same study with them stubbed out.

Studies of real trainings run in this process, in turns with and without: the same config, the same steps. Beside the
ratio of the two (which a busy machine blurs by more than the cost itself) stands the time spent inside the calls that
keep things, which is measured in the very run.

    python benchmarks/durability.py                                    # 5 pairs of trials of 20 s
    python benchmarks/durability.py --pairs 3 --seconds 10 --checkpoint-seconds 2
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # runs in a checkout that was never installed, too
os.environ.setdefault("OMP_NUM_THREADS", "1")

SPACE = """
study: durability
budget: {{trials: 1}}
data:
  reference: {{task: text, source: "python:hpsearch.samples:python_reference"}}
tokenizer: {{kind: bpe, vocab_size: 1000}}
model: {{n_layers: 2, width: 96, n_heads: 4, context: 64}}
training: {{learning_rate: 3e-3, batch_size: 16, epochs: {epochs}}}
search: {{pruner: none, overfitting: false}}
resources: {{device: cpu}}
"""


@dataclass
class Cost:
    """One study: seconds by the wall and of the processor, and those within the calls that keep things."""

    wall: float
    processor: float
    keeping: float


class Clock:
    """Adds up the time within functions (one inside another counts once), of this thread."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function, clocked."""

        def clocked(*arguments: Any, **options: Any) -> Any:
            self._depth += 1
            began = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.perf_counter() - began

        return clocked


def nothing(*arguments: Any, **options: Any) -> None:
    """In place of what keeps things."""


@contextlib.contextmanager
def changed(change: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Meanwhile every function that keeps things is what `change` makes of it."""
    from hpsearch.search import study
    from hpsearch.training import checkpoint, loop

    class Journal(study.Journal):
        """The journal, with its calls changed; `append` must give an event whatever becomes of it."""

        append = change("append", study.Journal.append)
        sync = change("sync", study.Journal.sync)

    before = study.Journal, checkpoint.save, loop.write_json
    study.Journal = Journal  # type: ignore[misc]
    checkpoint.save, loop.write_json = change("save", checkpoint.save), change("write", loop.write_json)
    try:
        yield
    finally:
        study.Journal, checkpoint.save, loop.write_json = before  # type: ignore[misc]


def searched(space: str, folder: Path, checkpoint_seconds: float, keep: bool) -> Cost:
    """One study of one trial, with all that keeps it or without."""
    from hpsearch.home.home import Home
    from hpsearch.launchers.inline import InlineLauncher
    from hpsearch.preflight.preparation import prepare, settings_for
    from hpsearch.search.loop import Search
    from hpsearch.search.study import Study
    from hpsearch.space.experiment import Experiment

    experiment, home, clock = (
        Experiment.loads(space, path=str(folder / "space.yaml")),
        Home(folder.parent).make(),
        Clock(),
    )
    prepared = prepare(experiment, home, lambda what, share: None)
    settings = replace(settings_for(experiment, home, prepared, 1), checkpoint_seconds=checkpoint_seconds)

    def change(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        if keep:
            return clock.around(call)
        return (
            (lambda self, event, **fields: {"time": time.time(), "event": event, **fields})
            if name == "append"
            else nothing
        )

    folder.mkdir()
    with changed(change):
        study = Study.open(experiment, folder, prepared.facts)
        search = Search(study, InlineLauncher(settings), checkpoints=folder / "checkpoints", prepared=prepared.folders)
        clock.seconds, began, processor = 0.0, time.perf_counter(), time.process_time()
        for _ in search.run():
            pass
        cost = Cost(time.perf_counter() - began, time.process_time() - processor, clock.seconds)
        study.journal.close()
    return cost


def main() -> None:
    """Runs the pairs and prints a line for each, then the medians."""
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        home = Path(place)
        space = SPACE.format(epochs=epochs_for(options.seconds, home))
        ratios, shares = [], []
        for pair in range(options.pairs):
            found = {}
            for keep in (True, False) if pair % 2 else (False, True):
                found[keep] = searched(space, home / f"{pair}-{keep}", options.checkpoint_seconds, keep)
            kept, bare = found[True], found[False]
            ratios.append((kept.wall / bare.wall, kept.processor / bare.processor))
            shares.append(kept.keeping / bare.wall)
            print(
                f"pair {pair}: {kept.wall:.2f} s kept, {bare.wall:.2f} s stubbed ({kept.processor:.2f} and "
                f"{bare.processor:.2f} s of processor); {1000 * kept.keeping:.1f} ms in calls that keep",
                flush=True,
            )
    walls, processors = zip(*ratios, strict=True)
    print(f"with / without, by the wall: {median(walls):.4f}; by processor time: {median(processors):.4f}")
    print(f"journal, syncs and checkpoints: {100 * median(shares):.2f}% of the training time (aim: below 2%)")


def epochs_for(seconds: float, home: Path) -> float:
    """How many epochs take so long: its evaluations take the same time however long a training is."""
    searched(SPACE.format(epochs=0.5), home / "warm-up", 60.0, True)
    few, more = (searched(SPACE.format(epochs=n), home / f"probe-{n}", 60.0, True).processor for n in (0.5, 2.5))
    return round(0.5 + 2.0 * max(0.0, seconds - few) / (more - few), 2)


def arguments() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a trial, about")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, help="between the checkpoints of a trial")
    parser.add_argument("--folder", type=Path, help="where to write (a disk of the kind that is meant)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
