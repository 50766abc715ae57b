"""What a model directory is for, read from its JSON files; imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.data.token_arrays import label_token, task_token
from hpsearch.data.truncation import Cut
from hpsearch.errors import HpsearchError, UserError
from hpsearch.served_model import ServedModel
from hpsearch.tasks import ClassificationSet, TextSet, TranslationSet, name_of

LOADER = "hpsearch.serving"
SERVED = {name_of(one): one for one in (TextSet, TranslationSet, ClassificationSet)}  # not tasks of the user's own
EXAMPLE = "An example of a text."
LIMITS = ("max_new_tokens", "beam_size")  # parameters of a request, with the config's values as defaults
FILES = ("hpsearch.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Use:
    """What the model does with a text of one of its data sets."""

    name: str  # of the data set
    task: str  # text: it completes the text; translation; classification
    cut: Cut  # how long prompts are truncated
    labels: tuple[str, ...] = ()

    @property
    def marker(self) -> str:
        """The special token before a text; empty for running text."""
        return "" if self.task == "text" else task_token(self.name)

    @property
    def label_tokens(self) -> list[str]:
        """The special tokens that stand for the labels."""
        return [label_token(self.name, label) for label in self.labels]


@dataclass(frozen=True)
class Uses:
    """The uses of a model, and the limits of decoding that it was evaluated with."""

    by_name: Mapping[str, Use]
    max_new_tokens: int
    beam_size: int


def read(folder: Path) -> Uses:
    """The uses of a model that hpsearch's own trainer exported; raises UserError for another directory."""
    try:
        for name in FILES:
            os.stat(folder / name)
        return _read(_json(folder / "hpsearch.json"), _json(folder / "tokenizer_config.json")["hpsearch_specials"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, HpsearchError) as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: is no model that hpsearch can serve ({what})") from error


def served(folder: Path) -> ServedModel | None:
    """How the model directory answers requests; None if hpsearch does not know how to ask it."""
    try:
        found = read(folder)
    except UserError:
        return None
    uses = list(found.by_name.values())
    outputs = {"set": "string"} if len(uses) > 1 else {}
    if any(use.labels for use in uses):
        outputs |= {"label": "string", "probabilities": "map"}
    decodes = any(not use.labels for use in uses)
    outputs |= {"text": "string"} if decodes else {}
    row = {"text": _example(folder), **({"set": uses[0].name} if len(uses) > 1 else {})}
    inputs = {"text": True, **({"set": True} if len(uses) > 1 else {})}
    params = {name: getattr(found, name) for name in LIMITS} if decodes else {}
    return ServedModel(LOADER, inputs, outputs, params, [row])


def _read(config: dict[str, Any], specials: list[str]) -> Uses:
    evaluation, context = config["evaluation"], config["model"]["context"]
    limits = {name: int(evaluation[name]) for name in LIMITS}
    uses = {name: _use(name, section, specials, context, limits) for name, section in config["data"].items()}
    return Uses(uses, **limits)


def _use(name: str, raw: dict[str, Any], specials: list[str], context: int, limits: dict[str, int]) -> Use:
    cut = SERVED[raw["task"]].model_validate(raw).cut(context=context, max_new_tokens=limits["max_new_tokens"])
    return Use(name, raw["task"], cut, _labels(name, specials))


def _labels(name: str, specials: list[str]) -> tuple[str, ...]:
    """The labels of a set, in the order of their tokens."""
    before, after = label_token(name, "\0").split("\0")
    found = [token for token in specials if token.startswith(before) and token.endswith(after)]
    return tuple(token.removeprefix(before).removesuffix(after) for token in found)


def _example(folder: Path) -> str:
    """A source that the model was tested on, or any text."""
    try:
        sets = _json(folder / "samples.json")
        texts = [example["source"] for found in sets.values() for example in found.get("examples", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return EXAMPLE
    return str(texts[0]) if texts else EXAMPLE


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
