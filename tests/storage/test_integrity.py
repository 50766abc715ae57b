"""A checkpoint is whole or it is not."""

import pytest

from hpsearch import sealed
from hpsearch.storage.integrity import on_disk


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b'{"sha256": "0", "bytes": 1}\nx', b"\x00" * 100])
def test_what_is_no_checkpoint_is_not_whole(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    sealed.write(tmp_path / "previous.pt", content, config="c")
    assert on_disk(tmp_path) == (["last.pt", "previous.pt"], ["last.pt"])
