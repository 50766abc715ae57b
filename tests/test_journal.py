"""The journal: what is acknowledged can be read again, damage is noticed, a torn tail is cut off."""

import errno
import json
import math
import os
import random
import stat
import struct
import subprocess
import sys
import time

import pytest

from hpsearch import journal
from hpsearch.errors import HpsearchError, JournalDamaged, StorageFailed, StudyBusy
from hpsearch.journal import Journal, Tail


def write(path, *events):
    log = Journal(path)
    for event in events:
        log.append(event, value=1)
    log.close()


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


def test_a_synced_event_survives_a_kill(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from hpsearch.journal import Journal\n"
        "j = Journal(Path(sys.argv[1])); j.append('study_created'); j.append('trial_asked', trial=7); j.sync()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], cwd=os.getcwd(), check=False)
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", "trial_asked"]


@pytest.mark.parametrize("cut", [1, 2, 12, 30])
def test_a_torn_tail_is_cut_and_the_next_event_follows(tmp_path, cut):
    path = tmp_path / "j"
    write(path, "study_created", "a", "b")
    path.write_bytes(path.read_bytes()[:-cut])
    write(path, "c")
    assert [event["event"] for event in journal.read(path)] == ["study_created", "a", "c"]


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


def test_another_file_is_no_journal(tmp_path):
    (tmp_path / "j").write_text("hello\nworld\n")
    with pytest.raises(JournalDamaged, match="not an hpsearch journal"):
        journal.read(tmp_path / "j")


def test_the_journal_is_private(tmp_path):
    write(tmp_path / "j", "study_created")
    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o600


def test_what_was_appended_is_in_the_file_at_once(tmp_path):
    """Before any sync: a killed process takes nothing along that was answered."""
    code = (
        "import os, signal, sys; from pathlib import Path; from hpsearch import journal\n"
        "os.fdatasync = lambda file: __import__('time').sleep(60)\n"
        "j = journal.Journal(Path(sys.argv[1])); j.append('study_created'); j.append('trial_asked', trial=7)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], cwd=os.getcwd(), check=False)
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", "trial_asked"]


def test_two_processes_cannot_write_one_journal(tmp_path):
    log = Journal(tmp_path / "j")
    with pytest.raises(StudyBusy, match="another process writes this journal"):
        Journal(tmp_path / "j")
    log.close()
    Journal(tmp_path / "j").close()


@pytest.mark.parametrize("kind", ["symlink", "hard link", "folder"])
def test_only_a_file_of_its_own_is_a_journal(tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "j"
    {"symlink": path.symlink_to, "hard link": path.hardlink_to, "folder": lambda _: path.mkdir()}[kind](victim)
    with pytest.raises(HpsearchError, match=str(path)):
        Journal(path)
    assert victim.read_text() == "precious"


def test_times_never_run_backwards(tmp_path, monkeypatch):
    later = time.time() + 3600
    log = Journal(tmp_path / "j", after=later)
    first = log.append("study_created")["time"]
    monkeypatch.setattr(time, "time", lambda: 0.0)  # somebody sets the clock
    second = log.append("a")["time"]
    log.close()
    assert later <= first <= second < later + 60


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
    with pytest.raises(JournalDamaged, match="begins with something else"):
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


def any_value(chance, depth=0):
    """A JSON value by chance, of the kinds that are hard to read back."""
    if depth < 4 and chance.random() < 0.4:
        inner = [any_value(chance, depth + 1) for _ in range(chance.randrange(5))]
        return inner if chance.random() < 0.5 else {any_text(chance): value for value in inner}
    kinds = [
        lambda: struct.unpack("d", chance.randbytes(8))[0],  # any float there is: nan, subnormal, the smallest
        lambda: chance.choice([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 1e23]),
        lambda: chance.randrange(-(10 ** chance.randrange(1, 50)), 10 ** chance.randrange(1, 50)),
        lambda: chance.choice([None, True, False, 0, -1, 2**63, -(2**63) - 1, 2**64]),
        lambda: any_text(chance),
    ]
    return chance.choice(kinds)()


def any_text(chance):
    hard = [
        "points",
        "crc",
        '"',
        ",",
        ":",
        "[",
        "]}",
        "{",
        chr(92),
        "/",
        "\n",
        "\r",
        "\0",
        "\u2028",
        "é",
        "😀",
        ' ,"points":[',
        "NaN",
    ]
    return "".join(chance.choices(hard, k=chance.randrange(6)))


@pytest.mark.parametrize("seed", range(10))
def test_what_is_read_is_what_python_reads(seed):
    """The journal's parser is not Python's: they must agree on all that can be in a line, to the last bit."""
    chance = random.Random(seed)
    for _ in range(500):
        event = {"time": chance.random() * 2e9, "event": any_text(chance), "value": any_value(chance)}
        line = journal.encode(event)
        python = json.loads(line)
        del python["crc"]
        assert repr(journal.decode(line)) == repr(python) == repr(event)


def test_numbers_are_read_to_the_last_bit():
    chance = random.Random(0)
    numbers = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(100_000)]
    numbers += [chance.gauss(2.0, 1.0) for _ in range(100_000)]
    assert repr(journal.decode(journal.encode({"event": "x", "numbers": numbers}))["numbers"]) == repr(numbers)


def test_an_event_of_many_levels_is_read_as_well():
    deep = {"event": "x", "deep": json.loads("[" * 500 + "]" * 500)}
    assert journal.decode(journal.encode(deep)) == deep


def test_no_flipped_bit_of_a_line_goes_unnoticed():
    line = journal.encode({"time": 1.5, "event": "evaluation", "evaluation": {"points": [{"step": 1}]}})
    for place in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            assert journal.decode(bytes(flipped)) is None
    assert all(journal.decode(line[:end]) is None for end in range(len(line)))
    assert journal.decode(line + line) is None


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


# -------------------------------------------------------------------------------------------------------- full disks


class Disk:
    """A disk that can be full: os.write and os.fdatasync of the journal's file fail as on one."""

    def __init__(self, monkeypatch):
        self.full, self.broken, self.half = False, False, False
        self._write, self._fdatasync = os.write, os.fdatasync
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        monkeypatch.setattr(journal, "AGAIN", 0.01)

    def write(self, file, data):
        if self.half and len(data) > 10:
            self.half, self.full = False, True
            return self._write(file, data[:10])
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(file, data)

    def fdatasync(self, file):
        if self.broken:
            self.broken = False
            raise OSError(errno.EIO, "Input/output error")
        self._fdatasync(file)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.mark.parametrize("fault", ["full", "half", "broken"])
def test_nothing_is_lost_or_doubled_when_a_disk_fails_for_a_while(tmp_path, disk, fault, caplog):
    log = Journal(tmp_path / "j")
    log.append("study_created")
    log.sync()
    setattr(disk, fault, True)
    for name in "abc":
        log.append(name)
    time.sleep(0.05)
    assert all(journal.decode(line + b"\n") for line in (tmp_path / "j").read_bytes().split(b"\n")[:-1])
    disk.full = False
    log.sync()
    log.append("d")
    log.close()
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", *"abcd"]
    said = [record.message for record in caplog.records]
    assert "trying again" in said[0]
    assert "is written again" in said[-1]


def test_a_disk_that_stays_full_is_an_error_and_no_acknowledgement(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(journal, "PATIENCE", 0.05)
    log = Journal(tmp_path / "j")
    log.append("study_created")
    log.sync()
    disk.full = True
    log.append("a")
    with pytest.raises(StorageFailed, match=r"cannot be written \(No space left on device\)"):
        log.sync()
    with pytest.raises(StorageFailed):
        log.append("b")
    log.close()
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created"]
    assert StorageFailed.exit_code == 74
