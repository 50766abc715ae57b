"""The objects of a .jsonl file, one per line, or of a .json file that is one array (pandas' orient="records")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from hpsearch.config import FUNCTION
from hpsearch.data.compressed import Part
from hpsearch.data.read_report import ReadReport
from hpsearch.data.text_encoding import MAX_LINE, blocks, lines
from hpsearch.errors import DataError

Record = dict[str, Any]
FORMS = "one object a line is expected, or one array of objects in a .json"
_SPACE = re.compile(r"[ \t\r\n]*")
OTHERWISE = f"others are read by a function: {FUNCTION}"


def records(part: Part, encoding: str | None, report: ReadReport) -> Iterator[tuple[str, Record]]:
    """Yields ("file:line", record) for every object; raises DataError for other JSON."""
    if part.name.lower().endswith(".json") and _begins_with(part, encoding, "["):
        return _of_array(part, encoding, report)
    return _of_lines(part, encoding, report)


def _begins_with(part: Part, encoding: str | None, character: str) -> bool:
    return next((block.lstrip()[0] == character for block in blocks(part, encoding) if block.strip()), False)


def _of_lines(part: Part, encoding: str | None, report: ReadReport) -> Iterator[tuple[str, Record]]:
    for number, line in lines(part, encoding, report):
        if not line.strip():
            continue
        where = f"{part}:{number}"
        try:
            record = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            report.add_bad_row(DataError(f"{where}: not JSON ({_what(error)}), {FORMS}; {OTHERWISE}"))
            continue
        if not isinstance(record, dict):
            report.add_bad_row(DataError(f"{where}: a JSON {type(record).__name__}, {FORMS}; {OTHERWISE}"))
        elif _is_columns(record):
            raise DataError(
                f"{where}: one object with a mapping for each column (pandas' to_json): save it with "
                f'orient="records", {FORMS}; {OTHERWISE}'
            )
        elif (inner := _only_list(record)) is not None:
            if _is_chat(record[inner]):
                raise DataError(
                    f"{where}: a chat (messages in {inner!r}), which no task reads: write each chat as one text, "
                    f'{{"text": "..."}}, or each question with its answer, {{"source": "...", "target": "..."}}; or '
                    f"read them by a function: {FUNCTION}"
                )
            raise DataError(f"{where}: one object with a list in {inner!r}: save that list alone, {FORMS}; {OTHERWISE}")
        else:
            yield where, record


def _of_array(part: Part, encoding: str | None, report: ReadReport) -> Iterator[tuple[str, Record]]:
    """Yields the array's objects; holds one object and one block of text in memory."""
    text = _Text(part, encoding)
    text.take("[")
    while text.next() != "]":
        where = f"{part}:{text.line}"
        record = text.object()
        if record is None:
            report.add_bad_row(DataError(f"{where}: the array has an item that is not an object, {FORMS}; {OTHERWISE}"))
        else:
            yield where, record
        if text.next() != "]":
            text.take(",")
    text.take("]")
    if text.next():
        raise DataError(f"{part}:{text.line}: more text after the array, {FORMS}; {OTHERWISE}")


class _Text:
    """Reads JSON values one by one from the text of a file."""

    def __init__(self, part: Part, encoding: str | None) -> None:
        self.part, self.line = part, 1
        self._blocks = blocks(part, encoding)
        self._text, self._at = "", 0
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant)

    def next(self) -> str:
        """The next character that is not a space, without consuming it; empty at the end."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            self._advance(end)
            if end < len(self._text) or not self._more():
                return self._text[end : end + 1]

    def take(self, character: str) -> None:
        """Consumes the character; raises DataError if another one comes next."""
        if self.next() != character:
            self._refuse(f"{character!r} is missing")
        self._advance(self._at + 1)

    def object(self) -> Record | None:
        """Consumes the next value; returns None if it is no object."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:  # or the value continues in the next block
                if not self._more():
                    self._refuse(error.msg)
                continue
            except (ValueError, RecursionError) as error:
                self._refuse(_what(error))
            if end < len(self._text) or not self._more():
                self._advance(end)
                return value if isinstance(value, dict) else None

    def _advance(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _more(self) -> bool:
        """Reads more text, doubling what is held, so that a long value is parsed a few times only."""
        held = len(self._text) - self._at
        if held > MAX_LINE:
            self._refuse(f"a value of more than {MAX_LINE >> 20} MiB")
        self._text, self._at, before = self._text[self._at :], 0, held
        for block in self._blocks:
            self._text += block
            if len(self._text) >= 2 * before:
                break
        return len(self._text) > before

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(f"{self.part}:{self.line}: not JSON ({what}), {FORMS}; {OTHERWISE}")


def _is_columns(record: Record) -> bool:
    """Whether an object is a table by columns: {"text": {"0": ..., "1": ...}, "label": {"0": ..., "1": ...}}."""
    columns = list(record.values())
    tables = all(isinstance(column, dict) and "0" in column for column in columns)
    return bool(columns) and tables and all(column.keys() == columns[0].keys() for column in columns)


def _only_list(record: Record) -> str | None:
    """The key of an object that only holds a list of objects (a whole table); else None."""
    if len(record) != 1:
        return None
    key, value = next(iter(record.items()))
    return key if isinstance(value, list) and value and isinstance(value[0], dict) else None


def _is_chat(messages: list[Any]) -> bool:
    """Whether a list holds the messages of a chat, as data sets for assistants have them."""
    keys = ({"role", "content"}, {"from", "value"})
    return all(isinstance(one, dict) and any(wanted <= one.keys() for wanted in keys) for one in messages)


def _what(error: ValueError | RecursionError) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
