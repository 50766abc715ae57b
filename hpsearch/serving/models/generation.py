"""How a model generates: how many tokens, the likeliest ones, the best beam, or drawn at a temperature."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, TypedDict

from hpsearch.errors import UserError

DEFAULT_TOKENS = 128  # of a continuation, where the model says nothing and its context is long enough


class Options(TypedDict, total=False):
    """The fields of `Generation`, as keyword arguments."""

    max_new_tokens: int | None
    temperature: float
    seed: int
    beam_size: int | None


@dataclass(frozen=True)
class Generation:
    """The options of a generation; the same options and seed give the same text on the same machine."""

    max_new_tokens: int | None = None  # None: as in the model's own evaluations; of a continuation at most 128
    temperature: float = 0.0  # 0: the likeliest token each time
    seed: int = 0  # of the draws at a temperature
    beam_size: int | None = None  # None: as in the model's own evaluations

    def __post_init__(self) -> None:
        """Raises UserError for an option that is not allowed."""
        _check("max_new_tokens", self.max_new_tokens, _is_count, "a whole number of at least 1")
        _check("beam_size", self.beam_size, lambda value: _is_count(value) and value <= 64, "a whole number, 1 to 64")
        _check("temperature", self.temperature, _is_temperature, "a number from 0 to 100")
        _check("seed", self.seed, lambda value: type(value) is int and 0 <= value < 2**31, "a whole number below 2^31")
        if self.temperature and (self.beam_size or 1) > 1:
            raise UserError("temperature and beam_size: beams search for the likeliest text, a temperature draws one")

    def beams(self, own: int) -> int:
        """The beams, where the model's own evaluations take `own`."""
        return 1 if self.temperature else self.beam_size or own

    def tokens(self, own: int, context: int | None) -> int:
        """The most new tokens, where the model's own evaluations take `own` (0: of a continuation)."""
        least = own or min(DEFAULT_TOKENS, max(1, (context or 2 * DEFAULT_TOKENS) // 2))
        return self.max_new_tokens or least


def _check(name: str, value: Any, is_allowed: Any, allowed: str) -> None:
    if value is not None and not is_allowed(value):
        raise UserError(f"{name}: {value!r} is not allowed; allowed: {allowed}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_temperature(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= 100


def seed_of(seed: int, number: int) -> int:
    """The seed of the draws for the text of this number: 32 bits, as torch's generator on the CPU takes no more."""
    return zlib.crc32(f"{seed}/{number}".encode())
