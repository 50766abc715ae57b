"""Answers requests with a model directory: texts in, labels, translations or continuations out.

models/     a model directory in use: predictions and metrics, of hpsearch's models and of others
columns.py  what a request and its answer have, read from the directory
pyfunc.py   MLflow's interface to `hpsearch.load_model`

MLflow loads a registered model by this module's name: the model's artifacts contain no code and no pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.serving.columns import served

__all__ = ["served"]


def _load_pyfunc(path: str) -> Any:
    """Called by `mlflow.pyfunc.load_model`; path: the model directory."""
    from hpsearch.serving.pyfunc import Answers

    return Answers.load(Path(path))
