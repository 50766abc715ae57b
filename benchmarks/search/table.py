"""Trainers of simulated benchmarks, made by their names: `python:table:levels_52_of_0_0_5`.

The name says how many evaluations a training has and how many choices each parameter has (0: a float from 0 to 1).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model

from hpsearch import Section, Trainer


def name_of(levels: int, choices: list[int]) -> str:
    """The attribute for a benchmark."""
    return f"levels_{levels}_of_{'_'.join(map(str, choices))}"


def __getattr__(name: str) -> type[Trainer]:
    start, _, choices = name.partition("_of_")
    if not start.startswith("levels_"):
        raise AttributeError(name)
    fields: dict[str, Any] = {
        f"p{index}": (int, 0) if int(count) else (float, Field(0.0, ge=0.0, le=1.0))
        for index, count in enumerate(choices.split("_"))
    }
    sections = {"point": create_model("Point", __base__=Section, **fields)}
    return type("Table", (Table,), {"sections": sections, "levels": int(start.removeprefix("levels_"))})


class Table(Trainer):
    """A trainer that is never asked to train: the simulator has its curves."""

    levels = 1

    def train(self, config: Any, handle: Any) -> Any:
        """Is never called."""
        raise NotImplementedError

    def shortened(self, config: Any, horizon: float, searched: Any) -> dict[str, Any]:
        """Nothing: the curves of a benchmark of horizons are shifted themselves."""
        return {"point": config.point.model_dump()}

    def evaluations(self, config: Any) -> int:
        """The levels of the benchmark."""
        return self.levels
