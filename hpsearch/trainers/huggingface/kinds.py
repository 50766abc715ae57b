"""The kinds of language models, and what each can learn. It imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from hpsearch.document.document import Fault
from hpsearch.tasks import TaskSet

Kind: TypeAlias = Literal["encoder", "decoder", "encoder-decoder"]

WRITERS = ("ForCausalLM", "LMHeadModel")  # endings of a decoder's architecture


def kind_in(values: Mapping[str, Any]) -> Kind:
    """The kind that the values of a config.json suggest; checkpoint.kind_of knows it, but needs transformers."""
    if values.get("is_encoder_decoder"):
        return "encoder-decoder"
    names = values.get("architectures") or [""]
    return "decoder" if str(names[0]).endswith(WRITERS) else "encoder"


def check_tasks(kind: Kind, data: Mapping[str, TaskSet], name: str) -> None:
    """Raises Fault for a data set that a model of this kind cannot learn."""
    if kind == "encoder" and len(data) > 1:
        sets = ", ".join(data)
        raise Fault(("data",), f"{name} is an encoder, which learns one data set; these are {len(data)}: {sets}")
    for key, data_set in data.items():
        if kind == "encoder" and data_set.target_key != "label":
            wrong = f"{name} is an encoder, which learns no {data_set.task_name}; allowed: classification"
            raise Fault(("data", key), wrong)
        if kind == "encoder-decoder" and not data_set.has_prompts:
            allowed = "translation, classification"
            wrong = f"{name} is an encoder-decoder, which learns no {data_set.task_name}; allowed: {allowed}"
            raise Fault(("data", key), wrong)
