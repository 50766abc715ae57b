"""Loads the model of a checkpoint, and refuses weights that do not fit its config.

transformers draws at random what it does not find, which is right for a new head and for nothing else: a body of random
weights would be tuned as if it were the checkpoint's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from hpsearch.errors import UserError
from hpsearch.trainers.huggingface import checkpoint
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.kinds import Kind

AUTO = {
    "encoder": transformers.AutoModelForSequenceClassification,
    "decoder": transformers.AutoModelForCausalLM,
    "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
}
NAMED = 3  # weights that a message names
POOLER = "pooler"  # part of an encoder's body by its name, but of a head by its use: masked language models lack it


def load(config: FineTuneConfig, values: Any, kind: Kind, base: Path) -> tuple[Any, set[str]]:
    """The model of the config's checkpoint in float32, and its weights that were drawn anew: those of a head.

    values: the config of transformers. Raises UserError for weights that do not fit it.
    """
    with in_float32():
        return _loaded(config, values, kind, base, dtype=torch.float32)


def check(config: FineTuneConfig, values: Any, kind: Kind, base: Path) -> None:
    """Raises UserError for a local checkpoint whose weights do not fit its config; their values are not read."""
    model = config.model
    if model.pretrained is None or model.trust_remote_code or getattr(values, "quantization_config", None) is not None:
        return  # of those code and packages decide what is loaded
    if Path(checkpoint.place(model.pretrained, base)).is_dir():
        _loaded(config, values, kind, base, device_map="meta")


def _loaded(config: FineTuneConfig, values: Any, kind: Kind, base: Path, **options: Any) -> tuple[Any, set[str]]:
    name, auto = str(config.model.pretrained), AUTO[kind]
    with checkpoint.reading(name):
        found, about = auto.from_pretrained(
            checkpoint.place(name, base),
            config=values,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # a head for other labels; others are refused below
            trust_remote_code=config.model.trust_remote_code,
            output_loading_info=True,
            **options,
        )
        _check_fit(found, about, config, head=kind == "encoder")
    if not config.config.flat:  # else fewer layers may be wanted
        _refuse_more_layers(found, about["unexpected_keys"], name)
    return found, {*about["missing_keys"], *(one[0] for one in about["mismatched_keys"])}


@contextlib.contextmanager
def in_float32() -> Iterator[None]:
    """New weights are made in float32."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def _check_fit(model: Any, about: Any, config: FineTuneConfig, *, head: bool) -> None:
    """Raises UserError for weights of other shapes than the model's and for weights of its body that are missing.

    about: what transformers says of the loading. head: whether a head may have other shapes.
    """
    order = {key: i for i, key in enumerate(model.state_dict())}

    def in_order(keys: Iterable[str]) -> list[str]:
        return sorted(keys, key=lambda key: order.get(key, len(order)))

    name = config.model.pretrained
    asked = "config.json with the values of `config`" if config.config.flat else "config.json"
    shapes = {key: (tuple(there), tuple(wanted)) for key, there, wanted in about["mismatched_keys"]}
    if wrong := in_order(key for key in shapes if not head or _in_body(model, key)):
        first = "; ".join("{} has the shape {}, not {}".format(key, *shapes[key]) for key in wrong[:NAMED])
        raise UserError(f"{name}: its weights do not fit its {asked}: {first}{_more(wrong)}")
    if lacking := in_order(key for key in about["missing_keys"] if _in_body(model, key)):
        first = ", ".join(lacking[:NAMED])
        raise UserError(f"{name}: its weights lack some that its {asked} asks for: {first}{_more(lacking)}")


def _refuse_more_layers(model: Any, unexpected: Sequence[str], name: str) -> None:
    """Raises UserError for weights of layers behind the last one of the model."""
    more = sorted(key for key in unexpected if _is_behind(model, key))
    if more:
        layers = getattr(model.config, "num_hidden_layers", None) or "fewer"
        raise UserError(
            f"{name}: its weights have more layers than its config.json, which has {layers}: "
            f"{', '.join(more[:NAMED])}{_more(more)}"
        )


def _more(names: Sequence[str]) -> str:
    return f", and {len(names) - NAMED} more" if len(names) > NAMED else ""


def _in_body(model: Any, name: str) -> bool:
    """Whether a weight belongs to the layers, the embeddings or else to what every task has of the model."""
    tables = {key for key, one in model.named_modules() if isinstance(one, nn.Embedding)}
    if name.rpartition(".")[0] in tables or any(name.startswith(f"{prefix}.") for prefix in stacks(model)):
        return True
    whole = model.base_model is model  # it names no body
    return not whole and name.startswith(f"{model.base_model_prefix}.") and POOLER not in name.split(".")


def _is_behind(model: Any, key: str) -> bool:
    """Whether a name is that of a layer behind the last one of its stack."""
    body = f"{model.base_model_prefix}."
    for prefix, stack in stacks(model).items():
        for start in (f"{prefix}.", f"{prefix.removeprefix(body)}."):  # a bare body's names have no prefix
            number = key.removeprefix(start).partition(".")[0]
            if key.startswith(start) and number.isdigit() and int(number) >= len(stack):
                return True
    return False


def stacks(model: nn.Module) -> dict[str, nn.ModuleList]:
    """The lists of layers that lie in no other list, by name."""
    found: dict[str, nn.ModuleList] = {}
    for name, one in model.named_modules():
        if isinstance(one, nn.ModuleList) and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = one
    return found
