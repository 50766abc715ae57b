"""Splits lines into fields, quoted or not, and detects whether a file is quoted."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hpsearch.config import FUNCTION
from hpsearch.data.compressed import Part, check_unpacked, data_errors, opened
from hpsearch.data.read_report import ReadReport
from hpsearch.data.text_encoding import MAX_LINE, WIDE, check_beginning, encoding_of, lines
from hpsearch.errors import DataError

Row = tuple[int, list[str]]  # (number of its first line, fields)
LONG = 10  # lines; a longer field in a file with one column is suspicious


@dataclass(frozen=True)
class Form:
    """How one file separates its fields."""

    part: Part
    encoding: str | None
    delimiter: str
    quoting: str  # "csv", "none", or "auto": detected from the file


def plain_rows(form: Form, report: ReadReport) -> Iterator[Row]:
    """Rows split at the delimiter; a quote is an ordinary character, as in most TSV files."""
    for number, line in lines(form.part, form.encoding, report):
        row = line.rstrip("\n").removesuffix("\r").split(form.delimiter)
        if row != [""]:
            yield number, row


def quoted_rows(form: Form, report: ReadReport) -> Iterator[Row]:
    """Rows with standard quoting ("" inside quotes is a quote; a quoted field may span lines)."""
    for start, row, raw in _parsed(form, report):
        if len(raw) > 2 and _looks_swallowed(form, raw, len(row)):
            report.swallowed.append((f"{form.part}:{start}", len(raw)))
        if row:
            yield start, row


def _parsed(form: Form, report: ReadReport) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yields (number of the first line, fields, lines) per row; raises DataError for a quote that is not closed."""
    csv.field_size_limit(MAX_LINE)
    raw: list[str] = []
    number = 0

    def noted() -> Iterator[str]:
        nonlocal number
        for at, line in lines(form.part, form.encoding, report):
            number = at
            raw.append(line)
            yield line

    reader = csv.reader(noted(), delimiter=form.delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _refuse(form, report, str(error), number - len(raw) + 1)
        else:
            yield number - len(raw) + 1, row, raw
        raw.clear()


def _refuse(form: Form, report: ReadReport, error: str, start: int) -> None:
    open_ended = "unexpected end" in error or "field larger" in error
    what = (
        "the quote that opens in this row is never closed" if open_ended else f"wrong csv quoting or line end ({error})"
    )
    refusal = DataError(
        f"{form.part}:{start}: {what}; quoting: none reads quotes as characters, and a function reads other forms: "
        f"{FUNCTION}"
    )
    if open_ended:  # the rest of the file is lost, not only one row
        raise refusal
    report.add_bad_row(refusal)


def _looks_swallowed(form: Form, raw: list[str], width: int) -> bool:
    """Whether each line inside a quoted field has as many delimiters as a row, so that its quote may be a stray one."""
    if width == 1:
        return len(raw) > LONG
    return all(line.count(form.delimiter) == width - 1 for line in raw[1:-1])


# ------------------------------------------------------------------------------------------------------ quoted or not


def is_quoted(form: Form) -> tuple[bool, str]:
    """Whether the file's fields are quoted, and a warning if that is uncertain (else empty).

    "auto": they are if every field that begins with a quote is properly quoted, and at least one needs its quotes (it
    contains a doubled quote, a delimiter or a line end) or the header is quoted.
    """
    if form.quoting != "auto":
        return form.quoting == "csv", ""
    check_beginning(form.part, form.encoding)
    with data_errors(form.part.path):
        about = form.part.path.stat()
    return _judged(form, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _judged(form: Form, size: int, changed: int) -> tuple[bool, str]:
    if not _may_be_quoted(form):
        return False, ""
    shown = width = 0
    failed = 0
    try:
        for start, row, raw in _parsed(form, ReadReport()):
            if not row:
                continue
            width = width or len(row)
            if len(row) != width or (len(raw) > 2 and _looks_swallowed(form, raw, width)):
                failed = start
                break
            if not shown and (_shows_quotes(form, row, "".join(raw)) or (start == 1 and raw[0].startswith('"'))):
                shown = start
    except DataError as error:
        place = re.match(rf"{re.escape(str(form.part))}:(\d+): ", str(error))
        failed = int(place[1]) if place else 1
    if shown and failed:
        return False, (
            f"{form.part}:{shown}: a field in quotes that were doubled, but line {failed} is not quoted like it: "
            "quotes are read as characters (quoting: none says so, quoting: csv reads them as quotes)"
        )
    return bool(shown), ""


def _shows_quotes(form: Form, row: list[str], raw: str) -> bool:
    """Whether a field needs its quotes: it contains a quote, a delimiter or a line end."""
    for text in row:
        if form.delimiter in text or "\n" in text or "\r" in text:
            return True
        if '"' in text and f'"{text.replace(chr(34), chr(34) * 2)}"' in raw:
            return True
    return False


def _may_be_quoted(form: Form) -> bool:
    """Whether any field begins with a quote, by the bytes: a fast test that most files fail."""
    check_unpacked(form.part)
    name = encoding_of(form.part, form.encoding)
    if name.startswith(WIDE):
        return True
    openings = (b'\n"', form.delimiter.encode(name) + b'"')
    with data_errors(form.part.path), opened(form.part) as stream:
        last = b"\n"
        while block := stream.read(1 << 20):
            if last + block[:1] in openings or any(opening in block for opening in openings):
                return True
            last = block[-1:]
        return False
