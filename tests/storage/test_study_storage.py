"""A study's part of a storage: apart from other homes', swept as a disk is, and asked in the background."""

import time

from hpsearch.errors import StorageFailed
from hpsearch.journal.history import History, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.disk_space import DiskSpace
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import Kept, Storage
from hpsearch.storage.study_storage import StudyStorage
from tests.searching import experiment, opened


def finished(number, value):
    return TrialHistory(number, outcome=Outcome.COMPLETED, value=value)


def store(keeping, folder, number, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    Snapshots(keeping.storage, keeping.of(number).folder, attempt=2).save({name: folder / name for name in names})


def there(keeping):
    found = {}
    for number in keeping.numbers():
        snapshots = Snapshots(keeping.storage, keeping.of(number).folder)
        snapshots.look()
        found[number] = set(snapshots.files)
        assert len(keeping.storage.names(keeping.of(number).folder)) == len(snapshots.files) + 1
    return found


def test_tidying_keeps_what_is_needed_and_no_more(tmp_path):
    history = History(trials={n: finished(n, float(n)) for n in range(5)} | {5: TrialHistory(5)})
    keeping = StudyStorage(Storage(f"file://{tmp_path}/storage"), history, {})
    for number in range(7):  # 6: of a trial that the journal does not know
        store(keeping, tmp_path / "in", number, "last.pt", "best.pt")
    checkpoints = Checkpoints(tmp_path / "home", history, keeping)
    checkpoints.write_error(4, "Traceback ...")
    checkpoints.tidy()
    keeping.close()
    assert there(keeping) == {0: {"best.pt"}, 1: {"best.pt"}, 2: {"best.pt"}, 5: {"last.pt", "best.pt"}}
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["0004"]


def test_a_trial_that_is_overtaken_loses_its_weights(tmp_path):
    history = History(trials={n: finished(n, float(n)) for n in range(1, 4)})
    keeping = StudyStorage(Storage(f"file://{tmp_path}/storage"), history, {})
    for number in range(4):
        store(keeping, tmp_path / "in", number, "last.pt", "best.pt")
    history.trials[0] = finished(0, 0.5)
    Checkpoints(tmp_path / "home", history, keeping).sweep(history.trials[0])
    keeping.close()
    assert there(keeping) == {0: {"best.pt"}, 1: {"last.pt", "best.pt"}, 2: {"last.pt", "best.pt"}}


def test_two_homes_with_studies_of_one_name_have_folders_of_their_own(tmp_path):
    storage, folders = Storage(f"file://{tmp_path}/storage"), set()
    for home in ("one", "two"):
        for _ in range(2):  # made, then resumed
            study = opened(experiment(), tmp_path / home)
            kept = StudyStorage(storage, study.history, {"digest": "corpora/x"}).of(3)
            study.journal.close()
            folders.add(kept.folder)
    assert len(folders) == 2
    assert all(folder.startswith("studies/toy-") and folder.endswith("/0003") for folder in folders)
    assert kept == Kept(kept.folder, {"digest": "corpora/x"})


def test_the_samples_of_a_trial_are_brought_where_there_are_some(tmp_path):
    keeping = StudyStorage(Storage(f"file://{tmp_path}/storage"), History(), {})
    checkpoints = Checkpoints(tmp_path / "home", History(), keeping)
    checkpoints.bring_samples(0)
    assert not (tmp_path / "home").exists()
    store(keeping, tmp_path / "in", 0, "samples.json", "best.pt")
    checkpoints.bring_samples(0)
    assert [path.name for path in (tmp_path / "home" / "0000").iterdir()] == ["samples.json"]


def test_a_storage_that_fails_is_left_alone_until_the_next_run(tmp_path, caplog, monkeypatch):
    def refuse(storage, folder):
        raise StorageFailed("storage x: cannot list: broken")

    keeping = StudyStorage(Storage(f"file://{tmp_path}/storage"), History(), {})
    monkeypatch.setattr(Storage, "remove_folder", refuse)
    for number in range(3):
        keeping.sweep(number)
    keeping.close()
    assert caplog.messages == ["storage x: cannot list: broken; what is not needed any more stays there for now"]


def test_room_in_a_storage_is_looked_for_without_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.storage.disk_space.PAUSE", 0.0)
    keeping = StudyStorage(Storage(f"file://{tmp_path}/storage"), History(), {})
    room, slow = DiskSpace(tmp_path / "home", keeping), 0.5
    monkeypatch.setattr(Storage, "refusal", lambda storage: time.sleep(slow))
    assert room.refused("no room") == f"nothing can be saved in {keeping.storage.url}; waiting up to 60 s for room"
    assert room.look() is None
    assert room.closed
    keeping.close()
    assert room.look() == "there is room again; going on"
    assert not (tmp_path / "home").exists()
