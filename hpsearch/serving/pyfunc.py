"""A model directory as MLflow's scoring server calls it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.serving.predictor import Predictor
from hpsearch.serving.uses import LIMITS, Use

if TYPE_CHECKING:
    import pandas


class Answers:
    """Has `predict(table, params)`: a row of answers for each text."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @classmethod
    def load(cls, folder: Path) -> Answers:
        """Loads a model directory; raises UserError if hpsearch cannot ask it."""
        return cls(Predictor.load(folder))

    def predict(self, table: pandas.DataFrame, params: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """Answers the texts of the column `text`; a model of several data sets also reads the column `set`.

        params: max_new_tokens and beam_size of generated texts. Raises MlflowException, which the scoring server
        answers with HTTP 400, for what is no text and for unknown sets.
        """
        import pandas

        uses, limits = self._uses(table), self._limits(params or {})
        texts = [self._text(row, text) for row, text in enumerate(table["text"])]
        found: list[dict[str, Any]] = [{}] * len(texts)
        for use in {use.name: use for use in uses}.values():
            rows = [row for row, one in enumerate(uses) if one is use]
            for row, answer in zip(rows, self._answers(use, [texts[row] for row in rows], limits), strict=True):
                found[row] = answer
        return pandas.DataFrame(found, dtype=object)

    def _answers(self, use: Use, texts: list[str], limits: dict[str, int]) -> list[dict[str, Any]]:
        named = {"set": use.name} if len(self.predictor.uses.by_name) > 1 else {}
        return [named | answer for answer in self.predictor.answers(use, texts, **limits)]

    def _uses(self, table: pandas.DataFrame) -> list[Use]:
        """The use for each row."""
        known = self.predictor.uses.by_name
        if len(known) == 1:
            return list(known.values()) * len(table)
        names: list[Any] = list(table["set"]) if "set" in table else [None] * len(table)
        for row, name in enumerate(names):
            if name not in known:
                raise _wrong(f"row {row}: set must be one of {', '.join(known)}, not {name!r}")
        return [known[name] for name in names]

    def _limits(self, params: Mapping[str, Any]) -> dict[str, int]:
        limits = {name: int(params.get(name, getattr(self.predictor.uses, name))) for name in LIMITS}
        for name, value in limits.items():
            if value < 1:
                raise _wrong(f"{name} must be at least 1, not {value}")
        return limits

    @staticmethod
    def _text(row: int, text: Any) -> str:
        if not isinstance(text, str):
            raise _wrong(f"row {row}: text must be a text, not {text!r}")
        return text


def _wrong(message: str) -> Exception:
    from mlflow.exceptions import MlflowException

    found: Exception = MlflowException.invalid_parameter_value(message)
    return found
