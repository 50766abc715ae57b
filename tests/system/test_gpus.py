"""The names of the GPUs of a worker, and what shows them alone."""

import pytest

from hpsearch.system import gpus


@pytest.mark.parametrize(
    ("device", "ids"),
    [
        ("cpu", []),
        ("mps", []),
        ("cpu@node", []),
        ("cuda", []),
        ("cuda:0", ["0"]),
        ("cuda:0+1", ["0", "1"]),
        ("cuda:2+3@node", ["2", "3"]),
        ("cuda:GPU-1a2b+GPU-3c4d@node", ["GPU-1a2b", "GPU-3c4d"]),
    ],
)
def test_the_ids_in_a_name(device, ids):
    assert gpus.ids_of(device) == ids
    if ids and "@" not in device:
        assert gpus.named(ids) == device


def test_a_name_of_several_counts_as_many():
    assert gpus.count(["cpu of worker 0", "cuda:0", "cuda:1+2", "cuda:0+1@node of worker 3"]) == 1 + 1 + 2 + 2


@pytest.mark.parametrize(
    ("ids", "allowed", "shown"),
    [
        (["2", "3"], None, "2,3"),
        (["0", "1"], "6,7", "6,7"),
        (["0", "1"], "5", None),
        (["GPU-1a2b"], "GPU-1a2b", None),
    ],
)
def test_what_is_visible_outside_is_respected(ids, allowed, shown):
    assert gpus.visible(ids, {} if allowed is None else {gpus.VISIBLE: allowed}) == shown
