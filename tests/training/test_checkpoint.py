"""Checkpoints: damage is noticed, the old one survives a failed writing, and no code in them ever runs."""

import errno
import hashlib
import json
import os
import pickle
import stat
import subprocess
import sys

import pytest
import torch

from hpsearch.errors import CheckpointDamaged
from hpsearch.system import atomic
from hpsearch.system.atomic import write_atomically, write_json
from hpsearch.training import checkpoint

STATE = {
    "model": {"weight": torch.arange(1000.0).reshape(20, 50), "half": torch.ones(3, dtype=torch.bfloat16)},
    "place": {"step": 3, "seconds": 0.1 + 0.2, "nothing": None, "nan": float("inf")},
    "points": [{"step": 1, "metrics": {"train/loss": 2.5}}],
    "best": (1.5, {"é": [1, 2]}),
}


@pytest.fixture
def path(tmp_path):
    """A whole checkpoint."""
    checkpoint.save(tmp_path / "last.pt", STATE, config_hash="abc")
    return tmp_path / "last.pt"


def under_a_right_checksum(body, *, config_hash="abc"):
    header = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "config": config_hash}
    return json.dumps(header).encode() + b"\n" + body


def test_what_is_saved_comes_back_to_the_bit(path):
    found = checkpoint.load(path, config_hash="abc")
    for name, weight in STATE["model"].items():
        assert torch.equal(found["model"].pop(name), weight)
    assert {key: found[key] for key in ("place", "points", "best")} == {
        key: STATE[key] for key in ("place", "points", "best")
    }


def test_only_its_owner_may_read_it_and_nothing_else_is_left(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["last.pt"]


def test_a_flipped_byte_is_noticed_anywhere(path):
    whole = path.read_bytes()
    header = whole.index(b"\n")
    for place in (10, header - 2, header + 1, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointDamaged):
            checkpoint.load(path, config_hash="abc")


@pytest.mark.parametrize("kept", [0.0, 1, 0.5, -1, -100])
def test_a_truncated_one_is_noticed(path, kept):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(CheckpointDamaged, match=r"last\.pt"):
        checkpoint.load(path, config_hash="abc")


@pytest.mark.parametrize(
    "content",
    [b"\0" * 9000, b"[" * 4000, b"[1]\nx", b'"text"\nx', b"{}\n", b"null\n", b"\xff\xfe\n", b"3" * 9000],
    ids=lambda content: repr(content[:8]),
)
def test_other_bytes_are_no_checkpoint(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointDamaged):
        checkpoint.load(tmp_path / "last.pt", config_hash="abc")


def test_one_of_another_config_is_refused(path):
    with pytest.raises(CheckpointDamaged, match="another config"):
        checkpoint.load(path, config_hash="abd")


def test_one_without_a_config_is_refused(path):
    header, body = path.read_bytes().split(b"\n", 1)
    facts = json.loads(header)
    del facts["config"]
    path.write_bytes(json.dumps(facts).encode() + b"\n" + body)
    with pytest.raises(CheckpointDamaged):
        checkpoint.load(path, config_hash="abc")


def test_a_missing_one_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "last.pt", config_hash="abc")


# --------------------------------------------------------------------------------------------------------------- safety


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("kind", ["torch", "torch, old format", "pickle"])
def test_code_under_a_right_checksum_is_not_run(tmp_path, kind):
    canary, path = tmp_path / "canary", tmp_path / "last.pt"
    state = {"model": Touch(canary)}
    inner = tmp_path / "inner"
    if kind == "pickle":
        inner.write_bytes(pickle.dumps(state, protocol=2))
    else:
        torch.save(state, inner, _use_new_zipfile_serialization=kind == "torch")
    path.write_bytes(under_a_right_checksum(inner.read_bytes()))
    with pytest.raises(CheckpointDamaged, match="something else"):
        checkpoint.load(path, config_hash="abc")
    assert not canary.exists()
    pickle.loads(pickle.dumps(Touch(canary))).close()  # the canary does sing when it is unpickled
    assert canary.exists()


def test_code_is_not_run_even_where_the_environment_asks_for_it(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "last.pt"
    torch.save({"model": Touch(canary)}, tmp_path / "inner")
    path.write_bytes(under_a_right_checksum((tmp_path / "inner").read_bytes()))
    program = "import sys, pathlib\nfrom hpsearch.training import checkpoint\n"
    program += "checkpoint.load(pathlib.Path(sys.argv[1]), config_hash='abc')"
    environment = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, text=True)
    assert "CheckpointDamaged" in done.stderr
    assert not canary.exists()


def test_a_link_planted_under_the_temporary_name_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".last.pt.tmp").symlink_to(victim)
    checkpoint.save(tmp_path / "last.pt", STATE, config_hash="abc")
    assert victim.read_text() == "precious"
    assert not (tmp_path / ".last.pt.tmp").is_symlink()
    assert checkpoint.load(tmp_path / "last.pt", config_hash="abc")["place"] == STATE["place"]


# ------------------------------------------------------------------------------------------------------- failed writing


def test_a_file_that_finds_no_room_leaves_the_old_one(path):
    """RLIMIT_FSIZE in a child process: the writing stops half way, as on a full disk."""
    old = path.read_bytes()
    assert len(old) > 4096
    program = (
        "import pathlib, resource, signal, sys\n"
        "from hpsearch.system.atomic import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "write_atomically(pathlib.Path(sys.argv[1]), bytes(100_000))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, text=True)
    assert f"Errno {errno.EFBIG}" in done.stderr
    assert path.read_bytes() == old
    assert [entry.name for entry in path.parent.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_while_syncing_leaves_the_old_one(path, monkeypatch, error):
    old = path.read_bytes()

    def fails(descriptor):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(type(error)):
            checkpoint.save(path, {"model": {}}, config_hash="abc")
    assert path.read_bytes() == old
    assert [entry.name for entry in path.parent.iterdir()] == ["last.pt"]
    assert checkpoint.load(path, config_hash="abc")["place"] == STATE["place"]


def test_a_folder_that_takes_no_file_leaves_the_old_one(path):
    old = path.read_bytes()
    (path.parent / ".last.pt.tmp").mkdir()  # not even root can write there
    with pytest.raises(OSError, match="directory"):
        checkpoint.save(path, STATE, config_hash="abc")
    assert path.read_bytes() == old


def test_an_error_that_passes_is_met_with_another_try(path, monkeypatch):
    """EIO twice, then none: as a disk that stumbles."""
    failures, fsync = [errno.EIO, errno.EIO], os.fsync

    def stumbles(descriptor):
        if failures:
            raise OSError(failures.pop(), "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", stumbles)
    monkeypatch.setattr(atomic, "PAUSES", (0, 0, 0))
    checkpoint.save(path, {"place": 1}, config_hash="abc")
    assert (failures, checkpoint.load(path, config_hash="abc")) == ([], {"place": 1})


def test_an_error_that_stays_is_raised_and_leaves_the_old_one(path, monkeypatch):
    old = path.read_bytes()

    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        patch.setattr(atomic, "PAUSES", (0, 0, 0))
        with pytest.raises(OSError, match="Input/output"):
            checkpoint.save(path, {"place": 1}, config_hash="abc")
    assert (path.read_bytes(), [entry.name for entry in path.parent.iterdir()]) == (old, ["last.pt"])


def test_the_checkpoint_before_stays_under_its_own_name(path):
    former = path.with_name("previous.pt")
    checkpoint.save(path, {"place": 1}, config_hash="abc", previous=former)
    assert checkpoint.load(former, config_hash="abc")["place"] == STATE["place"]
    path.write_bytes(b"damaged")
    assert checkpoint.load_newest([path, former], config_hash="abc")["place"] == STATE["place"]
    former.unlink()
    assert checkpoint.load_newest([path, former], config_hash="abc") is None


def test_a_link_in_a_checkpoints_place_is_not_read(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(CheckpointDamaged, match="cannot be read"):
        checkpoint.load(path, config_hash="abc")


def test_a_temporary_file_left_by_a_killed_process_does_no_harm(path):
    (path.parent / ".last.pt.tmp").write_bytes(bytes(10_000_000))
    checkpoint.save(path, {"place": 1}, config_hash="abc")
    assert checkpoint.load(path, config_hash="abc") == {"place": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["last.pt"]


def test_json_and_bytes_are_written_whole(tmp_path):
    write_json(tmp_path / "samples.json", {"é": [1, "ü"]})
    assert json.loads((tmp_path / "samples.json").read_text(encoding="utf-8")) == {"é": [1, "ü"]}
    write_atomically(tmp_path / "samples.json", b"")
    assert (tmp_path / "samples.json").read_bytes() == b""
