"""Text files as decoded lines; detects UTF-8, UTF-16 and UTF-32, and names the line of an invalid byte."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import IO

from hpsearch.config import FUNCTION
from hpsearch.data.compressed import Part, check_unpacked, data_errors, opened
from hpsearch.data.read_report import ReadReport
from hpsearch.errors import DataError

MAX_LINE = 64 << 20  # bytes; a longer line is no text, and would have to be held in memory
HEAD = 4096  # bytes from which the encoding is detected
MARKS = {  # byte order marks; UTF-32's come first, as they begin with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
OTHERWISE = f"other content can be read by a function: {FUNCTION}"
WIDE = ("utf-16", "utf-32")  # a line end takes several bytes


def lines(part: Part, encoding: str | None = None, report: ReadReport | None = None) -> Iterator[tuple[int, str]]:
    """Yields (number, line with its end), one line in memory at a time; a byte order mark is left out.

    encoding: None: UTF-8, unless a byte order mark or the NUL bytes of UTF-16 show another one. Raises DataError for a
    line that cannot be decoded, unless `report` skips it.
    """
    report = report or ReadReport()
    check_unpacked(part)
    name = encoding_of(part, encoding)
    with data_errors(part.path), opened(part) as stream:
        yield from _wide(part, stream, name) if name.startswith(WIDE) else _narrow(part, stream, name, report)


def blocks(part: Part, encoding: str | None = None) -> Iterator[str]:
    """Yields the text in blocks of about a megabyte, for formats without lines."""
    check_unpacked(part)
    name = encoding_of(part, encoding)
    decoder = codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)()
    with data_errors(part.path), opened(part) as stream:
        try:
            while block := stream.read(1 << 20):
                yield decoder.decode(block)
            yield decoder.decode(b"", final=True)
        except UnicodeError as error:
            raise DataError(f"{part}: not {name} ({error})") from None


def check_beginning(part: Part, encoding: str | None = None) -> None:
    """Raises DataError for a first line that is too long or not text."""
    name = encoding_of(part, encoding)
    with data_errors(part.path), opened(part) as stream:
        if not name.startswith(WIDE):
            _decoded(stream.readline(MAX_LINE + 1), part, 1, "utf-8-sig" if name == "utf-8" else name)


def encoding_of(part: Part, encoding: str | None) -> str:
    """Python's name of the given encoding, or of the one detected from the beginning of the file."""
    with data_errors(part.path), opened(part) as stream:
        head = stream.read(HEAD)
    marked = next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
    if encoding is None:
        return marked or _by_pattern(head) or "utf-8"
    name = codecs.lookup(encoding).name.removesuffix("-sig")
    if marked and not name.startswith(marked):
        raise DataError(f"{part}:1: it begins with the byte order mark of {marked}, which is not {encoding}")
    return marked or name


def _by_pattern(head: bytes) -> str | None:
    """Detects UTF-16 without a mark: most bytes at even (or odd) offsets are NUL and no others are; else None."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    for name, nul, other in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if other == 0 and nul > len(head) // 4:
            return name
    return None


def _narrow(part: Part, stream: IO[bytes], name: str, report: ReadReport) -> Iterator[tuple[int, str]]:
    codec = "utf-8-sig" if name == "utf-8" else name
    for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), b""), start=1):
        try:
            yield number, _decoded(raw, part, number, codec)
        except DataError as error:
            if len(raw) > MAX_LINE:
                raise
            report.add_bad_row(error)
        codec = name


def _wide(part: Part, stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    number = 0
    text = io.TextIOWrapper(stream, encoding=name, newline="\n")
    try:
        for number, line in enumerate(iter(lambda: text.readline(MAX_LINE + 1), ""), start=1):
            if "\0" in line:
                raise DataError(f"{part}:{number}: a NUL character, text is expected; {OTHERWISE}")
            if len(line) > MAX_LINE:
                raise DataError(f"{part}:{number}: a line of more than {MAX_LINE >> 20} MiB, break it up")
            yield number, line
    except UnicodeError:  # the error has a position in a block of bytes, not a line
        raise DataError(f"{part}:{number + 1}: not {name} from here on, or soon after") from None
    finally:
        text.detach()  # the caller closes the stream


def _decoded(raw: bytes, part: Part, number: int, codec: str) -> str:
    if b"\0" in raw:
        raise DataError(f"{part}:{number}: a NUL byte, {_named(codec)} text is expected; {_maybe_wide(raw)}{OTHERWISE}")
    if len(raw) > MAX_LINE:
        raise DataError(f"{part}:{number}: a line of more than {MAX_LINE >> 20} MiB, break it up")
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        raise DataError(f"{part}:{number}: {_undecodable(raw, error, codec)}") from None


def _named(codec: str) -> str:
    return "UTF-8" if codec.startswith("utf-8") else codec


def _maybe_wide(raw: bytes) -> str:
    """A hint, for a message, where the NUL bytes suggest UTF-16 without a mark; else empty."""
    even, odd = raw[::2].count(0), raw[1::2].count(0)
    if min(even, odd) or max(even, odd) < 2:
        return ""
    return f"if it is UTF-16 without a byte order mark: encoding: utf-16-{'be' if even else 'le'}; "


def _undecodable(raw: bytes, error: UnicodeDecodeError, codec: str) -> str:
    """The message about an invalid byte, with the text around it decoded as cp1252."""
    said = f"byte {error.start + 1} of the line is not {_named(codec)}"
    around = raw[max(0, error.start - 12) : error.start + 12].strip()
    try:
        return f"{said}; in cp1252 it reads {around.decode('cp1252')!r}: if that is right, give encoding: cp1252"
    except UnicodeDecodeError:
        return f"{said}; give its encoding: (cp1252, latin-1, cp1251, shift_jis, gb18030, ...)"
