"""A line of the journal: read to the last bit as it was written, and no flipped bit goes unnoticed."""

import json
import math
import random
import struct

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal import decode, encode


def any_value(chance, depth=0):
    """A JSON value by chance, of the kinds that are hard to read back."""
    if depth < 4 and chance.random() < 0.4:
        inner = [any_value(chance, depth + 1) for _ in range(chance.randrange(5))]
        return inner if chance.random() < 0.5 else {any_text(chance): value for value in inner}
    kinds = [
        lambda: struct.unpack("d", chance.randbytes(8))[0],  # any float there is: nan, subnormal, the smallest
        lambda: chance.choice([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 1e23]),
        lambda: chance.randrange(-(10 ** chance.randrange(1, 50)), 10 ** chance.randrange(1, 50)),
        lambda: chance.choice([None, True, False, 0, -1, 2**63, -(2**63) - 1, 2**64]),
        lambda: any_text(chance),
    ]
    return chance.choice(kinds)()


def any_text(chance):
    hard = [
        "points",
        "crc",
        '"',
        ",",
        ":",
        "[",
        "]}",
        "{",
        chr(92),
        "/",
        "\n",
        "\r",
        "\0",
        "\u2028",
        "é",
        "😀",
        ' ,"points":[',
        "NaN",
    ]
    return "".join(chance.choices(hard, k=chance.randrange(6)))


@pytest.mark.parametrize("seed", range(10))
def test_what_is_read_is_what_python_reads(seed):
    """The journal's parser is not Python's: they must agree on all that can be in a line, to the last bit."""
    chance = random.Random(seed)
    for _ in range(500):
        event = {"time": chance.random() * 2e9, "event": any_text(chance), "value": any_value(chance)}
        line = encode(event)
        python = json.loads(line)
        del python["crc"]
        assert repr(decode(line)) == repr(python) == repr(event)


def test_numbers_are_read_to_the_last_bit():
    chance = random.Random(0)
    numbers = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(100_000)]
    numbers += [chance.gauss(2.0, 1.0) for _ in range(100_000)]
    assert repr(decode(encode({"event": "x", "numbers": numbers}))["numbers"]) == repr(numbers)


def test_an_event_of_many_levels_is_read_as_well():
    deep = {"event": "x", "deep": json.loads("[" * 500 + "]" * 500)}
    assert decode(encode(deep)) == deep


def test_no_flipped_bit_of_a_line_goes_unnoticed():
    line = encode({"time": 1.5, "event": "evaluation", "evaluation": {"points": [{"step": 1}]}})
    for place in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            assert decode(bytes(flipped)) is None
    assert all(decode(line[:end]) is None for end in range(len(line)))
    assert decode(line + line) is None


@pytest.mark.parametrize("points", [[], [{"step": 1, "tokens": 9, "time": 1.0, "metrics": {"train/loss": 2.0}}]])
def test_an_evaluation_without_its_points_is_all_the_rest_of_it(points):
    given = Evaluation.from_dict(
        {"index": 3, "step": 9, "progress": 0.5, "metrics": {"a": 1.5}, "points": points}
    ).to_dict()
    assert given["points"] == points
    line = encode({"time": 1.5, "event": "evaluation", "trial": 0, "evaluation": given})
    assert decode(line)["evaluation"] == given
    rest = {key: value for key, value in given.items() if key != "points"}
    assert decode(line, points=False) == {"time": 1.5, "event": "evaluation", "trial": 0, "evaluation": rest}
