"""A data set that can encode its examples; apart from token_arrays.py, so that reading a config loads no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpsearch.config import DataSet
from hpsearch.data.splits import Example

if TYPE_CHECKING:  # numpy and tokenizers take their time to import
    from hpsearch.data.token_arrays import Arrays, Encoder


class EncodableSet(DataSet):
    """A data set that can encode its examples as token arrays."""

    def encode(self, examples: list[Example], encoder: Encoder) -> Arrays:
        """The arrays of a split, made by one of the encoder's methods."""
        raise NotImplementedError
