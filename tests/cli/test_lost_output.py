"""The reader of the output leaves, its disk is full, the terminal is not UTF-8: the search continues."""

import json
import os
import subprocess

import pytest

from hpsearch.home.home import Home, history_of
from tests.cli.processes import PROGRAM, environment, events, hpsearch

SPACE = """
study: moods
budget: {trials: 3}
data: {moods: {task: classification, files: {train: train.tsv, valid: valid.tsv}, text: text, label: label}}
search: {pruner: none}
resources: {launcher: inline}
training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}, epochs: 2}
trainer: "python:hpsearch.testing.toy:Toy"
"""
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A space whose first output is a warning with non-ASCII letters."""
    folder = tmp_path_factory.mktemp("losses")
    (folder / "space.yaml").write_text(SPACE)
    rows = [f"it is {i} today\t{'warm' if i % 2 else 'cold'}" for i in range(20)]
    (folder / "train.tsv").write_text("\n".join(["text\tlabel", *rows, "sit down\tcafé 日本"]) + "\n")
    (folder / "valid.tsv").write_text("text\tlabel\nso hot\twarm\nso cool\tcold\n")
    return folder


@pytest.fixture(scope="module")
def headed(folder):
    """`hpsearch run space.yaml | head -1` on an ASCII terminal: what was read, exit code, stderr."""
    process = subprocess.Popen(
        [*PROGRAM, "run", "space.yaml", "--home", "home"],
        cwd=folder,
        env=environment(PYTHONIOENCODING="ascii"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    line = process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=600)
    return line, process.returncode, err.decode()


def test_a_search_outlives_the_reader_of_its_output(folder, headed):
    line, code, err = headed
    assert line == b"warning: data.moods: label 'caf\\xe9 \\u65e5\\u672c' is not in valid (train has 1)\n"
    assert (code, err) == (0, "standard output: Broken pipe: the search continues; `hpsearch show` lists its trials\n")
    assert events(folder / "home" / "moods" / "journal.jsonl")[-1]["event"] == "study_exported"
    assert len(history_of(Home(folder / "home"), "moods").finished) == 3


@FULL
@pytest.mark.slow
def test_a_search_outlives_a_full_disk_behind_its_output(folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "run", "space.yaml", "--home", "full"],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=600,
            check=False,
        )
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert done.stderr.startswith(b"standard output: No space left on device: the search continues")
    assert len(history_of(Home(folder / "full"), "moods").finished) == 3


@FULL
@pytest.mark.parametrize(("target", "code", "said"), [("/dev/full", 74, "No space left"), ("|true", 0, "")])
def test_lost_output_is_an_error_only_if_the_disk_is_full(folder, headed, target, code, said):
    command = f'exec "$@" {"> " + target if target[0] == "/" else ""}'
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        ["sh", "-c", command, "sh", *PROGRAM, "show", "moods", "--home", "home"],
        cwd=folder,
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
        check=False,
    )
    os.close(write)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == bool(said)
    assert said in done.stderr


def test_json_is_valid_in_every_encoding(folder, headed):
    done = hpsearch("show", "moods", "--json", "--home", "home", cwd=folder, PYTHONIOENCODING="latin-1", fresh=True)
    assert json.loads(done.stdout)["study"] == "moods"


def test_a_table_has_only_characters_of_the_terminals_encoding(folder, headed):
    done = hpsearch("show", "moods", "--home", "home", cwd=folder, PYTHONIOENCODING="latin-1", fresh=True)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "| 0" in done.stdout
