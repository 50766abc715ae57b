"""A training's state as bytes that hold no code: JSON, and the arrays and tensors in it as safetensors.

What JSON has no form for is written as a mapping with the one key MARK: a tuple, a dict with keys that are no text (an
optimizer's state has numbers), bytes, an array.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
from collections.abc import Mapping
from typing import Any

MARK = "$hpsearch"
ALLOWED = "numbers, text, bytes, None, lists, tuples, dicts, NumPy arrays and torch tensors"
_LENGTHS = struct.Struct("<QQ")  # of the JSON and of NumPy's arrays; torch's tensors are the rest


class NotStorable(TypeError):
    """A value of a state that has no form as bytes without code; the message names its place."""


def encode(state: Any, facts: Any = None) -> bytes:
    """Returns a state, and facts of JSON's types beside it, as bytes.

    Raises NotStorable, one line with the place of the value, for what cannot be stored.
    """
    arrays: dict[str, Any] = {}
    tensors: dict[str, Any] = {}
    tree = json.dumps([facts, _form(state, "state", arrays, tensors)]).encode()
    from_numpy, from_torch = _numpy_bytes(arrays), _torch_bytes(tensors)
    return _LENGTHS.pack(len(tree), len(from_numpy)) + tree + from_numpy + from_torch


def decode(body: bytes) -> tuple[Any, Any]:
    """Returns the state (tensors on the CPU) and the facts of `encode`'s bytes; raises ValueError for other bytes."""
    try:
        length, of_arrays = _LENGTHS.unpack_from(body)
        start = _LENGTHS.size + length
        arrays = _numpy_arrays(body[start : start + of_arrays])
        tensors = _torch_tensors(body[start + of_arrays :])
        facts, form = json.loads(body[_LENGTHS.size : start])
        return _value(form, {"array": arrays, "tensor": tensors}), facts
    except (struct.error, KeyError, TypeError) as error:
        raise ValueError(f"no state: {error}") from error


# ------------------------------------------------------------------------------------------------------------ to bytes


def _form(value: Any, at: str, arrays: dict[str, Any], tensors: dict[str, Any]) -> Any:
    """The value as JSON has it; arrays and tensors go to the mappings, by their place."""
    if value is None or isinstance(value, bool | str):
        return value
    if type(value) in (int, float):
        return value
    if isinstance(value, list):
        return [_form(inner, f"{at}[{i}]", arrays, tensors) for i, inner in enumerate(value)]
    if isinstance(value, tuple):
        return {MARK: ["tuple", [_form(inner, f"{at}[{i}]", arrays, tensors) for i, inner in enumerate(value)]]}
    if isinstance(value, Mapping):
        return _of_mapping(value, at, arrays, tensors)
    if isinstance(value, bytes | bytearray):
        return {MARK: ["bytes", base64.b85encode(value).decode()]}
    if _is_tensor(value):
        tensors[at] = value.detach().cpu().contiguous().clone()
        return {MARK: ["tensor", at]}
    if _is_array(value):
        arrays[at] = value
        return {MARK: ["array", at]}
    if isinstance(value, int | float):  # a subclass, such as an IntEnum
        return int(value) if isinstance(value, int) else float(value)
    raise NotStorable(f"{at} is a {type(value).__name__}, which cannot be stored{_hint(value)}; allowed: {ALLOWED}")


def _of_mapping(value: Mapping[Any, Any], at: str, arrays: dict[str, Any], tensors: dict[str, Any]) -> Any:
    if all(isinstance(key, str) for key in value) and MARK not in value:
        return {str(key): _form(inner, f"{at}[{key!r}]", arrays, tensors) for key, inner in value.items()}
    pairs = [
        [_form(key, f"a key of {at}", {}, {}), _form(inner, f"{at}[{key!r}]", arrays, tensors)]
        for key, inner in value.items()
    ]
    return {MARK: ["dict", pairs]}


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    """Whether it is an array or a scalar of NumPy, of numbers or booleans."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) and value.dtype.kind in "biuf"


def _hint(value: Any) -> str:
    if hasattr(value, "state_dict"):
        return " (its state_dict() can)"
    return " (its dtype is no number)" if hasattr(value, "dtype") else ""


def _numpy_bytes(arrays: Mapping[str, Any]) -> bytes:
    if not arrays:
        return b""
    import numpy as np
    from safetensors.numpy import save

    found: bytes = save({at: np.ascontiguousarray(array).reshape(np.shape(array)) for at, array in arrays.items()})
    return found


def _torch_bytes(tensors: Mapping[str, Any]) -> bytes:
    if not tensors:
        return b""
    from safetensors.torch import save

    found: bytes = save(dict(tensors))
    return found


# ---------------------------------------------------------------------------------------------------------- from bytes


def _numpy_arrays(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    from safetensors.numpy import load

    return dict(load(body))


def _torch_tensors(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    from safetensors.torch import load

    return dict(load(body))


def _value(form: Any, stored: Mapping[str, Mapping[str, Any]]) -> Any:
    if isinstance(form, list):
        return [_value(inner, stored) for inner in form]
    if not isinstance(form, dict):
        return form
    if MARK not in form:
        return {key: _value(inner, stored) for key, inner in form.items()}
    kind, content = form[MARK]
    if kind == "tuple":
        return tuple(_value(inner, stored) for inner in content)
    if kind == "bytes":
        return base64.b85decode(content)
    if kind == "dict":
        return {_value(key, stored): _value(inner, stored) for key, inner in content}
    return stored[kind][content]
