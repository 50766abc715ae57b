"""The actor class with a storage, used without Ray."""

import json
import signal
import threading
import time

import pytest

from hpsearch.contract import Command
from hpsearch.errors import StorageFailed, UserError
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Noted
from hpsearch.launchers.ray import upload
from hpsearch.launchers.ray.actor import Actor
from hpsearch.launchers.ray.scratch import Scratch
from hpsearch.launchers.ray.visibility import SharedStorage
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import RemoteFiles, Storage
from hpsearch.storage.study_storage import upload_prepared
from hpsearch.testing.launchers import SLOW, TOY, task, worker_settings
from tests.training.tiny import TEXT, opened, tiny

REMOTE = RemoteFiles("studies/toy/0000")


@pytest.fixture
def url(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    yield f"file://{tmp_path}/storage"
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def node(tmp_path, url, monkeypatch):
    """Makes a worker on a node of this name."""
    made = []

    def make(name="one"):
        monkeypatch.setenv("HPSEARCH_SCRATCH", str(tmp_path / name))
        made.append(Actor(0, worker_settings(tmp_path / "none"), TOY, url))
        assert made[-1]._open() == ""
        return made[-1]

    yield make
    for actor in made:
        actor.leave()


def trial(tmp_path, attempt=1, remote=REMOTE, **values):
    wanted = task(tmp_path / "home", **values)
    return type(wanted)(0, attempt, wanted.config, wanted.folder, {}, remote)


def go_on(actor, wanted, answers=lambda index: Command.CONTINUE):
    """Trains to the end; returns losses by index, the last message and the warnings."""
    losses, notes, said = {}, [], actor.train(1, wanted)
    while True:
        *before, message = said
        notes += [note.line for note in before if isinstance(note, Noted)]
        if not isinstance(message, Evaluated):
            return losses, message, notes
        index = message.evaluation.index
        losses[index] = message.evaluation.metrics["val/loss"]
        said = actor.answer(answers(index))


def stored(url):
    """Returns the trial's files in the storage."""
    snapshots = Snapshots(Storage(url), REMOTE.folder)
    snapshots.load_newest()
    return sorted(snapshots.files)


def left(tmp_path, name="one"):
    """Returns the trials' files in a node's scratch folder."""
    return sorted(path.name for path in (tmp_path / name).glob("hpsearch-*/worker-*/**/*") if path.name != "lock")


def test_an_ended_trial_has_files_only_in_the_storage(tmp_path, url, node):
    losses, last, notes = go_on(node(), trial(tmp_path))
    assert (list(losses), last, notes) == ([*range(1, 21)], Ended(0, 0, Command.CONTINUE), [])
    assert {"best.pt", "last.pt"} <= set(stored(url))
    assert left(tmp_path) == []
    assert not (tmp_path / "home").exists()
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "one").glob("*")] == [0o700]


def test_a_paused_trial_resumes_from_the_storage_on_another_node(tmp_path, url, node):
    whole, _, _ = go_on(node(), trial(tmp_path, remote=RemoteFiles("studies/toy/0001")))
    first, last, _ = go_on(node("one"), trial(tmp_path), lambda i: Command.PAUSE if i == 7 else Command.CONTINUE)
    assert last == Ended(0, 0, Command.PAUSE)
    assert stored(url) == ["last.pt"] or stored(url) == ["last.pt", "previous.pt"]
    told = Snapshots(Storage(url), REMOTE.folder)
    told.load_newest()
    told.fetch(tmp_path / "seen")
    _, _, state = (tmp_path / "seen" / "last.pt").read_bytes().partition(b"\n")  # after the checksum
    assert len(json.loads(state)["evaluations"]) == 7
    again, last, _ = go_on(node("two"), trial(tmp_path, attempt=2))
    assert (again, last) == (whole, Ended(0, 0, Command.CONTINUE))
    assert {index: again[index] for index in first} == first


def test_a_stopped_trial_is_not_stored(tmp_path, url, node):
    _, last, _ = go_on(node(), trial(tmp_path), lambda index: Command.STOP if index == 3 else Command.CONTINUE)
    there = Storage(url).names(REMOTE.folder)
    assert last == Ended(0, 0, Command.STOP)
    assert left(tmp_path) == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "upload"] == []
    assert Storage(url).names(REMOTE.folder) == there


def test_checkpoints_are_stored_while_it_trains(tmp_path, url, node):
    actor = node()
    actor.train(1, trial(tmp_path, dropout=SLOW))
    deadline = time.monotonic() + 60
    said = actor.answer(Command.CONTINUE)
    while stored(url) == []:
        assert time.monotonic() < deadline
        assert isinstance(said[-1], Evaluated)
        said = actor.answer(Command.CONTINUE)
    actor.answer(Command.STOP)


def test_a_state_has_files_that_grow_as_they_were_when_the_program_had_saved(tmp_path, url):
    """A line that comes while the state is stored would make its size wrong, and the whole state useless."""
    snapshots, folder = Snapshots(Storage(url), REMOTE.folder), tmp_path / "0000"
    folder.mkdir()
    storing = upload.Upload(snapshots, folder)
    storing.stop()
    names = ("last.pt", "log.txt", "output-0001-000000.txt")
    for name in names:
        (folder / name).write_text("saved\n")
    linked = storing._link()
    for name in names[1:]:
        with (folder / name).open("a") as file:
            file.write("more\n")
    assert {path.name: path.read_text() for path in linked.iterdir()} == dict.fromkeys(names, "saved\n")
    assert (linked / "last.pt").samefile(folder / "last.pt")


def test_a_storage_that_refuses_writes_for_a_while_is_a_warning(tmp_path, url, node, monkeypatch):
    actor, deadline = node(), time.monotonic() + 60
    with monkeypatch.context() as broken:
        broken.setattr(Storage, "put", refuse)
        actor.train(1, trial(tmp_path))
        actor.answer(Command.CONTINUE)  # it has saved once
        while not actor._transfer._upload._failure:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    note, *_, message = said = actor.answer(Command.CONTINUE)
    assert note.line == f"a checkpoint is not stored: storage {url}: cannot write x: no room; training continues"
    assert isinstance(message, Evaluated)
    while isinstance(said[-1], Evaluated):
        said = actor.answer(Command.CONTINUE)
    assert said[-1] == Ended(0, 0, Command.CONTINUE)
    assert "best.pt" in stored(url)


def test_a_storage_that_refuses_writes_at_the_end_does_not_fail_the_trial(tmp_path, url, node, monkeypatch):
    monkeypatch.setattr(upload, "PAUSES", (0.01,))
    actor = node()
    monkeypatch.setattr(Storage, "put", refuse)
    _, last, notes = go_on(actor, trial(tmp_path))
    assert last == Failed(0, 0, "disk", f"storage {url}: cannot write x: no room", "")
    assert all(line.startswith("a checkpoint is not stored: storage ") for line in notes)
    assert left(tmp_path) == []


def test_a_storage_that_is_down_at_the_start_does_not_fail_the_trial(tmp_path, url, node, monkeypatch):
    actor = node()
    monkeypatch.setattr(Storage, "names", refuse)
    [last] = actor.train(1, trial(tmp_path))
    assert last == Failed(0, 0, "disk", f"storage {url}: cannot write x: no room", "")


def refuse(storage, *_):
    raise StorageFailed(f"storage {storage.url}: cannot write x: no room")


def test_a_half_written_file_is_not_stored(tmp_path, url, node):
    actor = node()
    actor.train(1, trial(tmp_path))
    folder = actor._transfer._folder
    (folder / ".last.pt.tmp").write_text("half")
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "own" / ".hidden").mkdir(parents=True)
    (folder / "own" / "notes.txt").write_text("of a trainer")
    actor.answer(Command.PAUSE)
    assert "own/notes.txt" in stored(url)
    assert set(stored(url)) <= {"last.pt", "previous.pt", "own/notes.txt"}
    actor.train(2, trial(tmp_path, attempt=2))
    assert (folder / "own" / "notes.txt").read_text() == "of a trainer"


# --------------------------------------------------------------------------------------------------- data and folders


def test_prepared_data_are_uploaded_once_and_downloaded_once_a_node(tmp_path, url, node, corpus_files):
    corpus, storage = opened(tiny({"text": TEXT}), tmp_path).folder, Storage(url)
    name, steps = upload_prepared(storage, corpus, lambda what, share: None), []
    before = storage.names(name)
    assert upload_prepared(storage, corpus, lambda what, share: steps.append(what)) == name
    assert (storage.names(name), steps) == (before, [])
    scratch, folders = node()._transfer.scratch, []
    threads = [
        threading.Thread(target=lambda: folders.append(scratch.prepared(storage, name, lambda: None))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 1
    assert contents(folders[0]) == contents(corpus)
    storage.remove_folder(name)  # it is not downloaded again
    assert scratch.prepared(storage, name, lambda: None) == folders[0]


def test_incomplete_data_in_the_storage_are_refused(tmp_path, url, node, corpus_files):
    corpus, storage = opened(tiny({"text": TEXT}), tmp_path).folder, Storage(url)
    name = upload_prepared(storage, corpus, lambda what, share: None)
    victim = max((tmp_path / "storage" / name).iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    scratch = node()._transfer.scratch
    with pytest.raises(StorageFailed, match=rf"^storage {url}: {name}: the prepared data are not whole$"):
        scratch.prepared(storage, name, lambda: None)
    assert [path for path in (scratch.home / "corpora").iterdir() if path.is_dir()] == []


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_next_worker_deletes_the_folder_of_a_killed_one(tmp_path, node):
    alive = node()._transfer.scratch
    killed = alive.home / "worker-killed"
    killed.mkdir()
    (killed / "last.pt").write_text("")
    node()
    assert alive.path.exists()
    assert not killed.exists()


def test_a_scratch_folder_that_others_can_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HPSEARCH_SCRATCH", str(tmp_path))
    Scratch().remove()
    [folder] = tmp_path.glob("hpsearch-*")
    folder.chmod(0o777)
    with pytest.raises(UserError, match=rf"^scratch folder {folder}: it is not this user's alone \(mode 0700\); set"):
        Scratch()


# -------------------------------------------------------------------------------------------- nodes that cannot be used


def test_a_node_that_sees_the_storage_can_be_used_and_leaves_no_file(tmp_path, url):
    shared = SharedStorage(url, ".shared-x", "text")
    shared.write()
    assert shared.problem() == ""
    shared.remove()
    assert list((tmp_path / "storage").iterdir()) == []


def test_a_node_without_the_storage_says_why(tmp_path, url, monkeypatch):
    monkeypatch.setattr("hpsearch.launchers.ray.visibility.PATIENCE", 0.2)
    shared = SharedStorage(url, ".shared-x", "text")
    assert shared.problem() == f"does not see in {url} what the driver has written there"
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    problem = SharedStorage("s3://bucket", ".shared-x", "text").problem()
    assert problem.startswith("cannot use the storage: storage s3://bucket: Install s3fs")
    shared.write()
    monkeypatch.setattr(Storage, "put", refuse)
    monkeypatch.setattr(Storage, "write", refuse)
    assert shared.problem() == f"cannot use the storage: storage {url}: cannot write x: no room"


def test_a_trainer_that_raises_keyboard_interrupt_fails_its_trial(tmp_path, url):
    actor = Actor(0, worker_settings(tmp_path), "python:tests.launchers.trainers:Interrupting")
    for _ in range(2):
        [last] = actor.train(1, task(tmp_path))
        assert isinstance(last, Failed)
        assert last.kind == "error"
        assert last.reason.startswith("KeyboardInterrupt, trainers.py:")
        assert last.details.startswith("Traceback")
