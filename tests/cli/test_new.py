"""`hpsearch new`: what it prints, asks and writes."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from hpsearch.space.experiment import Experiment
from tests.preflight.draft.files import labelled, rows, sentences


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_it_found_and_the_next_command(here, call):
    labelled(here / "reviews.csv")
    code, out, err = call("new", "reviews.csv")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "reviews: classification, 82 train, 9 valid, 9 test examples"
    assert "reviews: text from text, label from label" in lines
    assert "  hpsearch run space.yaml     search; the same command resumes" in lines
    assert (
        "  hpsearch watch space        the study from another terminal; show, report, export take its name, too"
        in lines
    )
    assert Experiment.load("space.yaml").study == "space"
    code, _, err = call("new", "reviews.csv")
    assert (code, err) == (2, "error: space.yaml exists; --force replaces it, -o writes another file\n")


def test_without_a_terminal_an_ambiguous_file_is_one_line(here, call):
    some = [(text, "abc"[i % 3], "xyz"[i % 2]) for i, text in enumerate(sentences(60))]
    rows(here / "a.csv", ("text", "colour", "size"), *some)
    code, _, err = call("new", "a.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "Candidates: colour, size. Give --label colour" in err
    assert call("new", "a.csv", "--label", "size")[0] == 0
    assert call("new", "a.csv", "--yes", "-o", "other.yaml")[0] == 0


def test_no_files_is_one_line(here, call):
    code, _, err = call("new")
    assert code == 2
    assert err.startswith("error: give the files to train on: a csv")


def test_at_a_terminal_it_asks(here):
    some = [(text, "abc"[i % 3], "xyz"[i % 2]) for i, text in enumerate(sentences(60))]
    rows(here / "a.csv", ("text", "colour", "size"), *some)
    driver, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    command = [sys.executable, "-m", "hpsearch", "new", "a.csv"]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        said, answered, end = "", False, time.monotonic() + 300
        while time.monotonic() < end:
            if select.select([driver], [], [], 1)[0]:
                try:
                    said += os.read(driver, 1 << 16).decode()
                except OSError:  # the terminal is closed
                    break
            if not answered and "Number" in said:
                os.write(driver, b"2\n")
                answered = True
        assert process.wait() == 0, said
    os.close(driver)
    assert "Which column has the labels?" in said
    assert "  1  colour   a, b, c\r\n  2  size     x, y\r\n" in said
    assert "label: size" in (here / "space.yaml").read_text()
    assert all(len(line) <= 80 for line in said.replace("\r", "").split("\n"))
