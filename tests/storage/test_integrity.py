"""A checkpoint is intact or damaged; its checksum alone decides."""

import json

import pytest

from hpsearch.storage.integrity import check_folder, check_storage
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import Storage
from hpsearch.system import sealed
from hpsearch.trainers import save_state
from hpsearch.training import checkpoint
from tests.training.tiny import MIXED, handle, tiny

DAMAGED = [b"", b"{", b"[]\n", b'{"sha256": "0", "bytes": 1}\nx', b"\x00" * 100, json.dumps({"step": 3}).encode()]


def stored(folder, path):
    """A storage that holds the files of a folder."""
    snapshots = Snapshots(Storage(f"file://{folder}"), "studies/toy/0000")
    snapshots.save({file.name: file for file in path.iterdir()})
    snapshots.save({file.name: file for file in path.iterdir()})  # previous.pt is stored only if it is known
    return Snapshots(snapshots.storage, snapshots.folder)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_file_without_its_checksum_is_damaged(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    sealed.write(tmp_path / "previous.pt", content, config="c")
    assert check_folder(tmp_path) == (["last.pt", "previous.pt"], ["last.pt"])


@pytest.mark.parametrize("content", DAMAGED)
def test_a_checkpoint_damaged_before_its_upload_is_found_in_the_storage(tmp_path, content):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "last.pt").write_bytes(content)
    assert check_storage(stored(tmp_path / "storage", tmp_path / "in")) == (["last.pt"], ["last.pt"])


@pytest.mark.parametrize("kind", ["torch", "json"])
def test_torch_checkpoints_and_json_states_are_intact_until_a_byte_changes(tmp_path, kind):
    given = handle(tmp_path)
    given.folder.mkdir(parents=True, exist_ok=True)
    path = given.folder / "last.pt"
    if kind == "torch":
        checkpoint.save(path, {"step": 3}, config_hash="c")
    else:
        save_state(tiny(MIXED), given, {"step": 3})
    assert check_folder(given.folder) == (["last.pt"], [])
    assert check_storage(stored(tmp_path / "storage", given.folder)) == (["last.pt"], [])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert check_folder(given.folder) == (["last.pt"], ["last.pt"])
