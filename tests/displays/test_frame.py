"""The live view of fixed states, compared as text, in narrow, wide and short terminals."""

import io
import math
import time
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from hpsearch.displays.bars import ASCII, UNICODE
from hpsearch.displays.frame import Frame, clock, params, quantity, rows, summary
from hpsearch.displays.live.progress import Progress
from hpsearch.displays.live.state import Best, InTraining, LiveState, Memory
from hpsearch.policies.budget.spending import Limit
from hpsearch.search.baselines.baselines import WAITS

AT = 1_000_000.0
FALLING = (6.1, 5.2, 4.9, 4.7, 4.6, 4.55, 4.52, 4.51)


def config(number):
    return {
        "learning_rate": 0.00212345 * number,
        "n_layers": number % 4,
        "dropout": 0.123456,
        "batch_size": 16,
        "epochs": 7.25,
    }


def running(number, **more):
    found = InTraining(
        number, f"trial {number}", config(number), progress=0.4, value=4.51234, curve=FALLING, seconds=64
    )
    return replace(found, tokens_per_second=10_700.0, memory=206_000_000, **more)


def busy():
    """Three trials in training: one resumed, one without a value, one whose latest value is nan."""
    return LiveState(
        "quickstart",
        "val/loss",
        AT,
        progress=Progress("trials", 7, 16, None, 0.46, 760.0),
        best=Best(5, 4.3412, config(5), 9.6, lead=0.521),
        running=(
            running(8, attempt=2),
            InTraining(9, "trial 9", config(9), seconds=3.0),
            replace(running(12), value=math.nan, curve=(6.0, 5.0, math.nan), progress=0.15, seconds=4000.0),
        ),
        ended={"completed": 4, "pruned": 2, "out of memory": 1},
        trials_per_hour=115.2,
        tokens_per_second=21_400.0,
        memory=(Memory(412_000_000), Memory(3_100_000_000, 80_000_000_000, "cuda:0")),
    )


def crowd():
    """64 trials in training."""
    return replace(busy(), running=tuple(running(number) for number in range(64)))


def empty():
    """No trial has begun."""
    return LiveState("new", "val/loss", AT, progress=Progress("trials", 0, 16, None, 0.0), note="opening the study")


def chinese():
    """A study and a choice with wide characters, under a budget of hours."""
    told = Progress("trials", 3, None, Limit("hours", 130.0, 270.0), 130 / 270, 140.0)
    names = {"优化器": "随机梯度下降法与动量以及更多的文字", "rate": 0.1}
    one = replace(running(3), params=names)
    return replace(busy(), study="超参数搜索试验一二三四五六七八九十", progress=told, running=(one,), best=None)


def drawn(state, width, height, *, glyphs=UNICODE, now=AT):
    return "\n".join(line.plain for line in rows(state, Frame(width, height, glyphs, now)))


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


STATES = {
    "busy": busy,
    "crowd": crowd,
    "empty": empty,
    "chinese": chinese,
    "paused": lambda: replace(busy(), phase="paused", running=()),
}
# fmt: off
# ruff: noqa: E501 - lines of a wide terminal
GOLDEN = {
    ("busy", 60, 24): (
        "\n"
        "quickstart  ━━━━━━╸────────  7 of 16 trials  46%  12:40 left\n"
        "best val/loss 4.3412  trial 5, 0.521 better than the default\n"
        "     learning_rate=0.0106 n_layers=1 dropout=0.123\n"
        "4 completed, 2 pruned, 1 out of memory · 3 running\n"
        "trial 8  ━━━─────  40% 4.5123    1:04 attempt 2 n_layers=0\n"
        "trial 9  ────────   0%           0:03 learning_rate=0.0191\n"
        "trial 12 ━───────  15% nan    1:06:40 learning_rate=0.0255"
    ),
    ("busy", 80, 24): (
        "\n"
        "quickstart  ━━━━━━━━━━╸────────────  7 of 16 trials  46%  12:40 left  ends 13:59\n"
        "best val/loss 4.3412  trial 5, 0.521 better than the default\n"
        "     learning_rate=0.0106 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
        "4 completed, 2 pruned, 1 out of memory · 3 running · 115 trials/h\n"
        "trial 8  ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁    1:04 attempt 2 learning_rate=0.017\n"
        "trial 9  ────────────   0%                    0:03 learning_rate=0.0191\n"
        "trial 12 ━╸──────────  15% nan    █▁       1:06:40 learning_rate=0.0255"
    ),
    ("busy", 120, 24): (
        "\n"
        "quickstart  ━━━━━━━━━━━━━━━━━━──────────────────────  7 of 16 trials  46%  12:40 left  ends 13:59\n"
        "best val/loss 4.3412  trial 5, 0.521 better than the default\n"
        "     learning_rate=0.0106 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
        "4 completed, 2 pruned, 1 out of memory · 3 running · 115 trials/h · 21.4k tokens/s · 412 MB memory · cuda:0 3.1 of 80 GB\n"
        "trial 8  ━━━━━━━━────────────  40% 4.5123 █▄▃▂▁▁▁▁                1:04 attempt 2 learning_rate=0.017 n_layers=0\n"
        "trial 9  ────────────────────   0%                                0:03 learning_rate=0.0191 n_layers=1 dropout=0.123\n"
        "trial 12 ━━━─────────────────  15% nan    █▁                   1:06:40 learning_rate=0.0255 n_layers=0 dropout=0.123"
    ),
    ("busy", 200, 24): (
        "\n"
        "quickstart  ━━━━━━━━━━━━━━━━━━──────────────────────  7 of 16 trials  46%  12:40 left  ends 13:59\n"
        "best val/loss 4.3412  trial 5, 0.521 better than the default  learning_rate=0.0106 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
        "4 completed, 2 pruned, 1 out of memory · 3 running · 115 trials/h · 21.4k tokens/s · 412 MB memory · cuda:0 3.1 of 80 GB\n"
        "trial 8  ━━━━━━━━────────────  40% 4.5123 █▄▃▂▁▁▁▁                1:04 attempt 2 learning_rate=0.017 n_layers=0 dropout=0.123 batch_size=16 epochs=7.25\n"
        "trial 9  ────────────────────   0%                                0:03 learning_rate=0.0191 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
        "trial 12 ━━━─────────────────  15% nan    █▁                   1:06:40 learning_rate=0.0255 n_layers=0 dropout=0.123 batch_size=16 epochs=7.25"
    ),
    ("crowd", 80, 12): (
        "quickstart  ━━━━━━━━━━╸────────────  7 of 16 trials  46%  12:40 left  ends 13:59\n"
        "best val/loss 4.3412  trial 5, 0.521 better than the default\n"
        "     learning_rate=0.0106 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
        "4 completed, 2 pruned, 1 out of memory · 64 running · 115 trials/h\n"
        "trial 0 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 learning_rate=0 n_layers=0\n"
        "trial 1 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 learning_rate=0.00212 n_layers=1\n"
        "trial 2 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 learning_rate=0.00425 n_layers=2\n"
        "trial 3 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 learning_rate=0.00637 n_layers=3\n"
        "trial 4 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 learning_rate=0.00849 n_layers=0\n"
        "trial 5 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 learning_rate=0.0106 n_layers=1\n"
        "and 58 more, at 40% on average"
    ),
    ("empty", 80, 24): (
        "\n"
        "new  ────────────────────────────────────────  0 of 16 trials  0%\n"
        "no val/loss measured yet\n"
        "0 running\n"
        "opening the study"
    ),
    ("chinese", 60, 24): (
        "\n"
        "超参数搜索试验一二…  ━━━━╸─────  3 trials, 2:10 of 4:30  48%\n"
        "no val/loss measured yet\n"
        "4 completed, 2 pruned, 1 out of memory · 1 running\n"
        "trial 3 ━━━─────  40% 4.5123 1:04 rate=0.1"
    ),
    ("chinese", 80, 24): (
        "\n"
        "超参数搜索试验 …  ━━━━╸─────  3 trials, 2:10 of 4:30  48%  2:20 left  ends 13:49\n"
        "no val/loss measured yet\n"
        "4 completed, 2 pruned, 1 out of memory · 1 running · 115 trials/h\n"
        "trial 3 ━━━━╸───────  40% 4.5123 █▄▃▂▁▁▁▁ 1:04 优化器=随机梯度下降法与动量以.."
    ),
    ("paused", 80, 24): (
        "\n"
        "quickstart paused  ━━━━━━━━━━━━━━━━━━──────────────────────  7 of 16 trials  46%\n"
        "best val/loss 4.3412  trial 5, 0.521 better than the default\n"
        "     learning_rate=0.0106 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
        "4 completed, 2 pruned, 1 out of memory · 0 running · 115 trials/h\n"
        "paused; the devices are free"
    ),
}
GOLDEN_ASCII = (
    "\n"
    "quickstart  ###########............  7 of 16 trials  46%  12:40 left  ends 13:59\n"
    "best val/loss 4.3412  trial 5, 0.521 better than the default\n"
    "     learning_rate=0.0106 n_layers=1 dropout=0.123 batch_size=16 epochs=7.25\n"
    "4 completed, 2 pruned, 1 out of memory | 3 running | 115 trials/h\n"
    "trial 8  #####.......  40% 4.5123 ^-._____    1:04 attempt 2 learning_rate=0.017\n"
    "trial 9  ............   0%                    0:03 learning_rate=0.0191\n"
    "trial 12 ##..........  15% nan    ^_       1:06:40 learning_rate=0.0255"
)
# fmt: on


@pytest.mark.parametrize(("name", "width", "height"), GOLDEN)
def test_a_state_is_drawn_so(name, width, height):
    assert drawn(STATES[name](), width, height) == GOLDEN[name, width, height]


def test_after_the_last_trial_it_says_what_is_waited_for_and_no_time_left():
    told = Progress("trials", 16, 16, None, 1.0, 0.0)
    waits = replace(busy(), running=(), progress=told, note="measuring the baselines")
    text = drawn(waits, 80, 24)
    assert "16 of 16 trials  100%\n" in text
    assert "left" not in text
    assert text.endswith("measuring the baselines")
    assert "left" in drawn(replace(waits, running=busy().running), 80, 24)
    assert drawn(replace(waits, note=WAITS), 80, 24).endswith(WAITS)  # a usual terminal shows it whole


def test_in_ascii_every_character_is_ascii():
    assert drawn(busy(), 80, 24, glyphs=ASCII) == GOLDEN_ASCII


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("height", [1, 5, 8, 12, 24, 50])
@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 81, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_one_line_of_it_stays_free(width, height, glyphs):
    for state in STATES.values():
        lines = rows(state(), Frame(width, height, glyphs, AT))
        assert max(line.cell_len for line in lines) <= width
        assert len(lines) <= max(1, height - 1)


def test_the_clock_goes_on_between_two_states():
    assert "12:40 left" in drawn(busy(), 80, 24)
    later = drawn(busy(), 80, 24, now=AT + 61)
    assert "11:39 left" in later
    assert "  1:04 attempt 2 " not in later
    assert "  2:05 attempt 2 " in later


def test_a_value_of_a_trial_cannot_control_the_terminal_or_break_a_line():
    one = replace(running(1), params={"na\x1b[31mme": "a\nb\x07", "[bold]x[/]": 1})
    text = drawn(replace(busy(), study="s\x1b]0;x\x07t", running=(one,)), 200, 24)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]x[/]=1" in text
    assert len(text.splitlines()) == len(rows(busy(), Frame(200, 24, UNICODE, AT))) - 2


def test_without_a_terminal_the_state_is_one_line():
    assert summary(busy(), AT) == (
        "quickstart; 7 of 16 trials (46%); best val/loss 4.3412 (trial 5); "
        "3 running (trial 8 at 40% 4.5123, trial 9 at 0%, trial 12 at 15%); 12:40 left"
    )
    assert "64 running (trial 0 at 40% 4.5123, " in summary(crowd(), AT)
    assert ", 60 more); " in summary(crowd(), AT)
    assert "\n" not in summary(chinese(), AT)


@pytest.mark.parametrize(
    ("best", "words"),
    [
        (Best(5, 4.3, {}), "trial 5"),
        (Best(0, 4.3, {}, lead=0.0, is_default=True), "trial 0, the default config"),
        (Best(5, 4.3, {}, lead=-0.2), "trial 5, 0.2 worse than the default"),
        (Best(5, 4.3, {}, lead=0.2, seeds=3), "trial 5, mean of 3 seeds, 0.2 better than the default"),
    ],
)
def test_the_best_trial_is_named_with_its_lead(best, words):
    assert f"best val/loss 4.3000  {words}\n" in drawn(replace(busy(), best=best), 80, 24) + "\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.9, "0:59"), (760, "12:40"), (3600, "1:00:00"), (86399, "23:59:59"), (183600, "2d 03:00")],
)
def test_durations(seconds, text):
    assert clock(seconds) == text


def test_counts_have_three_digits():
    assert [quantity(n) for n in (0.5, 812, 21_400, 1_234_567, 9.1e9)] == ["0.5", "812", "21.4k", "1.23M", "9.1G"]


def test_params_that_do_not_fit_are_dropped_from_the_right():
    values = {"learning_rate": 0.00212345, "n_layers": 2, "optimizer": "x" * 90}
    assert params(values, 80) == f"learning_rate=0.00212 n_layers=2 optimizer={'x' * 22}.."
    assert params(values, 32) == "learning_rate=0.00212 n_layers=2"
    assert params(values, 31) == "learning_rate=0.00212"
    assert params({"优化器": "随机"}, 11) == "优化器=随机"
    assert params({"优化器": "随机"}, 10) == ""


def test_a_study_of_a_long_name_leaves_room_for_the_bar():
    line = drawn(replace(busy(), study="n" * 90), 80, 24).splitlines()[1]
    assert "n… " in line
    assert "━" in line
    assert cell_len(line) <= 80


def test_rich_prints_the_lines_as_they_are():
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    lines = rows(busy(), Frame(80, 24, UNICODE, AT))
    for line in lines:
        console.print(line)
    printed = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert printed == [line.plain for line in lines]
