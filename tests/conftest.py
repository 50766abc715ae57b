"""Small real data and spaces for all tests."""

import gc
import json
import os
import shutil
import signal
import sys
import textwrap
import threading

import pytest

from hpsearch.cli import main
from hpsearch.views.mlflow.store import Store
from tests import warm
from tests.browser import browser, browser_page  # noqa: F401  (fixtures)

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the machine is shared with workers
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # without a network its library tries for 24 s to reach the hub

os.environ.pop("COLUMNS", None)  # it may be set in the workers of xdist, and piped tables have its width

# Each process that a test starts would compile the package again, half a second in all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A picture takes longer than all else that is shipped of a short study: tests that look at one set this.
Store.draws = False

# Drivers in this process get forked shipping processes: a fresh one takes three seconds to import MLflow.
warm.serve_shipping()

# Short studies wait for the disk more than for the processor, because each line is synced: temporary folders are in
# memory where there is room. (xdist's workers get their folders from the first process.)
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

# What starts the tests in the background (nohup, `&`) may have them ignore these, and all that they start with them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


# Folders of long files, which come first, so that all processes end together; the first is one long piece of work.
LONG = ["cli", "faults", "launchers", "trainers", "views", "api", "training", "policies"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: _place(item.nodeid.split("/")[1]))


def _place(folder):
    """The place of a folder of tests in the order."""
    return LONG.index(folder) if folder in LONG else len(LONG)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The tests of a file run in one process, which shares their fixtures; so do all those of tests/cli (`story`)."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "tests/cli" if file.startswith("tests/cli/") else file

    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="module")
def what_is_imported_is_no_garbage():
    """Sets aside what is there: else each collection, after a trial in this process, looks through it for a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_line_is_drawn_any_more():
    """No thread of a display outlives its test, else it prints in the middle of another one."""
    before = threading.enumerate()
    yield
    new = [one for one in threading.enumerate() if one.name == "lines" and one not in before]
    for one in new:
        one.join(10)  # it was told to end just now
    assert not any(one.is_alive() for one in new)


@pytest.fixture
def corpus_files(tmp_path):
    """A folder with a text of three splits, forty translation pairs and forty labelled sentences."""
    folder = tmp_path / "data"
    folder.mkdir()
    text = "the cat sat on a mat and saw one small dog run over green hills"
    words = text.split()
    for part, n in {"train": 400, "valid": 60, "test": 60}.items():
        text = " ".join(words[(i * i + len(part)) % len(words)] for i in range(n))
        (folder / f"{part}.txt").write_text(text)
    pairs = [{"en": f"number {i} is {a}", "fr": f"le nombre {i} est {b}"} for i in range(20) for a, b in COLOURS]
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(pair) for pair in pairs))
    rows = [
        f"it is {a} today {i}\t{'warm' if a in ('red', 'yellow') else 'cold'}" for i in range(20) for a, _ in COLOURS
    ]
    (folder / "moods.tsv").write_text("sentence\tmood\n" + "\n".join(rows) + "\n")
    return folder


COLOURS = [("red", "rouge"), ("blue", "bleu"), ("green", "vert"), ("yellow", "jaune")]


@pytest.fixture
def space_file(tmp_path, corpus_files):
    """Writes a space file: the lines given, over a text set."""

    def write(body="", *, name="space.yaml", data=None):
        data = (
            data or "{text: {task: text, files: {train: data/train.txt, valid: data/valid.txt, test: data/test.txt}}}"
        )
        path = tmp_path / name
        path.write_text(f"data: {data}\n" + textwrap.dedent(body))
        return path

    return write


@pytest.fixture
def call(capsys):
    """Runs a command in this process; gives exit code, stdout and stderr."""

    def run(*arguments):
        before = os.umask(0o022)
        try:
            with pytest.raises(SystemExit) as left:
                main([str(argument) for argument in arguments])
        finally:
            os.umask(before)
        code = left.value.code
        return (0 if code is None else code, *capsys.readouterr())

    return run


TOY_SPACE = """
study: toy
budget: {trials: 6}
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  epochs: {low: 1, high: 12}
trainer: "python:hpsearch.testing.toy:Toy"
"""
