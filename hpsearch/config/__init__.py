"""The sections of a config that every level above may read: checked by pydantic, frozen, known key by key.

The errors of pydantic carry the path of the value, which `space/experiment.py` turns into file:line:column.
"""

from __future__ import annotations

import importlib
from typing import Any

from hpsearch.config.config import Config, digest
from hpsearch.config.data import (
    ALIGNED,
    FORM,
    FUNCTION,
    Aligned,
    Column,
    DataSet,
    Files,
    Paths,
    Split,
    SplitNames,
    Truncate,
)
from hpsearch.config.model import ModelConfig, TokenizerConfig
from hpsearch.config.section import Section
from hpsearch.config.training import BleuTokenizer, EvaluationConfig, Objective, TrainingConfig

__all__ = [
    "ALIGNED",
    "FORM",
    "FUNCTION",
    "Aligned",
    "BleuTokenizer",
    "Column",
    "Config",
    "DataSet",
    "EvaluationConfig",
    "Files",
    "ModelConfig",
    "Objective",
    "Paths",
    "Section",
    "Split",
    "SplitNames",
    "TokenizerConfig",
    "TrainingConfig",
    "Truncate",
    "digest",
]


_MOVED = {"TrainConfig": "training.config", **dict.fromkeys(("AnySet", "TextSet", "TranslationSet"), "tasks")}
_MOVED["ClassificationSet"] = "tasks"


def __getattr__(name: str) -> Any:
    """The former place of what has moved up, until nobody imports it from here."""
    if name in _MOVED:
        return getattr(importlib.import_module(f"hpsearch.{_MOVED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
