"""What a program prints: lines however they arrive, JSON, and regular expressions."""

import pytest

from hpsearch.trainers.program.output import LONGEST, JsonLines, Lines, Patterns, unread, wrong_pattern


def test_lines_are_put_together_from_pieces():
    lines, found = Lines(), []
    for piece in (
        b'{"val/',
        b'loss": 1}\nepo',
        b"ch 2\r\nbar 1\rbar 2\r",
        "é".encode()[:1],
        "é".encode()[1:] + b"\n\n",
    ):
        found += lines.of(piece)
    assert found == ['{"val/loss": 1}', "epoch 2", "bar 1", "bar 2", "é"]
    assert list(lines.rest()) == []
    assert [*lines.of(b"no end"), *lines.rest()] == ["no end"]


def test_garbage_takes_bounded_memory_and_is_no_error():
    lines = Lines()
    for _ in range(40):
        assert [line for line in lines.of(b"\x00\xff\xfe" * (LONGEST // 8)) if "val" in line] == []
    assert len(lines._rest) <= LONGEST
    assert list(lines.of(b'\n{"val/loss": 1}\n'))[-1] == '{"val/loss": 1}'


def test_reading_goes_on_at_the_position_of_any_line():
    """However the output is cut: in a line that is too long, at a return, in a character of several bytes."""
    output = "één\r\n{'a': 1}\n\n".encode() + b"x" * (2 * LONGEST) + b"{'b': 2}\nb\xff\rlast\nhalf"
    whole = list(Lines().of(output))
    assert whole == ["één", "{'a': 1}", "b\ufffd", "last"]
    ends = [*range(20), *range(20, len(output), 4093), *range(len(output) - 20, len(output) + 1)]
    for at in ends:
        before = Lines()
        found = list(before.of(output[:at]))
        after = Lines(before.position, inside=before.inside)
        assert found + list(after.of(output[before.position :])) == whole
        assert after.position == len(output) - len("half")


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ('{"val/loss": 1.5, "step": 10}', {"val/loss": 1.5, "step": 10.0}),
        ("  {'loss': 0.5, 'epoch': 1.0}  ", {"loss": 0.5, "epoch": 1.0}),  # as transformers.Trainer prints it
        ('{"a": 1, "name": "x", "flag": true, "none": null, "list": [1]}', {"a": 1.0}),
        ('{"val/loss": 1.5, "st', {}),
        ("[1, 2]", {}),
        ("{1, 2}", {}),
        ("{__import__('os').system('id')}", {}),
        ("val/loss 1.5", {}),
        ("{}", {}),
        ("{" * 5000 + "}" * 5000, {}),
    ],
)
def test_json_lines(line, report):
    assert JsonLines().report(line) == report


@pytest.mark.parametrize(
    "line",
    [
        'INFO:root:{"val/loss": 0.5, "step": 5}',
        "2026-11-27 19:30:01 - train - INFO - {'eval_loss': 0.5, 'epoch': 1.0}",
        '[rank0] {"val/loss": 0.5, "sizes": {"a": 1}}',
    ],
)
def test_json_behind_a_prefix_is_not_read_and_named(line):
    assert JsonLines().report(line) == {}
    assert unread(["first", line, "last"], patterns=False).startswith("a JSON object behind other text is not read")


@pytest.mark.parametrize("line", ["done", "{", "saved to {folder}", "INFO {'a': 'text'}", "{} left: {x}"])
def test_what_holds_no_numbers_by_name_is_not_named(line):
    assert unread([line], patterns=False) == ""


def test_json_may_say_that_a_loss_is_no_number():
    assert str(JsonLines().report('{"val/loss": NaN}')) == "{'val/loss': nan}"


def test_patterns_read_what_nanogpt_prints():
    patterns = Patterns(
        {
            "step": r"^(?:step|iter) (\d+):",
            "val/loss": r"val loss ([\d.]+|nan)",
            "train/loss": r"train loss ([\d.]+|nan)",
            "train/batch_loss": r"^iter .*loss ([\d.]+)",
        }
    )
    first = patterns.report("step 250: train loss 2.9000, val loss 3.0123")
    assert first == {"step": 250.0, "train/loss": 2.9, "val/loss": 3.0123}
    assert patterns.report("iter 260: loss 3.1000, time 20.51ms, mfu 1.00%") == {"step": 260.0, "train/batch_loss": 3.1}
    assert patterns.report("saving checkpoint to out") == {}
    assert str(patterns.report("step 500: train loss nan, val loss nan")["val/loss"]) == "nan"


def test_a_place_in_a_line_of_its_own_is_that_of_the_next_lines():
    patterns = Patterns({"epoch": r"Epoch (\d+)", "val/acc": r"acc: ([\d.]+)"})
    assert patterns.report("Epoch 3/10") == {}
    assert patterns.report("val acc: 0.91.") == {"epoch": 3.0, "val/acc": 0.91}


def test_what_is_no_number_is_warned_of_once(caplog):
    patterns = Patterns({"loss": r"loss (\S+)"})
    assert patterns.report("loss high") == patterns.report("loss low") == {}
    assert [r.getMessage() for r in caplog.records] == ["metrics: 'high' is no number; the pattern of loss found it"]


def test_a_pattern_has_one_group():
    assert wrong_pattern(r"loss ([\d.]+)") == wrong_pattern(r"(?:a|b) ([\d.]+)") == ""
    assert wrong_pattern("(a)(b)").startswith("has 2 groups; allowed: one, around the number")
