"""Only complete states are used; after an interruption the previous state is still there."""

import pytest

from hpsearch.errors import StorageFailed
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import Storage


class Failing(Storage):
    """A storage that fails after some writes."""

    left = 10**6

    def put(self, path, name):
        self._count(name)
        super().put(path, name)

    def write(self, name, data):
        self._count(name)
        super().write(name, data)

    def _count(self, name):
        self.left -= 1
        if self.left < 0:
            if self.left == -1:  # half of the file is written
                super().write(name, b"hal")
            raise StorageFailed("storage x: cannot write: broken")


@pytest.fixture
def storage(tmp_path):
    return Failing(f"file://{tmp_path}/storage")


def state(folder, **files):
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / f"{name}.pt").write_text(text)
    return {path.name: path for path in folder.iterdir()}


def fetched(storage, folder):
    folder.mkdir()
    snapshots = Snapshots(storage, "0000", attempt=9)
    snapshots.load_newest()
    whole = snapshots.fetch(folder)
    return {path.name: path.read_text() for path in folder.iterdir()}, whole


def test_a_saved_state_can_be_downloaded_and_older_files_are_deleted(storage, tmp_path):
    snapshots = Snapshots(storage, "0000", attempt=1)
    snapshots.save(state(tmp_path / "in", last="one"))
    snapshots.save(state(tmp_path / "in", last="two", previous="one", best="b"))
    assert fetched(storage, tmp_path / "out") == ({"last.pt": "two", "previous.pt": "one", "best.pt": "b"}, True)
    assert len(storage.names("0000")) == 4  # and the manifest
    assert (tmp_path / "out" / "last.pt").stat().st_mode & 0o777 == 0o600


def test_a_previous_checkpoint_is_never_uploaded(storage, tmp_path):
    snapshots = Snapshots(storage, "0000", attempt=1)
    snapshots.save(state(tmp_path / "in", last="three", previous="two"))
    assert list(snapshots.files) == ["last.pt"]


def test_unchanged_files_are_not_uploaded_again(storage, tmp_path):
    snapshots = Snapshots(storage, "0000", attempt=1)
    snapshots.save(state(tmp_path / "in", last="one", best="b"))
    storage.left = 2
    snapshots.save(state(tmp_path / "in", last="two", best="b"))  # last.pt and the manifest
    storage.left = 0
    snapshots.save(state(tmp_path / "in", last="two", best="b"))


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_an_interrupted_save_leaves_the_previous_state(storage, tmp_path, writes):
    snapshots = Snapshots(storage, "0000", attempt=1)
    snapshots.save(state(tmp_path / "in", last="one", best="a"))
    storage.left = writes
    with pytest.raises(StorageFailed):
        snapshots.save(state(tmp_path / "in", last="two", best="b"))
    assert fetched(storage, tmp_path / "out") == ({"last.pt": "one", "best.pt": "a"}, True)
    storage.left = 10
    snapshots.save(state(tmp_path / "in", last="three", best="b"))
    assert fetched(storage, tmp_path / "again") == ({"last.pt": "three", "best.pt": "b"}, True)
    assert len(storage.names("0000")) == 3  # the half-stored files are deleted


def test_the_next_attempt_supersedes_an_abandoned_one(storage, tmp_path):
    first = Snapshots(storage, "0000", attempt=1)
    first.save(state(tmp_path / "in", last="one"))
    second = Snapshots(storage, "0000", attempt=2)
    second.load_newest()
    second.save(state(tmp_path / "in", last="of the second"))
    for number in range(3):  # an abandoned attempt that still runs
        first.save(state(tmp_path / "in", last=f"of the first {number}"))
    assert fetched(storage, tmp_path / "out") == ({"last.pt": "of the second"}, True)


def test_a_damaged_file_is_skipped_with_a_warning(storage, tmp_path, caplog):
    snapshots = Snapshots(storage, "0000", attempt=1)
    snapshots.save(state(tmp_path / "in", last="one", best="b"))
    path = tmp_path / "storage" / "0000" / snapshots.files["last.pt"].object
    path.write_text("ONE")
    assert fetched(storage, tmp_path / "out") == ({"best.pt": "b"}, False)
    assert caplog.messages == [f"{storage.url}/0000: last.pt does not match its checksum: not used"]
    path.write_text("shorter or longer")
    assert fetched(storage, tmp_path / "again") == ({"best.pt": "b"}, True)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"../../victim": {"object": "x", "bytes": 1, "sha256": "y"}}'])
def test_an_invalid_manifest_is_ignored(storage, tmp_path, text):
    import hashlib

    Snapshots(storage, "0000", attempt=1).save(state(tmp_path / "in", last="one"))
    data = f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()
    storage.write("0000/000009-000001-00000000.manifest", data)
    storage.write("0000/000008-000001-00000000.manifest", b"half")
    storage.write("0000/000009-000001-00000000-x", b"x")
    assert fetched(storage, tmp_path / "out") == ({"last.pt": "one"}, True)


def test_deleting_the_last_file_deletes_the_folder(storage, tmp_path):
    Snapshots(storage, "0000", attempt=3).save(state(tmp_path / "in", last="one", best="b"))
    swept = Snapshots(storage, "0000")
    swept.load_newest()
    swept.delete(["last.pt", "previous.pt"])
    assert fetched(storage, tmp_path / "out") == ({"best.pt": "b"}, True)
    assert len(storage.names("0000")) == 2
    swept.delete(["b*.pt"])
    assert storage.names("0000") == {}
