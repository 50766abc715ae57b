"""A function's state as bytes: everything comes back as it was, and what cannot is named."""

import json
import math
import random

import numpy as np
import pytest
import torch

from hpsearch.trainers.function.state import NotStorable, decode, encode


def again(state):
    found, facts = decode(encode(state, {"step": 3}))
    assert facts == {"step": 3}
    return found


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"step": 3, "loss": 0.1, "done": False, "name": "学习 \0 é", "none": None, "huge": 2**130, "inf": math.inf},
        {"betas": (0.9, 0.99), "nested": [{"a": [1, (2, (3,))]}, ()], "raw": b"\x00\xff"},
        {1: "a", 2.5: "b", (1, 2): "c", None: "d", "text": "e"},
        {"$hpsearch": ["array", "state"]},
        random.Random(3).getstate(),
    ],
)
def test_plain_values_come_back_with_their_types(state):
    found = again(state)
    assert found == state
    assert repr(found) == repr(state)


def test_a_float_that_is_no_number_stays_one():
    assert math.isnan(again({"loss": math.nan})["loss"])


@pytest.mark.parametrize("kind", ["float64", "float16", "int8", "uint64", "bool"])
def test_arrays_keep_dtype_and_shape(kind):
    for shape in ((), (0,), (2, 3)):
        array = np.ones(shape, dtype=kind)
        found = again({"w": array})["w"]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array)
    assert again(np.float32(1.5)) == np.float32(1.5)
    assert np.array_equal(again(np.arange(6).reshape(2, 3).T), np.arange(6).reshape(2, 3).T)


def test_models_and_optimizers_with_shared_weights():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight  # tied, as embeddings are
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
    found = again(state)
    assert all(torch.equal(found["model"][name], value) for name, value in state["model"].items())
    assert torch.equal(found["rng"], state["rng"])
    optimizer.load_state_dict(found["optimizer"])
    assert found["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    assert all(
        torch.equal(found["optimizer"]["state"][i][name], value)
        for i, values in state["optimizer"]["state"].items()
        for name, value in values.items()
    )


def test_a_tensor_of_bfloat16_with_a_gradient_and_strides():
    tensor = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).T.requires_grad_()
    found = again([tensor])[0]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, tensor.detach())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"model": torch.nn.Linear(1, 1)}, "state['model'] is a Linear, which cannot be stored (its state_dict() can)"),
        ({"a": [1, {2}]}, "state['a'][1] is a set, which cannot be stored; allowed: numbers, text, bytes, None"),
        ({"f": print}, "state['f'] is a builtin_function_or_method"),
        ({"x": np.array(["text"])}, "state['x'] is a ndarray, which cannot be stored (its dtype is no number)"),
        ({"x": np.array([print])}, "state['x'] is a ndarray"),
        ({frozenset(): 1}, "a key of state is a frozenset"),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_place(state, said):
    with pytest.raises(NotStorable) as refused:
        encode(state)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_state_are_refused():
    whole = encode({"w": np.ones(3), "t": torch.ones(2)})
    for broken in (b"", whole[:10], json.dumps({}).encode(), b"\xff" * 40):
        with pytest.raises(ValueError, match=r"."):
            decode(broken)
