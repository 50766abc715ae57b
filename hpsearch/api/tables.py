"""Tables in HTML, for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table; all texts are escaped."""
    lines = (f"<tr>{''.join(_tagged('td', cells))}</tr>" for cells in rows)
    return f"<table><tr>{''.join(_tagged('th', heads))}</tr>{''.join(lines)}</table>"


def _tagged(tag: str, texts: Iterable[str]) -> Iterator[str]:
    return (f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
