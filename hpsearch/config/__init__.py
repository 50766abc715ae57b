"""The sections of a config that every level above may read: checked by pydantic, frozen, known key by key.

The errors of pydantic carry the path of the value, which `space/experiment.py` turns into file:line:column.
"""

from __future__ import annotations

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
