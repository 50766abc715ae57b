"""How a model directory answers requests: what the signature and the input example of its MLflow model are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServedModel:
    """The columns that a model reads and answers with, for a table of texts."""

    loader: str  # the module whose `_load_pyfunc(path)` loads the directory; MLflow imports it, and runs no other code
    inputs: Mapping[str, bool]  # column of strings -> whether it must be given
    outputs: Mapping[str, str]  # column -> string, double, or map: a number for each label
    always: bool = True  # whether each row of an answer has every column
    params: Mapping[str, int | float] = field(default_factory=dict)  # name -> default
    example: Sequence[Mapping[str, str]] = ()  # rows of the input example
