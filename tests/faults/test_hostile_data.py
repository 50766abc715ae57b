"""F48: data files that are not what they should be: one line that says where and what, exit 2, before any trial."""

import gzip
import json
import os
import subprocess
import sys
import zlib

import pytest

from hpsearch.data import sources
from hpsearch.space.experiment import Experiment
from tests import blank
from tests.cli.processes import environment, hpsearch
from tests.faults.test_input import run_limited, without_root

TRIALS = "\nbudget: {trials: 1}\nsearch: {pruner: none}\ntraining: {epochs: {low: 1, high: 2}}\n"
SMALL = "model: {n_layers: 1, width: 16, n_heads: 2, context: 32}\ntokenizer: {kind: bytes}\n"  # trains in a second
TASKS = {
    "txt": "{task: text, files: {train: FILE}}",
    "csv": "{task: text, files: {train: FILE}}",
    "jsonl": "{task: translation, files: {train: FILE}}",
    "tsv": "{task: classification, files: {train: FILE}}",
}
HEADERS = {"csv": b"text,note\n", "jsonl": b"", "tsv": b"text\tlabel\n"}


def good(kind, n=40):
    """A file of this kind with n examples that is as it should be."""
    rows = {
        "txt": lambda i: f"paragraph {i} has some words\n\n",
        "csv": lambda i: f'"row {i}, it has some words",x\n',
        "jsonl": lambda i: json.dumps({"source": f"number {i}", "target": f"nombre {i}"}) + "\n",
        "tsv": lambda i: f"some words {i}\t{'ab'[i % 2]}\n",
    }
    return HEADERS.get(kind, b"") + "".join(rows[kind](i) for i in range(n)).encode()


def space(folder, kind, name=None):
    path = folder / "space.yaml"
    path.write_text(f"data: {{mine: {TASKS[kind].replace('FILE', name or f'd.{kind}')}}}{TRIALS}")
    return path


def run(call, folder, kind, name=None):
    """Runs `hpsearch run` on the file; returns exit code, stdout and stderr."""
    return call("run", space(folder, kind, name), "--home", folder / "home", "--launcher", "inline")


def refused(result, folder, begins, words):
    """One line, exit 2, and no study was begun."""
    code, out, err = result
    assert (code, out.strip(), err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"error: {folder / begins}"), err
    assert words in err
    assert err.strip().isprintable()
    assert not list(folder.glob("home/*/journal.jsonl"))


ALL = tuple(TASKS)
FUNCTION = 'other content can be read by a function: dataset: "python:module:function"\n'
TABLES = ("csv", "jsonl", "tsv")
HERE = "space.yaml:1:14: data.mine: "  # the place of the set, for errors without a line of their own

# name -> (kinds, content from a good file, how the line begins ({n} the last line's number, {kind}), words)
WRONG = {
    "empty": (ALL, lambda g: b"", HERE, "d.{kind}: the file is empty"),
    "blank lines": (("txt",), lambda g: b"\n\n \n", HERE, "the file holds no text"),
    "blank rows": (TABLES, lambda g: b"\n\n\n", HERE, "d.{kind}: no examples"),
    "header only": (("csv", "tsv"), lambda g: g.split(b"\n")[0] + b"\n", HERE, "no examples (a header alone"),
    "one line": (("txt",), lambda g: g.split(b"\n")[0], HERE, "1 different examples are too few to cut"),
    "one row": (("jsonl",), lambda g: g.split(b"\n")[0], HERE, "1 different examples are too few to cut"),
    "one row behind a header": (
        ("csv", "tsv"),
        lambda g: b"\n".join(g.split(b"\n")[:2]),
        HERE,
        "1 different examples are too few to cut test and valid from",
    ),
    "not UTF-8": (ALL, lambda g: g + b"caf\xe9", "d.{kind}:{n}: ", "byte 4 of the line is not UTF-8"),
    "half of UTF-16": (ALL, lambda g: g.decode().encode("utf-16")[:-1], "d.{kind}:", "not utf-16 from here on"),
    "NUL": (ALL, lambda g: g + b"a\0b", "d.{kind}:{n}: ", "a NUL byte, UTF-8 text is expected"),
    "binary": (ALL, lambda g: bytes(range(256)) * 9, "d.{kind}:1: ", "a NUL byte, UTF-8 text is expected"),
    "missing column": (("csv", "tsv"), lambda g: g.replace(b"text", b"txet", 1), HERE, "no column 'text' for text"),
    "hostile columns": (
        ("csv", "tsv"),
        lambda g: g.replace(b"text", b"\x1b]0;owned\x07", 1),
        HERE,
        r"there are: \x1b]0;owned\x07, ",
    ),
    "missing key": (("jsonl",), lambda g: g + b'{"source": "a"}', "d.jsonl:{n}: ", "no column 'target' for target"),
    "column twice": (
        ("csv", "tsv"),
        lambda g: g.replace(g[4:5], g[4:5] + b"text" + g[4:5], 1),
        "d.{kind}:1: ",
        "'text'",
    ),
    "row too long": (("tsv",), lambda g: g + b"a\tb\tc\n", "d.tsv:{n}: ", "3 fields, the header has 2 (text, label)"),
    "row too short": (("csv",), lambda g: g + b"a\n", "d.csv:{n}: ", "1 fields, the header has 2 (text, note)"),
    "open quote": (("csv",), lambda g: g + b'"a,b\n', "d.csv:{n}: ", "opens in this row is never closed"),
    "empty text": (("tsv",), lambda g: g + b" \ta\n", "d.tsv:{n}: ", "the text is empty"),
    "empty label": (("tsv",), lambda g: g + b"a\t\n", "d.tsv:{n}: ", "the label is empty"),
    "empty side": (("jsonl",), lambda g: g + b'{"source": "", "target": "b"}', "d.jsonl:{n}: ", "the source is empty"),
    "null": (("jsonl",), lambda g: g + b'{"source": "a", "target": null}', "d.jsonl:{n}: ", "the target is missing"),
    "a list": (("jsonl",), lambda g: g + b'{"source": ["a"], "target": "b"}', "d.jsonl:{n}: ", "the source is a list"),
    "not JSON": (("jsonl",), lambda g: g + b"{a: 1}", "d.jsonl:{n}: ", "not JSON (Expecting property name"),
    "NaN": (("jsonl",), lambda g: g + b'{"source": NaN, "target": "b"}', "d.jsonl:{n}: ", "NaN is not a JSON number"),
    "a number of 5000 digits": (
        ("jsonl",),
        lambda g: g + b'{"source": ' + b"9" * 5000 + b"}",
        "d.jsonl:{n}: ",
        "not JSON (Exceeds the limit",
    ),
    "deep JSON": (("jsonl",), lambda g: g + b"[" * 100_000, "d.jsonl:{n}: ", "not JSON (nested too deeply)"),
    "a JSON array": (("jsonl",), lambda g: b"[" + g + b"]", "d.jsonl:1: ", "one object a line is expected"),
    "half a surrogate": (
        ("jsonl",),
        lambda g: g + b'{"source": "\\ud800", "target": "b"}',
        "d.jsonl:{n}: ",
        "half of a surrogate pair",
    ),
    "one class": (("tsv",), lambda g: g.replace(b"\tb\n", b"\ta\n"), HERE, "train has one label only ('a')"),
    "Mac lines": (("csv",), lambda g: g.replace(b"\n", b"\r"), "d.csv:1: ", "wrong csv quoting or line end"),
}
WRONG_OF_KIND = [(name, kind) for name, (kinds, *_) in WRONG.items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), WRONG_OF_KIND, ids=[f"{name}, {kind}" for name, kind in WRONG_OF_KIND])
def test_f48_a_wrong_file_is_refused_with_its_line(call, tmp_path, name, kind):
    _, edit, begins, words = WRONG[name]
    content = edit(good(kind))
    (tmp_path / f"d.{kind}").write_bytes(content)
    n = good(kind).count(b"\n") + 1
    result = run(call, tmp_path, kind)
    refused(result, tmp_path, begins.format(kind=kind, n=n), words.replace("{kind}", kind))


# ------------------------------------------------------------------------------------------------------ what is no file


def fifo(path):
    os.mkfifo(path)


def loop(path):
    path.symlink_to(path)


def cut_short(path):
    packed = gzip.compress(good("tsv", 400))
    path.write_bytes(packed[: len(packed) // 2])


def bomb(path):
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        for _ in range(64):
            file.write(packer.compress(b"a" * (1 << 20)))
        file.write(packer.flush())


NO_FILES = {
    "a folder": ("d.txt", lambda path: path.mkdir(), "d.txt: is a folder, a data file is expected"),
    "a FIFO": ("d.txt", fifo, "d.txt: is not a regular file"),
    "an endless device": ("d.tsv", lambda path: path.symlink_to("/dev/zero"), "d.tsv: is not a regular file"),
    "a symlink loop": ("d.csv", loop, "d.csv: is a link to nothing or to itself"),
    "a link to nothing": ("d.csv", lambda path: path.symlink_to("gone"), "d.csv: is a link to nothing or to itself"),
    "nothing": ("d.jsonl", lambda path: None, "d.jsonl: no such file"),
    "a name of 600 characters": ("x" * 600 + ".txt", lambda path: None, "cannot be read (File name too long)"),
    "a spreadsheet": ("d.xlsx", lambda path: path.write_bytes(b"PK\3\4"), "unknown ending '.xlsx', allowed: .txt"),
    "no parquet": ("d.parquet", lambda path: path.write_bytes(b"PAR1 PAR1"), "d.parquet: not a parquet file"),
    "no gz": ("d.tsv.gz", lambda path: path.write_bytes(good("tsv")), "d.tsv.gz: not a whole .gz file"),
    "half a gz": ("d.tsv.gz", cut_short, "d.tsv.gz: not a whole .gz file"),
    "a gz bomb": ("d.tsv.gz", bomb, "d.tsv.gz: unpacks to more than 200 times its size, which text does not"),
    "a gz bomb of text": ("d.txt.gz", bomb, "d.txt.gz: unpacks to more than 200 times its size"),
}


@pytest.mark.parametrize(("name", "make", "words"), NO_FILES.values(), ids=NO_FILES)
def test_f48_what_is_no_data_file_is_refused_with_the_place_of_its_set(call, tmp_path, name, make, words):
    make(tmp_path / name)
    kind = "tsv" if ".tsv" in name else "txt"
    refused(run(call, tmp_path, kind, name), tmp_path, HERE, words)


def test_f48_label_in_test_alone_is_refused(call, tmp_path):
    (tmp_path / "train.tsv").write_bytes(good("tsv"))
    (tmp_path / "test.tsv").write_bytes(b"text\tlabel\nnew\t\x1b[31mred\nold\ta\n")
    files = "{task: classification, files: {train: train.tsv, valid: train.tsv, test: test.tsv}}"
    (tmp_path / "space.yaml").write_text(f"data: {{mine: {files}}}{TRIALS}")
    result = call("run", tmp_path / "space.yaml", "--home", tmp_path / "home", "--launcher", "inline")
    refused(result, tmp_path, HERE, r"label '\x1b[31mred' is in test but not in train")


# ----------------------------------------------------------------------------------------------- what is allowed to be

FINE = {
    "CRLF": (ALL, lambda g: g.replace(b"\n", b"\r\n")),
    "UTF-16": (ALL, lambda g: g.decode().encode("utf-16")),
    "UTF-16 without a mark": (ALL, lambda g: g.decode().encode("utf-16-be")),
    "BOM": (ALL, lambda g: b"\xef\xbb\xbf" + g),
    "no last line end": (ALL, lambda g: g.rstrip(b"\n")),
    "blank lines at the end": (TABLES, lambda g: g + b"\n\n"),
}
FINE_OF_KIND = [(name, kind) for name, (kinds, _) in FINE.items() for kind in kinds]


def splits_of(folder, kind, content):
    (folder / f"d.{kind}").write_bytes(content)
    data_set = Experiment.load(space(folder, kind)).settings.data["mine"]
    return sources.load("mine", data_set, cache=None, base=folder)


@pytest.mark.parametrize(("name", "kind"), FINE_OF_KIND, ids=[f"{name}, {kind}" for name, kind in FINE_OF_KIND])
def test_f48_what_editors_add_changes_no_example(tmp_path, name, kind):
    _, edit = FINE[name]
    assert splits_of(tmp_path, kind, edit(good(kind))) == splits_of(tmp_path, kind, good(kind))


def test_f48_with_windows_lines_and_marks_a_study_runs(call, tmp_path):
    for kind in ALL:
        (tmp_path / f"d.{kind}").write_bytes(b"\xef\xbb\xbf" + good(kind).replace(b"\n", b"\r\n"))
    sets = ", ".join(f"{kind}: {task.replace('FILE', f'd.{kind}')}" for kind, task in TASKS.items())
    (tmp_path / "space.yaml").write_text(f"data: {{{sets}}}{TRIALS}{SMALL}")
    blank.home(tmp_path / "home")
    code, out, err = call("run", tmp_path / "space.yaml", "--home", tmp_path / "home", "--launcher", "inline")
    assert (code, err) == (0, "")
    assert "trial 0 finished" in out


def test_f48_repeated_examples_stay_on_one_side_and_are_told(tmp_path):
    content = good("tsv", 60) + b"".join(b"some words %d\t%c\n" % (i, b"ab"[i % 2]) for i in range(0, 60, 3))
    splits = splits_of(tmp_path, "tsv", content)
    sides = [{example["text"] for example in part} for part in splits.parts().values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 60
    assert any("examples repeat another" in line for line in sources.warnings("mine", splits))


# --------------------------------------------------------------------------------------------------------- in a process

MEASURED = """
import atexit, re, sys
codes = []
def report():
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
    read = int(re.search(r"rchar: (\\d+)", open("/proc/self/io").read())[1])
    open("measured.json", "w").write(f"[{codes}, {peak}, {read}]")
atexit.register(report)
from hpsearch.cli import main
for space in sys.argv[1:]:
    try:
        main(["run", space, "--home", "home", "--launcher", "inline"])
    except SystemExit as end:
        codes.append(end.code)
"""


def measured(folder, *kinds):
    """Runs a real command on each file, all in one fresh process; returns exit codes, error lines, memory and bytes.

    That is the process's peak memory, and the bytes that it read.
    """
    spaces = [space(folder, kind).rename(folder / f"{kind}.yaml").name for kind in kinds]
    command = [sys.executable, "-c", MEASURED, *spaces]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=6000, check=False
    )
    codes, peak, read = json.loads((folder / "measured.json").read_text())
    return codes, done.stderr.splitlines(), peak, read


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Memory and bytes read of a command that refuses an empty file."""
    if not os.path.exists("/proc/self/io"):
        pytest.skip("reads /proc")
    folder = tmp_path_factory.mktemp("plain")
    (folder / "d.txt").write_bytes(b"")
    _, _, peak, read = measured(folder, "txt")
    return peak, read


def test_f48_a_line_of_1_gb_is_refused_without_reading_it(tmp_path, plain):
    for kind in ALL:
        with (tmp_path / f"d.{kind}").open("wb") as file:
            file.write(b"x" * ((64 << 20) + 2))
            file.truncate(1 << 30)
    codes, lines, peak, read = measured(tmp_path, *ALL)
    assert codes == [2] * len(ALL)
    assert lines == [f"error: d.{kind}:1: a line of more than 64 MiB, break it up" for kind in ALL]
    assert peak - plain[0] < 300 << 20
    assert read - plain[1] < len(ALL) * 70 << 20
    assert not list(tmp_path.glob("home/*/journal.jsonl"))


def test_f48_a_sparse_file_of_1_gb_is_refused_without_reading_it(tmp_path, plain):
    with (tmp_path / "d.txt").open("wb") as file:
        file.truncate(1 << 30)
    codes, lines, peak, read = measured(tmp_path, "txt")
    assert (codes, lines) == ([2], ["error: d.txt:1: a NUL byte, UTF-8 text is expected; " + FUNCTION.strip()])
    assert peak - plain[0] < 300 << 20
    assert read - plain[1] < 70 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_f48_an_unreadable_file_is_refused(tmp_path):
    (tmp_path / "d.tsv").write_bytes(good("tsv"))
    (tmp_path / "d.tsv").chmod(0)
    space(tmp_path, "tsv")
    done = run_limited("run", "space.yaml", "--home", "home", "--launcher", "inline", cwd=tmp_path, before=without_root)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (
        2,
        "",
        f"error: {HERE}d.tsv: cannot be read (Permission denied)\n",
    )


def test_f48_a_real_command_with_workers_refuses_before_any_trial(tmp_path):
    (tmp_path / "d.tsv").write_bytes(good("tsv") + b"a\tb\tc\n")
    space(tmp_path, "tsv")
    done = hpsearch("run", "space.yaml", "--home", "home", "--workers", "2", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (2, "")
    assert done.stderr == "error: d.tsv:42: 3 fields, the header has 2 (text, label)\n"
    assert not (tmp_path / "home" / "space" / "journal.jsonl").exists()
