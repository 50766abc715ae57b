"""The queue of a study: whole lines are read once, torn and foreign ones are skipped."""

import pytest

from hpsearch.errors import StorageFailed
from hpsearch.journal import encode
from hpsearch.journal.queue_file import NAME, QueueFile

TORN = b'{"time": 1.0, "event": "enq'


def params(queue):
    return [entry["params"] for entry in queue.new()]


def test_what_is_added_is_read_once_and_again_by_another_reader(tmp_path):
    queue = QueueFile(tmp_path)
    assert queue.new() == []
    assert queue.add({"rate": 0.1}) != queue.add({"rate": 0.2})
    assert params(queue) == [{"rate": 0.1}, {"rate": 0.2}]
    assert params(queue) == []
    queue.add({"layers": 2})
    assert params(queue) == [{"layers": 2}]
    assert len(params(QueueFile(tmp_path))) == 3


def test_a_torn_line_costs_itself_alone(tmp_path):
    path, queue = tmp_path / NAME, QueueFile(tmp_path)
    queue.add({"rate": 0.1})
    with path.open("ab") as file:
        file.write(TORN)
    assert params(queue) == [{"rate": 0.1}]
    queue.add({"rate": 0.2})
    assert params(queue) == [{"rate": 0.2}]


@pytest.mark.parametrize("line", [b"\n", b"nothing\n", encode({"a": 1}), encode({"id": 3, "params": {}})])
def test_lines_of_others_are_skipped(tmp_path, line):
    (tmp_path / NAME).write_bytes(line)
    queue = QueueFile(tmp_path)
    queue.add({"rate": 0.1})
    assert params(queue) == [{"rate": 0.1}]


def test_a_link_is_neither_read_nor_written(tmp_path):
    """As for journal and lock: what it points to is unchanged."""
    (tmp_path / "there").write_bytes(encode({"id": "a", "params": {}}))
    (tmp_path / NAME).symlink_to(tmp_path / "there")
    assert QueueFile(tmp_path).new() == []
    with pytest.raises(StorageFailed, match=r"queue\.jsonl: cannot be written: "):
        QueueFile(tmp_path).add({"rate": 0.1})
    assert (tmp_path / "there").read_bytes() == encode({"id": "a", "params": {}})
