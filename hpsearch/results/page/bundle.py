"""plotly's JavaScript and the page's data, compressed so that a page stays small.

plotly.min.js is 4.8 MB; as gzip in base64 it takes 2.0 MB of the page, and every browser since 2023 unpacks it
(DecompressionStream), also in a page that was opened as a file. The smaller bundles of plotly.js lack parallel
coordinates, and are not in the Python package.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from functools import cache
from importlib import resources
from typing import Any

import plotly


@cache
def plotly_js() -> str:
    """plotly.min.js as gzip in base64 (0.3 s, once in a process)."""
    return packed(resources.files(plotly).joinpath("package_data", "plotly.min.js").read_bytes())


def packed_json(value: Any) -> str:
    """JSON as gzip in base64; numbers that are not finite become null."""
    return packed(json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":")).encode())


def packed(content: bytes) -> str:
    """gzip in base64: neither has a character that ends a script."""
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
