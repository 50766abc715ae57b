"""What the tests of a searched function and of a searched program share: the study `mine` in a folder."""

from hpsearch.journal.history import History
from tests import blank
from tests.cli.processes import events

RUN = ("run", "space.yaml", "--home", "home")


def written(folder, **files):
    """Makes a folder with these files (`train_py` is train.py) and a home with empty stores; returns it."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_text(content)
    blank.home(folder / "home")
    return folder


def curves(folder):
    """Trial number -> outcome, steps and losses."""
    trials = History.of(events(folder / "home/mine/journal.jsonl")).trials.values()
    return {
        t.number: (t.outcome, [(e.index, e.step, e.metrics) for _, e in sorted(t.evaluations.items())]) for t in trials
    }
