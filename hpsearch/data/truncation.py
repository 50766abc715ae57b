"""How examples longer than the context are truncated, and how many rows a running text makes.

Training, loss and decoding use the same rule. The length of the prompt alone decides how much of it stays, so that
decoding never depends on the length of the reference.
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
    truncate: Truncate = "right"  # what a long text loses; a target loses its end

    @classmethod
    def of(cls, context: int, *, room: int | None = None, truncate: Truncate = "right") -> Cut:
        """A prompt leaves room for `room` tokens of the target, at most for half of the context (None) and an end."""
        half = context // 2 + 1
        return cls(context, context + 1 - min(half if room is None else room, half), truncate)

    def kept(self, prompts: Lengths, targets: Lengths) -> tuple[Lengths, Lengths]:
        """How many tokens stay of prompts and targets of these lengths."""
        import numpy as np

        left = np.minimum(prompts, self.longest_prompt)
        return left, np.minimum(targets, self.context + 1 - left)

    def heads(self, kept: Lengths) -> Lengths:
        """How many of a prompt's kept tokens stand before the gap: the first is the task's, the last the separator."""
        import numpy as np

        if self.truncate == "left":
            return np.minimum(kept, 1)
        return kept - 1 if self.truncate == "right" else 1 + (kept - 1) // 2


def text_rows(n_tokens: int, context: int) -> int:
    """The rows of an epoch of running text: every token is a target once, the last row may have fewer targets."""
    return 1 if n_tokens - 1 <= context else -(-n_tokens // context)
