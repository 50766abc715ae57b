"""A YAML file as plain values that know their line and column; the only user of ruamel.yaml.

Reading goes through the parser's events and not through its constructors, so that scalars follow the YAML 1.2 core
schema (`1e-3` is a number, `no` and `1:30` are text) and whatever can surprise is refused: duplicate keys, tags, merge
keys, ambiguous numbers, alias bombs.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping
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

from hpsearch.errors import ConfigError

Keys = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_VALUES = 100_000  # after aliases have been followed

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"([-+]?[0-9]+)[eE]\+?([0-9]|1[0-5])")  # 1e5: as good as 100000 where an integer is wanted
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Fault(ConfigError):
    """A mistake at a path of keys, not yet placed in a file; `at_key`: the key itself is wrong, not its value."""

    def __init__(self, keys: Keys, message: str, *, at_key: bool = False) -> None:
        super().__init__(f"{dotted(keys)}: {message}" if keys else message)
        self.keys = keys
        self.at_key = at_key


def dotted(keys: Keys) -> str:
    """The path as people write it: `model.choices[2].width` (choices count from 1)."""
    text = ""
    for key in keys:
        text += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if text else key
    return text


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where it says it."""

    path: str  # as the user gave it
    text: str
    value: dict[str, Any]
    values: Mapping[Keys, Mark]  # of each value
    keys: Mapping[Keys, Mark]  # of each key

    def where(self, *keys: str | int, at_key: bool = False) -> str:
        """`path:line:column` of the value (or key) at this path, or of the nearest thing around it."""
        if at_key and keys in self.keys:
            return _place(self.path, self.keys[keys])
        while keys and keys not in self.values:
            keys = keys[:-1]
        return _place(self.path, self.values.get(keys, Mark(1, 1)))

    def error(self, fault: Fault) -> ConfigError:
        """The fault as an error that starts with file:line:column."""
        return ConfigError(f"{self.where(*fault.keys, at_key=fault.at_key)}: {fault}")


def read(path: str | Path) -> Document:
    """The document in a file; ConfigError when it cannot be read, is no UTF-8 or is no YAML mapping."""
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a YAML file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(raw) > MAX_BYTES:
            raise _too_large(path) from None
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        raise ConfigError(f"{_place(path, _mark_after(before))}: not UTF-8 text; save the file as UTF-8") from None
    return parse(text, path=path)


def parse(text: str, *, path: str | Path) -> Document:
    """The document in a text; `path` is what errors call it."""
    if len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        raise _too_large(path)
    root = _Reader(str(path)).read(text)
    if root is None:
        raise ConfigError(f"{path}:1:1: the file is empty")
    if not isinstance(root.value, dict):
        place = _place(path, root.mark)
        raise ConfigError(f"{place}: the file must be a mapping (study: ..., data: ..., model: ...), not {_kind(root)}")
    values: dict[Keys, Mark] = {}
    keys: dict[Keys, Mark] = {}
    return Document(str(path), text, _plain(root, (), values, keys), values, keys)


def dump(value: Mapping[str, Any]) -> str:
    """A plain value as YAML text that `parse` reads back as it was; short lists and ranges stay on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(dict(value), stream)
    return stream.getvalue()


@dataclass(frozen=True)
class _Node:
    value: Any  # a scalar, a list of nodes, or a dict of key -> (mark of the key, node)
    mark: Mark
    size: int = 1  # values in it, aliases followed


class _Reader:
    """Builds nodes from the parser's events, within the limits."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._anchors: dict[str, _Node] = {}
        self._aliases = 0

    def read(self, text: str) -> _Node | None:
        """The one document of the text, or None where there is none."""
        try:
            return self._document(iter(YAML(typ="safe", pure=True).parse(text)))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
            raise self._error(place, _in_words(error)) from None
        except YAMLError as error:  # a character that YAML does not allow
            place = _mark_after(text[: getattr(error, "position", 0)])
            character = getattr(error, "character", None)
            name = f" U+{character:04X}" if isinstance(character, int) else f" {character!r}" if character else ""
            raise self._error(place, f"character{name} is not allowed in YAML") from None

    def _document(self, events: Iterator[Event]) -> _Node | None:
        root: _Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise self._error(_mark(event), "a second document; only one is allowed")
            if isinstance(event, AliasEvent | ScalarEvent | MappingStartEvent | SequenceStartEvent):
                root = self._node(event, events, depth=1)
        blank = root is not None and root.value is None
        return None if blank else root

    def _node(self, event: Event, events: Iterator[Event], *, depth: int) -> _Node:
        mark = _mark(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, mark)
        if depth > MAX_DEPTH:
            raise self._error(mark, f"nested deeper than {MAX_DEPTH} levels")
        if tag := str(getattr(event, "tag", None) or ""):
            short = tag.replace("tag:yaml.org,2002:", "!!")
            raise self._error(mark, f"tag {short} is not allowed; write the plain value")
        if isinstance(event, ScalarEvent):
            node = _Node(self._scalar(event.value, mark) if event.implicit[0] else event.value, mark)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(events, mark, depth)
        else:
            node = self._sequence(events, mark, depth)
        if node.size > MAX_VALUES:
            raise self._error(mark, f"more than {MAX_VALUES} values")
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent, mark: Mark) -> _Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._error(mark, f"more than {MAX_ALIASES} uses of aliases")
        if event.anchor not in self._anchors:
            raise self._error(mark, f"alias *{event.anchor} has no anchor &{event.anchor} before it")
        return self._anchors[event.anchor]

    def _sequence(self, events: Iterator[Event], mark: Mark, depth: int) -> _Node:
        items = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, depth=depth + 1))
        return _Node(items, mark, 1 + sum(item.size for item in items))

    def _mapping(self, events: Iterator[Event], mark: Mark, depth: int) -> _Node:
        items: dict[str, tuple[Mark, _Node]] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key, place = self._key(event), _mark(event)
            if key in items:
                raise self._error(place, f"key '{key}' is given twice (first on line {items[key][0].line})")
            items[key] = (place, self._node(next(events), events, depth=depth + 1))
        return _Node(items, mark, 1 + sum(node.size for _, node in items.values()))

    def _key(self, event: Event) -> str:
        if not isinstance(event, ScalarEvent) or event.value == "":
            raise self._error(_mark(event), "a key must be a word")
        if event.tag:
            raise self._error(_mark(event), f"tag {event.tag} is not allowed")
        if event.value == "<<" and event.implicit[0]:
            raise self._error(_mark(event), "merge keys (<<) are not allowed; write the keys out")
        return str(event.value)

    def _scalar(self, text: str, mark: Mark) -> Any:
        """A plain scalar by the core schema of YAML 1.2."""
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
            raise self._error(mark, f"{text} is not allowed; a number must be finite")
        return text

    def _integer(self, text: str, mark: Mark) -> Any:
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            decimal, quoted = digits.lstrip("0") or "0", f'"{text}"'
            raise self._error(mark, f"{text} is ambiguous (octal or decimal?); write {decimal}, or {quoted} for text")
        return self._bounded(int(text[:40]), text, mark)

    def _bounded(self, number: int | float, text: str, mark: Mark) -> int | float:
        if (isinstance(number, int) and abs(number) >= 2**63) or math.isinf(number):
            raise self._error(mark, f"number {text[:20]}{'...' * (len(text) > 20)} is too large")
        return number

    def _error(self, mark: Mark, message: str) -> ConfigError:
        return ConfigError(f"{_place(self._path, mark)}: {message}")


def _plain(node: _Node, at: Keys, values: dict[Keys, Mark], keys: dict[Keys, Mark]) -> Any:
    """The node as plain Python values, its marks noted on the way."""
    values[at] = node.mark
    if isinstance(node.value, list):
        return [_plain(item, (*at, index), values, keys) for index, item in enumerate(node.value)]
    if not isinstance(node.value, dict):
        return node.value
    for key, (mark, _) in node.value.items():
        keys[(*at, key)] = mark
    return {key: _plain(child, (*at, key), values, keys) for key, (_, child) in node.value.items()}


def _in_words(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "not valid YAML").splitlines()[0]
    if "'\\t'" in problem or "tab" in problem.lower().split():
        return "a tab; YAML is indented with spaces only"
    if "mapping values are not allowed" in problem:
        return "a ':' out of place; check the indentation, or quote the text"
    context = str(error.context).splitlines()[0] + ", " if error.context and error.problem else ""
    return f"not valid YAML: {context}{problem}"


def _kind(node: _Node) -> str:
    return "a list" if isinstance(node.value, list) else "a single value"


def _mark(event: Event) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _mark_after(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _place(path: str | Path, mark: Mark) -> str:
    return f"{path}:{mark.line}:{mark.column}"


def _too_large(path: str | Path) -> ConfigError:
    return ConfigError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; this is no search space")
