"""Spaces as mappings, with the toy trainer for speed."""

import pytest

from tests.faults.zygote import NoViews


@pytest.fixture
def without_views(monkeypatch):
    """Starts no shipping process: creating MLflow's tables takes longer than these searches."""
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", NoViews)


@pytest.fixture
def space(corpus_files):
    """A space of three short trials, as a mapping; its data are in `base`, the folder above the files."""
    files = {"train": "data/train.txt", "valid": "data/valid.txt", "test": "data/test.txt"}
    return {
        "study": "toy",
        "trainer": "python:hpsearch.testing.toy:Toy",
        "budget": {"trials": 3},
        "data": {"text": {"task": "text", "files": files}},
        "search": {"pruner": "none", "overfitting": False},
        "training": {
            "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
            "epochs": {"low": 1, "high": 4},
        },
    }
