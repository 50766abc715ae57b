"""Whether a folder holds a checkpoint that can be tuned, or why not. It imports neither torch nor transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.trainers.huggingface.shards import check_whole

ADAPTER = "an adapter without its model; merge both (merge_and_unload of peft), save that, and give its folder"
OTHER_WEIGHTS = ("pytorch_model*.bin", "tf_model.h5", "flax_model.msgpack", "*.gguf", "*.onnx")
SAVED = "a folder that transformers' save_pretrained wrote"
CONFIG = "config.json"
# Files of which transformers makes a tokenizer; without any it makes some of the model's type, which know no word.
TOKENIZERS = ("tokeni*", "*vocab*", "merges.txt", "*.model", "*.spm", "*.bpe", "*.tiktoken", "tekken.json")
NO_TOKENIZER = "has no tokenizer; allowed: its files in the same folder, or model.tokenizer: FOLDER or NAME"


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a model, or a part of one."""
    parts = ("*.safetensors", "adapter_config.json", *OTHER_WEIGHTS)
    return any(next(folder.glob(pattern), None) is not None for pattern in parts) or "model_type" in values_in(folder)


def values_in(folder: Path) -> dict[str, Any]:
    """The values of its config.json; none if it has no such file, or one of another content."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_folder(folder: Path, name: str, *, tokenizer: bool = True) -> None:
    """Raises UserError for a folder that is no whole checkpoint, and for weights that may hold code.

    tokenizer: whether it must have a tokenizer of its own.
    """
    if (folder / "adapter_config.json").is_file():
        raise UserError(f"{name}: {ADAPTER}")
    if not is_checkpoint(folder):
        raise UserError(f"{name}: has no config.json and no weights; allowed: {SAVED}")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{name}: has no weights as safetensors{_others(folder)}; allowed: model.safetensors")
    if not (folder / CONFIG).is_file():
        raise UserError(f"{name}: has no config.json; allowed: {SAVED}")
    check_whole(folder, name)
    if tokenizer and not any(next(folder.glob(pattern), None) for pattern in TOKENIZERS):
        raise UserError(f"{name}: {NO_TOKENIZER}")


def _others(folder: Path) -> str:
    """Weights of another form, which can be saved again."""
    found = sorted(path.name for pattern in OTHER_WEIGHTS for path in folder.glob(pattern))
    return f" (there is {found[0]}; save it again with save_pretrained)" if found else ""
