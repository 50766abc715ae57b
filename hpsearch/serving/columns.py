"""What a request to a model and its answer have; imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.serving.models.folder import ModelFolder, read_folder
from hpsearch.views.mlflow.served_model import ServedModel

LOADER = "hpsearch.serving"
EXAMPLE = "An example of a text."
ANSWERS = {  # what a use of a kind answers: columns, as `hpsearch predict` names them
    "label": {"label": "string", "probability": "double", "probabilities": "map"},
    "pair": {"translation": "string"},
    "text": {"completion": "string"},
}
OPTIONS = {"max_new_tokens": 0, "beam_size": 0, "temperature": 0.0, "seed": 0}  # 0: as the model was evaluated


def served(path: Path) -> ServedModel | None:
    """How the model directory answers requests; None if hpsearch cannot load it."""
    try:
        folder = read_folder(path)
    except UserError:
        return None
    kinds = folder.kinds
    names = [use.name for use in folder.uses] if len(kinds) > 1 else []
    outputs = {column: kind for one in dict.fromkeys(kinds) for column, kind in ANSWERS[one].items()}
    return ServedModel(
        LOADER,
        inputs={"text": True, **({"set": True} if names else {})},
        outputs=({"set": "string"} if names else {}) | outputs,
        always=len(set(kinds)) == 1,
        params={} if set(kinds) == {"label"} else OPTIONS,
        example=[{"text": _example(folder), **({"set": names[0]} if names else {})}],
    )


def _example(folder: ModelFolder) -> str:
    """A source that the model was tested on, or any text."""
    try:
        sets: dict[str, Any] = json.loads((folder.path / "samples.json").read_text(encoding="utf-8"))
        texts = [example["source"] for found in sets.values() for example in found.get("examples", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return EXAMPLE
    return str(texts[0]) if texts else EXAMPLE
