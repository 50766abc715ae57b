"""A storage by URL: uploads, downloads, and failures in one line."""

import pytest

from hpsearch.errors import StorageFailed, UserError
from hpsearch.storage.storage import Storage


@pytest.fixture(params=["file", "memory"])
def storage(request, tmp_path):
    return Storage(f"file://{tmp_path}/storage" if request.param == "file" else f"memory://{tmp_path.name}")


def test_files_are_uploaded_and_downloaded(storage, tmp_path):
    (tmp_path / "in").write_bytes(b"weights")
    storage.put(tmp_path / "in", "a/b/weights")
    storage.write("a/note", b"small")
    storage.get("a/b/weights", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"weights"
    assert (storage.read("a/note"), storage.read("a/none")) == (b"small", None)
    assert (storage.names("a"), storage.folders("a")) == ({"note": 5}, ["b"])
    assert (storage.names("none"), storage.folders("none")) == ({}, [])


def test_removing_ignores_missing_files(storage):
    for name in ("a/1", "a/2", "a/3"):
        storage.write(name, b"x")
    storage.remove(["a/1", "a/none", "a/2"])
    assert storage.names("a") == {"3": 1}
    storage.remove([])
    storage.remove_folder("a")
    storage.remove_folder("a")
    assert storage.names("a") == {}


def test_probing_leaves_no_file(storage):
    assert storage.probe() is None
    assert storage.names("") == {}


def test_folders_are_private(tmp_path):
    Storage(f"file://{tmp_path}/storage").write("a/note", b"small")
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "storage", tmp_path / "storage" / "a")] == [0o700] * 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "nowhere://bucket",
            r"storage nowhere://bucket: Protocol not known: nowhere; allowed are a folder's path, s3://.*",
        ),
        (
            "s3://bucket/folder",
            r"storage s3://bucket/folder: Install s3fs to access S3 \(pip install it, on every node\)",
        ),
    ],
)
def test_a_url_that_no_package_can_open_is_one_line(url, said, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(UserError, match=f"^{said}$"):
        Storage(url)


def test_a_failure_says_where_and_why(tmp_path):
    (tmp_path / "file").write_text("no folder")
    storage = Storage(f"file://{tmp_path}/file/in")
    with pytest.raises(StorageFailed, match=rf"^storage file://{tmp_path}/file/in: cannot write note: File exists$"):
        storage.write("note", b"")
    assert storage.probe().endswith(": File exists")
    with pytest.raises(StorageFailed, match=rf"cannot read none: there is no {tmp_path}/none$"):
        Storage(f"file://{tmp_path}").get("none", tmp_path / "out")


def test_a_failure_shows_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S3CRET-of-the-tests")
    storage = Storage(f"file://{tmp_path}")
    with pytest.raises(StorageFailed) as caught, storage._storage_failed("cannot write it"):
        raise RuntimeError("the key S3CRET-of-the-tests is wrong\nmore lines")
    assert str(caught.value) == f"storage file://{tmp_path}: cannot write it: the key *** is wrong"
