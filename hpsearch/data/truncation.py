"""How examples longer than the context are truncated, and the number of rows of a running text.

Training, losses and decoding use the same rule. How much of a prompt is kept depends on the prompt's length only, so
that decoding does not depend on the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hpsearch.config import Truncate

if TYPE_CHECKING:  # imported when first needed: each config has this rule
    import numpy as np
    from numpy.typing import NDArray

Lengths: TypeAlias = "NDArray[np.integer[Any]]"


@dataclass(frozen=True)
class Cut:
    """The rule for prompts (task token, text, separator) and targets of one set at one context."""

    context: int  # tokens that the model reads; it predicts one more
    longest_prompt: int
    truncate: Truncate = "right"  # the part of a long prompt that is dropped; a target loses its end

    @classmethod
    def of(cls, context: int, *, room: int | None = None, truncate: Truncate = "right") -> Cut:
        """The rule that reserves `room` tokens for the target, at most (and by default) half of the context + 1."""
        half = context // 2 + 1
        return cls(context, context + 1 - min(half if room is None else room, half), truncate)

    def kept(self, prompts: Lengths, targets: Lengths) -> tuple[Lengths, Lengths]:
        """The number of tokens that are kept of prompts and targets of these lengths."""
        import numpy as np

        left = np.minimum(prompts, self.longest_prompt)
        return left, np.minimum(targets, self.context + 1 - left)

    def heads(self, kept: Lengths) -> Lengths:
        """How many of a prompt's kept tokens precede the gap; the task token and the separator are always kept."""
        import numpy as np

        if self.truncate == "left":
            return np.minimum(kept, 1)
        return kept - 1 if self.truncate == "right" else 1 + (kept - 1) // 2

    def prompt(self, ids: list[int]) -> list[int]:
        """The tokens of one prompt that are kept."""
        import numpy as np

        if len(ids) <= self.longest_prompt:
            return ids
        head = int(self.heads(np.array([self.longest_prompt]))[0])
        return ids[:head] + ids[len(ids) - (self.longest_prompt - head) :]


def text_rows(n_tokens: int, context: int) -> int:
    """The number of rows of an epoch of running text: each token is a target once; the last row may be shorter."""
    return 1 if n_tokens - 1 <= context else -(-n_tokens // context)
