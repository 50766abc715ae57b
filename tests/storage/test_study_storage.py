"""A study's part of a storage: separate for each home, swept and probed in the background."""

import time

from hpsearch.errors import StorageFailed
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.disk_space import DiskSpace
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import RemoteFiles, Storage
from hpsearch.storage.study_storage import StudyStorage
from tests.searching import experiment, opened


def finished(number, value):
    return TrialHistory(number, outcome=Outcome.COMPLETED, value=value)


def store(study_storage, folder, number, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    Snapshots(study_storage.storage, study_storage.remote(number).folder, attempt=2).save(
        {name: folder / name for name in names}
    )


def there(study_storage):
    found = {}
    for number in study_storage.numbers():
        snapshots = Snapshots(study_storage.storage, study_storage.remote(number).folder)
        snapshots.load_newest()
        found[number] = set(snapshots.files)
        assert len(study_storage.storage.names(study_storage.remote(number).folder)) == len(snapshots.files) + 1
    return found


def test_tidying_keeps_what_is_needed_and_no_more(tmp_path):
    history = History(trials={n: finished(n, float(n)) for n in range(4)} | {5: TrialHistory(5)})
    history.trials[4] = TrialHistory(4, outcome=Outcome.FAILED)
    study_storage = StudyStorage(Storage(f"file://{tmp_path}/storage"), history, {})
    for number in range(7):  # 6: of a trial that the journal does not know
        store(study_storage, tmp_path / "in", number, "last.pt", "best.pt")
    checkpoints = Checkpoints(tmp_path / "home", history, study_storage)
    checkpoints.write_error(4, "Traceback ...")
    checkpoints.tidy()
    study_storage.close()
    assert there(study_storage) == {0: {"best.pt"}, 1: {"best.pt"}, 2: {"best.pt"}, 5: {"last.pt", "best.pt"}}
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["0004"]


def test_weights_of_a_trial_that_is_no_longer_among_the_best_are_deleted(tmp_path):
    history = History(trials={n: finished(n, float(n)) for n in range(1, 4)})
    study_storage = StudyStorage(Storage(f"file://{tmp_path}/storage"), history, {})
    for number in range(4):
        store(study_storage, tmp_path / "in", number, "last.pt", "best.pt")
    history.trials[0] = finished(0, 0.5)
    Checkpoints(tmp_path / "home", history, study_storage).sweep(history.trials[0])
    study_storage.close()
    assert there(study_storage) == {0: {"best.pt"}, 1: {"last.pt", "best.pt"}, 2: {"last.pt", "best.pt"}}


def test_two_homes_with_studies_of_one_name_have_folders_of_their_own(tmp_path):
    storage, folders = Storage(f"file://{tmp_path}/storage"), set()
    for home in ("one", "two"):
        for _ in range(2):  # made, then resumed
            study = opened(experiment(), tmp_path / home)
            remote = StudyStorage(storage, study.history, {"digest": "corpora/x"}).remote(3)
            study.journal.close()
            folders.add(remote.folder)
    assert len(folders) == 2
    assert all(folder.startswith("studies/toy-") and folder.endswith("/0003") for folder in folders)
    assert remote == RemoteFiles(remote.folder, {"digest": "corpora/x"})


def test_samples_are_downloaded_if_the_trial_has_some(tmp_path):
    study_storage = StudyStorage(Storage(f"file://{tmp_path}/storage"), History(), {})
    checkpoints = Checkpoints(tmp_path / "home", History(), study_storage)
    checkpoints.download_samples(0)
    assert not (tmp_path / "home").exists()
    store(study_storage, tmp_path / "in", 0, "samples.json", "best.pt")
    checkpoints.download_samples(0)
    assert [path.name for path in (tmp_path / "home" / "0000").iterdir()] == ["samples.json"]


def test_a_failing_storage_is_not_swept_again_in_this_run(tmp_path, caplog, monkeypatch):
    def refuse(storage, folder):
        raise StorageFailed("storage x: cannot list: broken")

    study_storage = StudyStorage(Storage(f"file://{tmp_path}/storage"), History(), {})
    monkeypatch.setattr(Storage, "remove_folder", refuse)
    for number in range(3):
        study_storage.sweep(number)
    study_storage.close()
    assert caplog.messages == ["storage x: cannot list: broken; the next run deletes the other files"]


def test_disk_space_does_not_wait_for_a_slow_storage(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.storage.disk_space.PAUSE", 0.0)
    study_storage = StudyStorage(Storage(f"file://{tmp_path}/storage"), History(), {})
    disk_space, slow = DiskSpace(tmp_path / "home", study_storage), 0.5
    monkeypatch.setattr(Storage, "probe", lambda storage: time.sleep(slow))
    assert (
        disk_space.block("no room")
        == f"nothing can be saved in {study_storage.storage.url}; waiting up to 60 s for space"
    )
    assert disk_space.retry() is None
    assert disk_space.blocked
    study_storage.close()
    assert disk_space.retry() == "there is space again; the search resumes"
    assert not (tmp_path / "home").exists()
