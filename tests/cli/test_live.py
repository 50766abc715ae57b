"""The live view in a pseudo-terminal: a small search at 80 and 200 columns, its screens compared as text."""

import re

import pytest
from rich.cells import cell_len

from tests import blank
from tests.cli.folders import small
from tests.cli.screens import Screen

BAR = r"[━╸─]+"
CONFIG = "learning_rate=0.003 epochs=5.5"
MIDWAY = r"[2-9]\d%"  # most of a trial, whose line a person sees move


@pytest.fixture
def folder(tmp_path):
    blank.home(tmp_path / "home")
    return small(tmp_path, "little", trials=3)


def run(folder, *more, columns=80, lines=24, step="0.02", **extra):
    arguments = ("run", "space.yaml", "--home", "home", "--workers", "1", *more)
    return Screen(*arguments, cwd=folder, columns=columns, lines=lines, TOY_STEP=step, **extra)


@pytest.mark.parametrize("columns", [80, pytest.param(200, marks=pytest.mark.slow)])
def test_a_search_is_seen_to_move_and_nothing_is_cut_away(folder, columns):
    with run(folder, columns=columns) as screen:
        screen.until(lambda text: re.search(r"importing torch, optuna and mlflow  \d:\d\d", text))
        text = screen.until(lambda text: re.search(rf"^trial 0 .* {MIDWAY} ", text, re.MULTILINE))
        line = next(line for line in text.splitlines() if re.match(rf"trial 0 {BAR}", line))
        assert re.fullmatch(rf"trial 0 {BAR} +\d+% \d\.\d{{4}} [▁-█]+ +\d:\d\d {CONFIG}", line)
        assert re.search(rf"^little  {BAR}  0 of 3 trials  \d+%", text, re.MULTILINE)
        text = screen.until(lambda text: re.search(rf"^trial 1 .* {MIDWAY} ", text, re.MULTILINE))
        assert re.search(
            r"^trial 0 completed  \d\.\d{4} best at epoch \S+, \d+ s  learning_rate=0.003( epochs=5.5)?$",
            text,
            re.MULTILINE,
        )
        assert re.search(rf"^little  {BAR}  1 of 3 trials  \d+%  \d:\d\d left  ends \d\d:\d\d$", text, re.MULTILINE)
        assert re.search(r"^best val/loss \d\.\d{4}  trial 0, the default config", text, re.MULTILINE)
        assert re.search(r"^1 completed · 1 running · [\d.]+ trials/h · [\d.]+k? tokens/s", text, re.MULTILINE)
        if columns == 200:
            screen.process.sendintr()
        assert screen.end() == (130 if columns == 200 else 0)
        everything = screen.everything
    assert max(map(cell_len, everything.splitlines())) <= columns
    assert not re.search(rf"^(little|trial \d) +{BAR}", everything, re.MULTILINE)  # no line of the view is left behind
    if columns == 200:
        return
    assert re.findall(r"^trial (\d) completed", everything, re.MULTILINE) == ["0", "1", "2"]
    table = re.search(r"^┃ trial ┃ val/loss ┃ epoch ┃ outcome +┃ params +┃$", everything, re.MULTILINE)
    assert table is not None
    assert "hpsearch train home/little/best.yaml" in everything


@pytest.mark.slow
def test_in_a_terminal_that_becomes_narrower_nothing_is_left_behind(folder):
    with run(folder, columns=120) as screen:
        screen.until(lambda text: re.search(rf"^trial 0 .* {MIDWAY} ", text, re.MULTILINE))
        screen.resize(60, 12)
        text = screen.until(lambda text: re.search(rf"^trial 1 .* {MIDWAY} ", text, re.MULTILINE))
        assert len(re.findall(rf"^trial 1 {BAR}", text, re.MULTILINE)) == 1
        screen.resize(100, 30)
        screen.until(lambda text: re.search(rf"^trial 2 .* {MIDWAY} ", text, re.MULTILINE))
        screen.process.sendintr()
        assert screen.end() == 130
        everything = screen.everything
    assert "stopped; everything is saved. Resume with: hpsearch run space.yaml --home home" in everything.replace(
        "\n ", ""
    )
