"""`hpsearch clean`: what can resume, win or be exported stays; the rest goes, with its bytes."""

import os
import time

import hpsearch
from hpsearch import journal
from hpsearch.journal import encode
from hpsearch.journal.study_lock import StudyLock
from hpsearch.outcome import Outcome
from hpsearch.policies.policy import New
from tests.cli.test_run import one_line
from tests.searching import ask, evaluation, experiment, opened

OUTPUT = "output-0001-000000.txt"
FILES = ("best.pt", "last.pt", "previous.pt", "stable-1.pt", OUTPUT, ".last.pt.tmp", "samples.json", "error.txt")


def study_of(folder, outcomes, *, confirmed=None):
    """A study of trials with these outcomes (value 1.0 + number), each with every kind of file in its folder."""
    study = opened(experiment("search: {pruner: none}\n"), folder)
    for number, outcome in enumerate(outcomes):
        assert ask(study) == number
        study.start(number, device="cpu", threads=1, worker=0)
        study.report(number, evaluation(1, 1.0 + number))
        if outcome == "paused":
            study.pause(number, "why", saved=True)
        elif outcome:
            study.finish(number, Outcome(outcome), "why")
    if confirmed is not None:
        for number in (0, confirmed):
            repeat = study.accept(New(study.history.trials[number].params, repeats=number, seed=1000 + number))
            study.start(repeat, device="cpu", threads=1, worker=0)
            study.report(repeat, evaluation(1, 0.5 if number == confirmed else 3.0))
            study.finish(repeat, Outcome.COMPLETED, "why")
    study.journal.close()
    for number in [*range(len(outcomes)), 77, *study.history.repeats]:  # 77: of no trial
        path = folder / "checkpoints" / f"{number:04d}"
        path.mkdir(parents=True)
        for name in FILES:
            (path / name).write_bytes(b"x" * 100)
    (folder / ".journal.jsonl.tmp").write_bytes(b"x" * 1000)
    return study


def left(folder):
    return {
        path.name: sorted(file.name for file in path.iterdir()) for path in sorted((folder / "checkpoints").iterdir())
    }


OPEN = sorted(set(FILES) - {".last.pt.tmp"})
KEPT = ["best.pt", "samples.json"]
OUTCOMES = ["completed", "pruned", "completed", "overfit", "completed", None, "paused", "failed"]


def test_what_can_resume_win_or_be_exported_stays(tmp_path, call):
    study_of(tmp_path / "toy", OUTCOMES)
    before = left(tmp_path / "toy")
    [found] = hpsearch.clean("toy", home=tmp_path, dry_run=True)
    assert left(tmp_path / "toy") == before
    assert hpsearch.clean("toy", home=tmp_path) == (found,)
    assert left(tmp_path / "toy") == {
        "0000": KEPT, "0002": KEPT, "0003": KEPT,  # a confirmation may make any of the three best the winner
        "0005": OPEN, "0006": OPEN, "0007": ["error.txt"],
    }  # fmt: skip
    # three whole folders of 800, six files each of three ended trials, seven of the failed one, two half-written ones
    assert found.bytes == 3 * 800 + 3 * 600 + 700 + 2 * 100 + 1000
    assert not (tmp_path / "toy" / ".journal.jsonl.tmp").exists()
    assert hpsearch.clean("toy", home=tmp_path)[0].paths == ()
    assert call("show", "toy", "--home", tmp_path)[0] == 0


def test_once_fresh_seeds_have_decided_only_the_winner_and_the_cheapest_stay(tmp_path):
    study = study_of(tmp_path / "toy", ["completed", "completed", "completed"], confirmed=2)
    assert hpsearch.load("toy", home=tmp_path).best.number == 2
    assert hpsearch.clean("toy", home=tmp_path)[0].bytes > 0
    assert left(tmp_path / "toy") == {"0002": KEPT}
    assert sorted(study.history.repeats) == [1_000_000, 1_000_001]


def test_tokenised_data_that_no_study_uses_go_and_what_is_new_stays(tmp_path, call):
    study_of(tmp_path / "toy", ["completed"])
    used = journal.read(tmp_path / "toy" / "journal.jsonl")[0]["data"]["fingerprint"][:24]
    old, new = "a" * 24, "b" * 24
    for name in (used, old, new, "of-somebody-else", f".new-{old}-x"):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "corpus.json").write_text("{}")
        os.utime(tmp_path / "cache" / name, (time.time() - 7200,) * 2)
    os.utime(tmp_path / "cache" / new)
    code, out, err = call("clean", "--yes", "--home", tmp_path)
    assert (code, err) == (0, "")
    assert "tokenised data that no study uses: 4 B in 2 files or folders\n" in out
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted([used, new, "of-somebody-else"])


def test_data_of_a_searched_tokenizer_are_known_by_its_trials(tmp_path, monkeypatch):
    from hpsearch.data.corpus import fingerprint
    from hpsearch.home.caches import used

    study = study_of(tmp_path / "toy", ["completed", "completed"])
    history = study.history
    sets = {"text": "c" * 64}
    origin = {
        **history.origin.to_dict(),
        "identity": {"tokenizer": {"kind": "bpe", "vocab_size": {"low": 9, "high": 10}}},
    }
    history.origin = type(history.origin).from_dict({**origin, "data": {"fingerprint": "f" * 64, "contents": sets}})
    for number, size in enumerate((9, 10)):
        history.trials[number].config["tokenizer"] = {"kind": "bpe", "vocab_size": size}
    names = {fingerprint(sets, "bpe", vocab_size=size)[:24] for size in (9, 10)}
    assert used(history) == names | {"f" * 24}
    history.trials[0].config["tokenizer"] = {"kind": "file", "file": "t.json"}
    assert used(history) is None


def test_a_running_study_and_its_data_are_not_touched(tmp_path, call):
    study_of(tmp_path / "toy", OUTCOMES)
    (tmp_path / "opening").mkdir()
    (tmp_path / "cache" / ("a" * 24)).mkdir(parents=True)
    (tmp_path / "cache" / ("a" * 24) / "corpus.json").write_text("{}")
    os.utime(tmp_path / "cache" / ("a" * 24), (1, 1))
    locks = [StudyLock(tmp_path / name / "lock", what=f"study '{name}'") for name in ("toy", "opening")]
    before = left(tmp_path / "toy")
    try:
        code, out, _ = call("clean", "--yes", "--home", tmp_path)
    finally:
        for lock in locks:
            lock.release()
    assert (code, left(tmp_path / "toy")) == (0, before)
    assert "study 'toy': study 'toy' is being run by pid" in out
    assert (tmp_path / "cache" / ("a" * 24)).exists()


def test_it_asks_and_a_dry_run_names_each_file(tmp_path, call):
    study_of(tmp_path / "toy", OUTCOMES)
    before = left(tmp_path / "toy")
    one_line(call("clean", "--home", tmp_path), 2, r"standard input is no terminal.*--yes deletes without asking")
    code, out, err = call("clean", "--dry-run", "--home", tmp_path)
    assert (code, err) == (0, "")
    assert f"  {tmp_path / 'toy' / 'checkpoints' / '0001'}\n" in out
    assert left(tmp_path / "toy") == before
    one_line(call("clean", "toi", "--yes", "--home", tmp_path), 2, r"no study 'toi' in .*; did you mean toy\?")


def test_a_damaged_journal_keeps_all_tokenised_data(tmp_path, call):
    study_of(tmp_path / "toy", ["completed"])
    events = journal.read(tmp_path / "toy" / "journal.jsonl")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "journal.jsonl").write_bytes(b"hello\n" + encode(events[-1])[:-3] + b"\n")
    (tmp_path / "cache" / ("a" * 24)).mkdir(parents=True)
    (tmp_path / "cache" / ("a" * 24) / "corpus.json").write_text("{}")
    os.utime(tmp_path / "cache" / ("a" * 24), (1, 1))
    code, _, err = call("clean", "--yes", "--home", tmp_path)
    assert (tmp_path / "cache" / ("a" * 24)).exists()
    assert code == 0, err


def test_what_cannot_be_deleted_is_one_line(tmp_path, call, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    study_of(tmp_path / "toy", OUTCOMES)
    monkeypatch.setattr("hpsearch.home.cleaning.shutil.rmtree", refused)
    result = call("clean", "toy", "--yes", "--home", tmp_path)
    one_line(result, 74, r"checkpoints/0001: cannot be deleted: Permission denied$")
