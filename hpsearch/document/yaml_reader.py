"""Reads YAML text into nodes with their places, within limits, by the parser of ruamel.yaml.

It reads the parser's events instead of using its constructors, so that scalars follow the YAML 1.2 core schema (`1e-3`
is a number, `no` and `1:30` are text) and surprising constructs are refused: duplicate keys, tags, merge keys,
ambiguous numbers, alias bombs.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from hpsearch.document.yaml_errors import explain
from hpsearch.errors import ConfigError
from hpsearch.output.printable import printable

MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_VALUES = 10_000  # with aliases expanded
MAX_LINE = 20_000  # characters; the parser is slow on long lines
MAX_KEY = 200  # characters

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"([-+]?[0-9]+)[eE]\+?([0-9]|1[0-5])")  # 1e5 is the integer 100000
_BREAK = re.compile(r"\r\n?|\n")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NO_KEYS = (_INT, _BASED_INT, _FLOAT, _NOT_FINITE, re.compile("|".join([*_NULL - {""}, *_BOOL])))


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Node:
    """A value of the file with its place."""

    value: Any  # a scalar, a list of nodes, or a dict of key -> (mark of the key, node)
    mark: Mark
    size: int = 1  # number of values in it, aliases expanded


class Reader:
    """Builds nodes from the parser's events, within the limits."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._anchors: dict[str, Node] = {}
        self._aliases = self._values = 0

    def read(self, text: str) -> Node | None:
        """The only document of the text, or None if it is empty; raises ConfigError with the place of a mistake."""
        lines = _BREAK.split(text)
        for number, line in enumerate(lines, start=1):
            if len(line) > MAX_LINE:
                raise self._error(Mark(number, MAX_LINE + 1), f"a line of more than {MAX_LINE} characters; break it up")
        try:
            return self._document(iter(YAML(typ="safe", pure=True).parse(text)))
        except MarkedYAMLError as error:
            line, column, words = explain(error, lines)
            raise self._error(Mark(line, column), words) from None
        except YAMLError as error:  # a character that YAML does not allow
            place = mark_after(text[: getattr(error, "position", 0)])
            character = getattr(error, "character", None)
            name = f" U+{character:04X}" if isinstance(character, int) else f" {character!r}" if character else ""
            remedy = "save the file as UTF-8 text" if name == " U+0000" else "remove it"
            raise self._error(place, f"character{name} is not allowed in YAML; {remedy}") from None

    def _document(self, events: Iterator[Event]) -> Node | None:
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise self._error(_mark(event), "a second document; only one is allowed, remove the other")
            if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
                raise self._error(_mark(event), "another version of YAML; it is read as 1.2, remove the %YAML line")
            if isinstance(event, AliasEvent | ScalarEvent | MappingStartEvent | SequenceStartEvent):
                root = self._node(event, events, depth=1)
        blank = root is not None and root.value is None
        return None if blank else root

    def _node(self, event: Event, events: Iterator[Event], *, depth: int) -> Node:
        mark = _mark(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, mark)
        self._values += 1
        if depth > MAX_DEPTH:
            raise self._error(mark, f"nested deeper than {MAX_DEPTH} levels; a space needs about six")
        if tag := str(getattr(event, "tag", None) or ""):
            short = tag.replace("tag:yaml.org,2002:", "!!")
            raise self._error(mark, f"tag {_cut(short)} is not allowed; write the plain value, or quote the text")
        if isinstance(event, ScalarEvent):
            node = Node(self._scalar(event.value, mark) if event.implicit[0] else event.value, mark)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(events, mark, depth)
        else:
            node = self._sequence(events, mark, depth)
        if max(node.size, self._values) > MAX_VALUES:
            raise self._error(mark, f"more than {MAX_VALUES} values; too much for a search space")
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent, mark: Mark) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._error(mark, f"more than {MAX_ALIASES} uses of aliases; write the values out")
        name = _cut(str(event.anchor))
        if event.anchor not in self._anchors:
            raise self._error(mark, f"alias *{name} has no anchor &{name} before it; quote it if it is text")
        return self._anchors[event.anchor]

    def _sequence(self, events: Iterator[Event], mark: Mark, depth: int) -> Node:
        items = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, depth=depth + 1))
        return Node(items, mark, 1 + sum(item.size for item in items))

    def _mapping(self, events: Iterator[Event], mark: Mark, depth: int) -> Node:
        items: dict[str, tuple[Mark, Node]] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key, place = self._key(event), _mark(event)
            if key in items:
                first = items[key][0].line
                raise self._error(place, f"key '{_cut(key)}' is given twice (first on line {first}); remove one")
            items[key] = (place, self._node(next(events), events, depth=depth + 1))
        return Node(items, mark, 1 + sum(node.size for _, node in items.values()))

    def _key(self, event: Event) -> str:
        mark = _mark(event)
        if not isinstance(event, ScalarEvent):
            raise self._error(mark, "a key must be plain text, not a list or mapping; quote it if it is text")
        key = str(event.value)
        if event.tag:
            raise self._error(mark, f"tag {_cut(str(event.tag))} is not allowed; quote the key if it is text")
        if key == "<<" and event.implicit[0]:
            raise self._error(mark, "merge keys (<<) are not allowed; write the keys out")
        if not key or len(key) > MAX_KEY:
            raise self._error(mark, f"a key must have 1 to {MAX_KEY} characters; it has {len(key)}")
        if event.implicit[0] and any(kind.fullmatch(key) for kind in _NO_KEYS):
            words = f"a key must be text; quote {_cut(key)}, or write a decimal point if a comma splits a number"
            raise self._error(mark, words)
        for index, character in enumerate(key):
            if not character.isprintable():
                name = unicodedata.name(character, "control character")
                place = Mark(mark.line, mark.column + index + (not event.implicit[0]))
                raise self._error(place, f"U+{ord(character):04X} ({name}) in a key; retype the key")
        return key

    def _scalar(self, text: str, mark: Mark) -> Any:
        """The value of a plain scalar by the core schema of YAML 1.2."""
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            return self._integer(text, mark)
        if _BASED_INT.fullmatch(text):
            return self._bounded(int(text, 0), text, mark)
        if whole := _WHOLE.fullmatch(text):
            return self._bounded(int(whole[1][:40]) * 10 ** int(whole[2]), text, mark)
        if _FLOAT.fullmatch(text):
            return self._bounded(float(text), text, mark)
        if _NOT_FINITE.fullmatch(text):
            raise self._error(mark, f"{text} is not allowed; write a finite number")
        return text

    def _integer(self, text: str, mark: Mark) -> Any:
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            decimal, quoted = digits.lstrip("0") or "0", f'"{text}"'
            raise self._error(mark, f"{text} is ambiguous (octal or decimal?); write {decimal}, or {quoted} for text")
        return self._bounded(int(text[:40]), text, mark)

    def _bounded(self, number: int | float, text: str, mark: Mark) -> int | float:
        if (isinstance(number, int) and abs(number) >= 2**63) or math.isinf(number):
            raise self._error(mark, f"number {_cut(text)} is too large; integers go to 2^63, others to 1.8e308")
        return number

    def _error(self, mark: Mark, message: str) -> ConfigError:
        return ConfigError(f"{place_of(self._path, mark)}: {message}")


def _mark(event: Event) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def mark_after(text: str) -> Mark:
    """The place after the end of a text."""
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def place_of(path: str | Path, mark: Mark) -> str:
    """`path:line:column`, as messages begin."""
    return f"{path}:{mark.line}:{mark.column}"


def _cut(text: str) -> str:
    """The first 40 characters, with unprintable ones replaced."""
    return printable(text[:40], keep="") + "..." * (len(text) > 40)
