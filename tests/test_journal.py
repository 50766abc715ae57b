"""The journal: what is acknowledged can be read again, damage is noticed, a torn tail is cut off."""

import math
import os
import stat
import subprocess
import sys

import pytest

from hpsearch import journal
from hpsearch.errors import HpsearchError, JournalDamaged
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
    assert tail.damaged == 1


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


def test_a_full_disk_is_an_error_and_no_acknowledgement(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    log = Journal(tmp_path / "j")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file)
    os.close(full)
    log.append("study_created")
    with pytest.raises(HpsearchError, match="No space left"):
        log.sync()
    log.close()
