"""What a journal tells: whole lines in order, damage noticed and passed over."""

import math

import pytest

from hpsearch import journal
from hpsearch.errors import JournalDamaged
from hpsearch.journal import Journal, Tail
from tests.journal.writing import write


def test_what_was_appended_is_read_in_order(tmp_path):
    log = Journal(tmp_path / "j")
    log.append("study_created", name='äöü \n "quoted"', crc="not the checksum")
    log.append("evaluation", metrics={"val/loss": math.nan, "x": 0.1})
    log.sync()
    first, second = journal.read(tmp_path / "j")
    assert (first["event"], first["name"]) == ("study_created", 'äöü \n "quoted"')
    assert math.isnan(second["metrics"]["val/loss"])
    assert second["metrics"]["x"] == 0.1
    log.close()


def test_a_damaged_line_in_the_middle_is_counted_and_passed_over(tmp_path):
    path = tmp_path / "j"
    write(path, "study_created", "a", "b")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"value":1', b'"value":2')
    path.write_bytes(b"".join(lines))
    tail = Tail(path)
    events, _ = tail.read()
    assert [event["event"] for event in events] == ["study_created", "b"]
    assert tail.damaged == [2]


def test_a_tail_goes_on_where_it_was(tmp_path):
    path = tmp_path / "j"
    write(path, "study_created")
    _, offset = Tail(path).read()
    write(path, "a")
    events, _ = Tail(path, offset).read()
    assert [event["event"] for event in events] == ["a"]


def test_a_tail_returns_no_half_line(tmp_path):
    path = tmp_path / "j"
    write(path, "study_created")
    with path.open("ab") as file:
        file.write(b'{"event":"half')
    events, offset = Tail(path).read()
    assert len(events) == 1
    assert offset < path.stat().st_size


def test_another_file_is_not_read_as_a_journal(tmp_path):
    (tmp_path / "j").write_text("hello\nworld\n")
    with pytest.raises(JournalDamaged, match="not an hpsearch journal"):
        journal.read(tmp_path / "j")


def test_the_origin_is_found_again_when_its_line_is_damaged(tmp_path):
    path = tmp_path / "j"
    log = Journal(path)
    origin = log.append("study_created", study="toy")
    log.append("driver_started", origin=origin)
    log.close()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    damaged = []
    assert [event["event"] for event in journal.read(path, damaged=damaged)] == ["study_created", "driver_started"]
    assert (journal.read(path)[0], damaged) == (origin, [1])


def test_a_journal_that_says_nowhere_whose_it_is_is_refused(tmp_path):
    write(tmp_path / "j", "trial_asked")
    with pytest.raises(JournalDamaged, match="does not begin with study_created"):
        journal.read(tmp_path / "j")


@pytest.mark.parametrize("position", range(0, 100, 9))
def test_any_flipped_byte_costs_one_line_at_most(tmp_path, position):
    path = tmp_path / "j"
    write(path, "study_created", "a", "b", "c")
    whole, second = path.read_bytes(), len(path.read_bytes().splitlines(keepends=True)[0])
    flipped = bytearray(whole)
    flipped[second + position % 60] ^= 0x10
    path.write_bytes(flipped)
    assert [event["event"] for event in journal.read(path)] == ["study_created", "b", "c"]


@pytest.mark.parametrize("byte", [b"\r", b"\x0b", b"\x1c", b"\x85"])
def test_only_a_newline_ends_a_line(tmp_path, byte):
    """A damaged line is one line, whatever it looks like now: the numbers of those after it stay right."""
    path = tmp_path / "j"
    write(path, "study_created", "a", "b", "c")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"value", b"va" + byte + b"ue")
    lines[3] = lines[3].replace(b"value", b"Value")
    path.write_bytes(b"".join(lines))
    damaged = []
    assert [event["event"] for event in journal.read(path, damaged=damaged)] == ["study_created", "b"]
    assert damaged == [2, 4]


def test_a_line_longer_than_what_is_read_at_a_time_is_read(tmp_path):
    path = tmp_path / "j"
    log = Journal(path)
    log.append("study_created")
    log.append("a", text="x" * 100_000)
    log.append("b")
    log.close()
    tail, seen = Tail(path), []
    while events := tail.read(limit=1000)[0]:
        seen += [event["event"] for event in events]
    assert (seen, tail.offset) == (["study_created", "a", "b"], path.stat().st_size)
