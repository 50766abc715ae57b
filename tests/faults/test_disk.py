"""F6, F22 to F25, F28, F29: full, closed and stumbling disks, power cuts, damaged checkpoints and journals."""

import ctypes
import os
import shutil
import signal
import subprocess
import time

import pytest
import torch

from hpsearch import journal
from hpsearch.errors import CheckpointDamaged, StorageFailed
from hpsearch.journal import writer
from hpsearch.storage import disk_space
from hpsearch.training import checkpoint
from tests import blank
from tests.cli.processes import PROGRAM, environment, wait_for
from tests.faults import power
from tests.faults.checker import check, litter
from tests.faults.runs import evaluated, facts, folder, history, values
from tests.searching import experiment, go

RUN = ("run", "space.yaml", "--home", "home")
STEPS = {"TOY_STEP": "0.005", "TOY_CHECKPOINT": "20"}


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The trials of the study when nothing disturbs it."""
    cwd = folder(tmp_path_factory.mktemp("undisturbed") / "run")
    assert zygote.run(cwd, *RUN, "--launcher", "inline").code == 0
    return facts(cwd)


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system of 12 MB; skips where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=12m", "none", place], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """Fills the disk; returns the file that fills it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler


# ----------------------------------------------------------------------------------------------------------- full disks


def test_a_full_disk_is_waited_for(zygote, disk):
    """F22, F23: full half-way: one message for checkpoints, one for the journal; with room, everything resumes."""
    cwd = folder(disk / "run", trials=6, times=20)
    zygote.start(cwd, *RUN, "--workers", "2", TOY_HISTORY=str(cwd.parent.parent / "acknowledged.jsonl"), **STEPS)
    wait_for(lambda: evaluated(cwd, 5))
    filler = fill(disk)
    wait_for(lambda: "waiting up to 60 s for space" in zygote.output.read_text())
    time.sleep(0.5)
    before = len(journal.read(cwd / "home/toy/journal.jsonl"))  # the last good state stays
    filler.unlink()
    began = time.monotonic()
    wait_for(lambda: len(journal.read(cwd / "home/toy/journal.jsonl")) > before + 3)
    print(f"resumed {time.monotonic() - began:.2f} s after there was space again")
    done = zygote.wait()
    assert done.code == 0, done.said
    assert done.said.count("nothing can be saved in") == 1
    assert done.said.count("cannot be written (No space left on device); trying again") <= 1
    shutil.copy(cwd.parent.parent / "acknowledged.jsonl", cwd / "acknowledged.jsonl")
    assert not (found := check(cwd, said=done.said, views=False)), found


def test_a_disk_that_stays_full_ends_the_run_cleanly(disk, monkeypatch):
    """F22, F23: exit code 74, the reason and how to resume; finished trials stay finished."""
    monkeypatch.setattr(disk_space, "PATIENCE", 1.0)
    monkeypatch.setattr(writer, "PATIENCE", 1.0)
    monkeypatch.setenv("TOY_CHECKPOINT", "10")
    wanted = experiment("budget: {trials: 4}\nsearch: {sampler: random, pruner: none, overfitting: false}\n")
    undisturbed, _ = go(wanted, disk / "undisturbed")
    study, _ = go(wanted, disk / "home", kill_after=30)
    before = [values(trial) for trial in study.history.trials.values()]
    filler = fill(disk)
    with pytest.raises(StorageFailed, match="No space left on device"):
        go(wanted, disk / "home")
    filler.unlink()
    study, _ = go(wanted, disk / "home")
    for was, is_now in zip(before, study.history.trials.values(), strict=False):
        assert was.items() <= values(is_now).items()
    assert [(t.value, values(t)) for t in study.history.trials.values()] == [
        (t.value, values(t)) for t in undisturbed.history.trials.values()
    ]
    assert list((disk / "home").rglob("*.tmp")) == []


def test_a_full_disk_at_the_start_is_one_line(disk):
    """F22: nothing can be begun: exit code 74 or 2, one line with the place."""
    cwd = folder(disk / "run", trials=2)
    fill(disk)
    process = subprocess.run(
        [*PROGRAM, *RUN], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=6000, check=False
    )
    assert process.returncode == 74, process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert "No space left on device" in process.stderr


# --------------------------------------------------------------------------------------------------------- closed disks


def bound_by_modes():
    """Makes a process respect file modes even if it is root's: drops the capability to pass over them."""
    pr_capbset_drop, cap_dac_override = 24, 1
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override)


def test_a_read_only_home_is_refused_at_once(tmp_path):
    """F24: at the start: one line naming the path, exit 2, no file made."""
    cwd = folder(tmp_path / "run", trials=2)
    (cwd / "home").mkdir(mode=0o500)
    process = subprocess.run(
        [*PROGRAM, *RUN],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=bound_by_modes,
    )
    assert (process.returncode, process.stderr) == (2, "error: home home: cannot write there\n")
    assert list((cwd / "home").iterdir()) == []


def closed_half_way(cwd, **extra):
    """A run that can no longer write to the folders of its checkpoints; returns the process and the folders."""
    blank.home(cwd / "home")
    process = subprocess.Popen(
        [*PROGRAM, *RUN, "--workers", "1"],
        cwd=cwd,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=bound_by_modes,
    )
    wait_for(lambda: evaluated(cwd, 5))
    checkpoints = cwd / "home/toy/checkpoints"
    closed = [checkpoints, *checkpoints.iterdir()]
    for place in closed:
        place.chmod(0o500)
    return process, closed


def test_a_stop_that_could_not_save_a_trial_says_so(tmp_path):
    cwd = folder(tmp_path / "run", trials=3, times=20)
    process, closed = closed_half_way(cwd, TOY_STEP="0.05", TOY_CHECKPOINT="100000")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=600)[0]
    for place in closed:
        place.chmod(0o700)
    assert process.returncode == 130, said
    assert (
        "stopped; trial 0: resumes from the last checkpoint; everything else is saved. Resume with: hpsearch run"
        in said
    )


def test_a_folder_closed_half_way_is_waited_for(tmp_path):
    """F24: the checkpoints' folder becomes read-only, and is opened again."""
    cwd = folder(tmp_path / "run", trials=3, times=20)
    process, closed = closed_half_way(cwd, **STEPS)
    said = ""
    while "waiting up to" not in said:
        said += process.stdout.readline()
    time.sleep(0.5)
    for place in closed:
        if place.exists():
            place.chmod(0o700)
    said += process.communicate(timeout=600)[0]
    assert process.returncode == 0, said
    assert "there is space again; the search resumes" in said
    assert not (found := check(cwd, said=said, views=False)), found


# ----------------------------------------------------------------------------------------------------------- power cuts


CUTS, MORE = (1, 3, 8), (1, 2, 3, 5, 8, 12, 17, 23)  # passes


@pytest.mark.parametrize("passes", [CUTS, pytest.param(MORE, marks=pytest.mark.slow)], ids=["some", "more"])
@pytest.mark.parametrize("point", ["journal_written", "journal_synced", "file_written", "file_renamed", "tell_begun"])
def test_a_power_cut_takes_nothing_that_was_finished(zygote, tmp_path, undisturbed, point, passes):
    """F6: all that was not synced is gone; what was said to be finished is there, and the rest comes to the same."""
    cuts = 0
    for k in passes:
        cwd, shadow = folder(tmp_path / str(k)), tmp_path / f"shadow-{k}"
        options = {"TOY_CHECKPOINT": "30", "POWER_SHADOW": str(shadow)}
        first = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=f"{point}:{k}", **options)
        if first.code == 0:
            break
        power.cut(cwd / "home", shadow)
        again = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="", POWER_SHADOW="")
        assert again.code == 0, again.said
        assert facts(cwd) == undisturbed
        assert not (found := check(cwd, said=first.said + again.said, views=False)), found
        cuts += 1
    assert cuts


# -------------------------------------------------------------------------------------------------------- damaged files

DAMAGES = {
    "truncated to 0": lambda data: b"",
    "truncated to 1": lambda data: data[:1],
    "truncated to half": lambda data: data[: len(data) // 2],
    "1 byte short": lambda data: data[:-1],
    "100 bytes short": lambda data: data[:-100],
    "1 flipped bit": lambda data: data[:9000] + bytes([data[9000] ^ 4]) + data[9001:],
    "a block of zeros": lambda data: data[:512] + bytes(512) + data[1024:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_noticed_before_it_is_used(tmp_path, damage, caplog):
    """F28: 7 of 7 noticed, the one before is used, and the warning names the file."""
    last, previous = tmp_path / "last.pt", tmp_path / "previous.pt"
    for step in (1, 2):
        checkpoint.save(last, {"weights": torch.full((5000,), step), "step": step}, config_hash="x", previous=previous)
    last.write_bytes(DAMAGES[damage](last.read_bytes()))
    with pytest.raises(CheckpointDamaged):
        checkpoint.load(last, config_hash="x")
    assert checkpoint.load_newest([last, previous], config_hash="x")["step"] == 1
    assert str(last) in caplog.text


@pytest.mark.parametrize("cut", [1, 2, 7, 20, 40])
def test_a_torn_journal_goes_on(zygote, tmp_path, undisturbed, cut):
    """F29: the last bytes of the journal are missing: the study comes to what it would have come to."""
    cwd = folder(tmp_path / "torn")
    zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="report_done:7")
    path = cwd / "home/toy/journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="")
    assert done.code == 0, done.said
    assert facts(cwd) == undisturbed


def test_any_one_damaged_line_costs_at_most_what_it_alone_said(zygote, tmp_path):
    """F29: each line of a half-done study's journal damaged in turn: counted, named, and the rest is used."""
    start = folder(tmp_path / "start", trials=4)
    zygote.run(start, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="report_done:11", TOY_CHECKPOINT="10")
    before = history(start)
    lines = (start / "home/toy/journal.jsonl").read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        cwd = tmp_path / str(number)
        shutil.copytree(start, cwd)
        damaged = [*lines[: number - 1], line[:10] + b"#" + line[11:], *lines[number:]]
        (cwd / "home/toy/journal.jsonl").write_bytes(b"".join(damaged))
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="")
        assert done.code == 0, (number, done.said)
        assert f"damaged lines were skipped ({number}; 1 in all)" in done.said
        after = history(cwd)
        assert len(after.finished) == 4
        for trial in before.trials.values():
            again = after.trials[trial.number]
            assert again.params == trial.params
            if trial.outcome is not None:
                assert (again.outcome, again.value) == (trial.outcome, trial.value), (number, line)
            missing = set(trial.evaluations) - set(again.evaluations)
            assert len(missing) <= (b'"evaluation"' in line), (number, line)
        assert litter(cwd / "home/toy", after) == []


def test_lines_of_a_second_writer_change_nothing(zygote, tmp_path, undisturbed):
    """F29: lines that stand twice, or between others, are taken once."""
    cwd = folder(tmp_path / "run")
    zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="report_done:7")
    path = cwd / "home/toy/journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, *lines[2:6], b"\x00\xff garbage\n"]))
    done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="")
    assert done.code == 0, done.said
    assert [(n, outcome, value) for n, _, outcome, _, value, *_ in facts(cwd)] == [
        (n, outcome, value) for n, _, outcome, _, value, *_ in undisturbed
    ]
