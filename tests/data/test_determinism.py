"""Data functions that return other examples in another process cause a warning; deterministic ones do not."""

import importlib
import sys

import pytest

from hpsearch.data.corpus import Contents
from hpsearch.data.determinism import LONGEST, called_again
from hpsearch.training.config import TrainConfig

TEXTS = "TEXTS = [f'{i} and some words' for i in range(40)]\n"
MODULES = {
    "shuffled": "import random\ndef f(): return random.sample(TEXTS, 40)\n",
    "listed": "def f(): return list(set(TEXTS))\n",
    "drawn": "import random\ndef f(): return [str(random.random()) for _ in TEXTS]\n",
    "seeded": "import random\nrandom.seed(3)\ndef f(): return random.sample(TEXTS, 40)\n",
    "steady": "def f(): print('[not json'); return TEXTS\n",
    "once": "import os\ndef f():\n os.rename(__file__ + '.data', __file__ + '.gone')\n return TEXTS\n",
}


@pytest.fixture
def base(tmp_path):
    """A folder with the modules."""
    for name, text in MODULES.items():
        (tmp_path / f"again_{name}.py").write_text(TEXTS + text)
    (tmp_path / "again_once.py.data").write_text("")
    importlib.invalidate_caches()
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(f"again_{name}", None)


def asked(base, names, *, took=0.0):
    data = {name: {"task": "text", "dataset": f"python:again_{name}:f"} for name in names}
    config = TrainConfig.model_validate({"data": data})
    with called_again(
        config.data, Contents.of(config.data, config.tokenizer, base=base), base=base, took=took
    ) as warnings:
        return warnings()


def test_a_function_is_told_by_what_it_returns_in_another_process(base, monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    found = {line.split(":")[0]: line for line in asked(base, MODULES)}
    assert set(found) == {"data.shuffled", "data.listed", "data.drawn"}
    order = "python:again_{}:f returned its examples in another order when it was called again: this study could not be"
    for name in ("shuffled", "listed"):
        assert order.format(name) in found[f"data.{name}"]
    assert "python:again_drawn:f returned other examples when" in found["data.drawn"]
    assert found["data.drawn"].endswith("sort what it takes from a set or a folder")


def test_what_takes_long_is_not_read_twice(base):
    assert asked(base, ["shuffled"], took=LONGEST + 1) == []


def test_our_own_samples_are_not_read_twice(base, monkeypatch):
    from hpsearch.data import determinism

    monkeypatch.setattr(determinism, "PREFIX", "python:")
    monkeypatch.setattr(determinism, "OURS", "python:again_")
    assert asked(base, ["shuffled"]) == []
