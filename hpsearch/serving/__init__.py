"""Answers requests with a model directory that hpsearch wrote: texts in, completions, translations or labels out.

uses.py       what the model is for, read from the directory
predictor.py  the model in memory
pyfunc.py     MLflow's interface to it

MLflow loads a registered model by this module's name: the model's artifacts contain no code and no pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.serving.uses import served

__all__ = ["served"]


def _load_pyfunc(path: str) -> Any:
    """Called by `mlflow.pyfunc.load_model`; path: the model directory."""
    from hpsearch.serving.pyfunc import Answers

    return Answers.load(Path(path))
