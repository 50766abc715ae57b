"""A model directory as MLflow's scoring server calls it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError
from hpsearch.serving.columns import OPTIONS
from hpsearch.serving.models.model import Model, load

if TYPE_CHECKING:
    import pandas

LEFT_OUT = ("text", "source", "truncated")  # of a prediction: the text itself


class Answers:
    """Has `predict(table, params)`: a row of answers for each text."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def load(cls, folder: Path) -> Answers:
        """Loads a model directory; raises UserError if it is none."""
        return cls(load(folder))

    def predict(self, table: pandas.DataFrame, params: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """Answers the texts of the column `text`; a model of several data sets also reads the column `set`.

        params: max_new_tokens, beam_size, temperature and seed of what it writes; 0: as it was evaluated. Raises
        MlflowException, which the scoring server answers with HTTP 400, for what is not allowed.
        """
        import pandas
        from mlflow.exceptions import MlflowException

        try:
            return pandas.DataFrame(self._answers(table, params or {}), dtype=object)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _answers(self, table: pandas.DataFrame, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        texts = [_text(row, text) for row, text in enumerate(table["text"])]
        how: Any = {name: params[name] for name in OPTIONS if params.get(name)}
        found: list[dict[str, Any]] = [{}] * len(texts)
        for name, rows in self._rows(table).items():
            for row, answer in zip(rows, self.model([texts[row] for row in rows], set=name, **how), strict=True):
                kept = {key: value for key, value in answer.to_dict().items() if key not in LEFT_OUT}
                found[row] = ({"set": name} if name is not None else {}) | kept
        return found

    def _rows(self, table: pandas.DataFrame) -> dict[str | None, list[int]]:
        """The rows of each data set; of a model of one, which need not be named, all."""
        names = list(table["set"]) if "set" in table and len(self.model.uses) > 1 else [None] * len(table)
        found: dict[str | None, list[int]] = {}
        for row, name in enumerate(names):
            found.setdefault(name, []).append(row)
        return found


def _text(row: int, text: Any) -> str:
    if not isinstance(text, str):
        raise UserError(f"row {row}: text must be a text, not {text!r}")
    return text
