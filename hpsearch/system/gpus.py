"""The GPUs of a worker by name: `cuda:0`, or `cuda:0+1` if each of its trainings has two; on Ray `@host` follows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPUS = re.compile(r"cuda:(?P<ids>[^+@]+(\+[^+@]+)*)(@.*)?")


def named(ids: Iterable[str | int]) -> str:
    """The name of these GPUs."""
    return f"cuda:{'+'.join(map(str, ids))}"


def ids_of(device: str) -> list[str]:
    """The GPUs in the name of a device; none in that of a CPU."""
    found = _GPUS.fullmatch(device)
    return [] if found is None else found["ids"].split("+")


def count(devices: Iterable[str]) -> int:
    """How many devices these are: a name of several GPUs stands for as many, any other one for one."""
    return sum(max(1, len(ids_of(device))) for device in devices)


def visible(ids: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The value of CUDA_VISIBLE_DEVICES that shows these GPUs alone; None if not all of them are visible here.

    An id counts the visible GPUs: 1 under CUDA_VISIBLE_DEVICES=3,5 (or UUIDs, or MIG names) is GPU 5.
    """
    allowed = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    if not allowed:
        return ",".join(ids)
    if not all(one.isdecimal() and int(one) < len(allowed) for one in ids):
        return None
    return ",".join(allowed[int(one)] for one in ids)
