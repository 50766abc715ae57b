"""Reads text files as whole documents, as paragraphs between blank lines, or as lines."""

from __future__ import annotations

import io
import re
from pathlib import Path

from hpsearch.data import file_formats
from hpsearch.data.compressed import Part, parts
from hpsearch.data.read_report import ReadReport
from hpsearch.data.text_encoding import lines
from hpsearch.errors import DataError


def documents(path: Path, encoding: str | None, report: ReadReport) -> list[str]:
    """The whole file as one text (of a .zip: each of its files), line ends kept."""
    file_formats.check_regular(path)
    texts = [_document(part, encoding, report) for part in parts(path)]
    if not any(text.strip() for text in texts):
        raise DataError(f"{path}: the file holds no text")
    return [text for text in texts if text.strip()]


def _document(part: Part, encoding: str | None, report: ReadReport) -> str:
    content = io.StringIO(newline="")  # takes a tenth of the memory of a list of lines
    for _, line in lines(part, encoding, report):
        content.write(line)
    return content.getvalue()


def paragraphs(path: Path, encoding: str | None, report: ReadReport) -> list[str]:
    """The runs of lines between blank lines."""
    blank = r"(?:\r?\n[^\S\n]*)(?:\r?\n[^\S\n]*)+"
    pieces = (piece for text in documents(path, encoding, report) for piece in re.split(blank, text))
    return [piece.strip("\r\n") for piece in pieces if piece.strip()]


def single_lines(path: Path, encoding: str | None, report: ReadReport) -> list[str]:
    """The lines that are not blank, without their ends."""
    file_formats.check_regular(path)
    texts = [line.rstrip("\r\n") for part in parts(path) for _, line in lines(part, encoding, report) if line.strip()]
    if not texts:
        raise DataError(f"{path}: the file holds no text")
    return texts
