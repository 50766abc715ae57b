"""What every trainer's config shares: sections that pydantic checks, frozen, without unknown keys.

document/validation_errors.py turns pydantic's errors into messages with file:line:column.
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
from hpsearch.config.objective import Objective
from hpsearch.config.own_names import OwnNames, nested
from hpsearch.config.section import Section
from hpsearch.config.tokenizer import TokenizerConfig

__all__ = [
    "ALIGNED",
    "FORM",
    "FUNCTION",
    "Aligned",
    "Column",
    "Config",
    "DataSet",
    "Files",
    "Objective",
    "OwnNames",
    "Paths",
    "Section",
    "Split",
    "SplitNames",
    "TokenizerConfig",
    "Truncate",
    "digest",
    "nested",
]
