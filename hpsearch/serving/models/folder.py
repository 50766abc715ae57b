"""A model directory as it is found on the disk: whose it is, what it is for, or why it is none. It imports no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hpsearch.errors import UserError
from hpsearch.trainers.huggingface.folders import ADAPTER
from hpsearch.trainers.huggingface.shards import check_whole
from hpsearch.training.uses import SetUse, read_uses

Family = Literal["hpsearch", "causal", "classifier", "seq2seq"]
ENDINGS: dict[str, Family] = {  # of the architecture's name
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForSequenceClassification": "classifier",
    "ForConditionalGeneration": "seq2seq",
    "MTModel": "seq2seq",
}
KINDS = {"causal": "text", "classifier": "label", "seq2seq": "pair"}  # what models of others do
OWN = {"train": "function", "command": "program"}  # by a key of the config of such a training
EXPECTED = "a model directory is expected, as `hpsearch train -o` writes one"


@dataclass(frozen=True)
class ModelFolder:
    """A model directory that can be loaded."""

    path: Path
    family: Family  # hpsearch: our causal language model; others by transformers
    config: dict[str, Any]  # its config.json
    uses: tuple[SetUse, ...] = ()  # by data set, as hpsearch noted them
    trained: dict[str, Any] = field(default_factory=dict)  # its hpsearch.json: the config of its training

    @property
    def context(self) -> int | None:
        """The tokens that the model reads at most, where config.json says so."""
        for key in ("max_position_embeddings", "n_positions", "n_ctx"):
            if isinstance(found := self.config.get(key), int) and found > 0:
                return found
        return None

    @property
    def answers(self) -> tuple[str, str] | None:
        """Name and task of the only data set, not of running text, on which hpsearch fine-tuned a causal model."""
        sets = list((self.trained.get("data") or {}).items())
        if self.family != "causal" or len(sets) != 1 or sets[0][1].get("task") == "text":
            return None
        return sets[0][0], str(sets[0][1].get("task"))

    @property
    def kinds(self) -> list[str]:
        """What it does with the texts of each of its data sets: `label`, `pair` (it answers) or `text`."""
        if self.family == "hpsearch":
            return [use.kind for use in self.uses]
        return ["pair" if self.answers else KINDS[self.family]]


def read_folder(path: Path) -> ModelFolder:
    """Returns the model directory; raises UserError, in one line, if it is none or cannot be used."""
    if not path.is_dir():
        raise UserError(f"{path}: {'is a file' if path.exists() else 'no such folder'}; {EXPECTED}")
    if not (path / "config.json").exists():
        raise UserError(f"{path}: {_lacking(path)}")
    config = _json(path / "config.json")
    uses, family = _uses(path, config), _family(path, config)
    if family == "causal" and uses and config.get("model_type") == "llama" and _has_our_tokenizer(path):
        family = "hpsearch"
    if not any(path.glob("*.safetensors")):
        raise UserError(
            f"{path}: no weights in safetensors; others can hold code, which hpsearch does not run: "
            "save the model with transformers' save_pretrained"
        )
    check_whole(path, str(path))
    trained = _json(path / "hpsearch.json") if (path / "hpsearch.json").exists() else {}
    return ModelFolder(path, family, config, uses, trained)


def _uses(path: Path, config: dict[str, Any]) -> tuple[SetUse, ...]:
    """The uses that hpsearch noted."""
    try:
        return tuple(read_uses(config))
    except ValueError as error:
        raise UserError(f"{path}/config.json: {error}") from error


def _lacking(path: Path) -> str:
    """What a folder without config.json is."""
    if (path / "adapter_config.json").exists():
        return ADAPTER
    if (path / "checkpoints").is_dir():
        return "its training has not ended; `hpsearch train` with the same output goes on with it"
    if (path / "hpsearch.json").exists():
        trained = _json(path / "hpsearch.json")
        if own := next((what for key, what in OWN.items() if key in trained), None):
            return f"it has what your own {own} wrote, which your code alone can load; there is no config.json"
        return "its trainer exported no model that can be loaded; there is no config.json"
    return f"no config.json in it; {EXPECTED}"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: a JSON object is expected")
    return found


def _family(path: Path, config: dict[str, Any]) -> Family:
    """By the name of the architecture."""
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    for ending, family in ENDINGS.items():
        if name.endswith(ending):
            return family
    raise UserError(
        f"{path}/config.json: architectures: {name or 'none'} cannot be put to use here; allowed: names that end in "
        + ", ".join(ENDINGS)
    )


def _has_our_tokenizer(path: Path) -> bool:
    tokenizer = path / "tokenizer_config.json"
    return tokenizer.exists() and "hpsearch_specials" in _json(tokenizer)
