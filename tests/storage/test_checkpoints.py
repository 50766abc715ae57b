"""The trials' folders: unneeded files are deleted, also those of a killed driver."""

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.storage.checkpoints import Checkpoints


def finished(number, value):
    return TrialHistory(number, outcome=Outcome.COMPLETED, value=value)


def test_tidying_keeps_what_is_needed_and_no_more(tmp_path):
    trials = {n: finished(n, float(n)) for n in range(4)} | {5: TrialHistory(5)}
    trials[4] = TrialHistory(4, outcome=Outcome.FAILED)
    checkpoints = Checkpoints(tmp_path, History(trials=trials))
    for number in range(7):  # 6: of a trial that the journal does not know
        checkpoints.folder(number).mkdir()
        for name in ("last.pt", "previous.pt", ".last.pt.tmp", "best.pt"):
            (checkpoints.folder(number) / name).write_text("")
    checkpoints.write_error(4, "Traceback ...")
    checkpoints.write_error(0, "Traceback of an attempt that was retried ...")
    checkpoints.tidy()
    left = {folder.name: {path.name for path in folder.iterdir()} for folder in tmp_path.iterdir()}
    best = {f"{n:04d}": {"best.pt"} for n in range(3)}
    going_on = {"0005": {"last.pt", "previous.pt", ".last.pt.tmp", "best.pt"}}
    assert left == best | {"0004": {"best.pt", "error.txt"}} | going_on


def test_an_error_is_not_written_through_a_link(tmp_path):
    checkpoints = Checkpoints(tmp_path, History())
    checkpoints.folder(0).mkdir()
    (tmp_path / "victim").write_text("precious")
    (checkpoints.folder(0) / "error.txt").symlink_to(tmp_path / "victim")
    checkpoints.write_error(0, "Traceback ...")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (checkpoints.folder(0) / "error.txt").read_text() == "Traceback ..."
