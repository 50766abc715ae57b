"""A YAML file as plain values, with the line and column of each."""

from __future__ import annotations

import difflib
import io
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hpsearch.document.yaml_reader import Mark, Node, Reader, mark_after, place_of
from hpsearch.errors import ConfigError

Keys = tuple[str | int, ...]

GIVEN = "space"  # how errors name a mapping that is not from a file
MAX_BYTES = 1_000_000
_STUDY_LINE = re.compile(r"""^study:[ \t]*["']?([A-Za-z0-9][A-Za-z0-9._-]*)""", re.MULTILINE)


class Fault(ConfigError):
    """A mistake at a path of keys, without a place in a file; `at_key`: the key is wrong, not its value."""

    def __init__(self, keys: Keys, message: str, *, at_key: bool = False) -> None:
        super().__init__(f"{dotted(keys)}: {message}" if keys else message)
        self.keys = keys
        self.at_key = at_key
        self._message = message

    def extended(self, words: str) -> Fault:
        """The same mistake with words appended to its message."""
        return Fault(self.keys, self._message + words, at_key=self.at_key)


def dotted(keys: Keys) -> str:
    """The path as in messages: `model.choices[2].width` (choices count from 1)."""
    text = ""
    for key in keys:
        text += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if text else key
    return text


@dataclass(frozen=True)
class Document:
    """The values of a YAML file, and where they are."""

    path: str  # as the user gave it
    text: str
    value: dict[str, Any]
    values: Mapping[Keys, Mark]  # of each value
    keys: Mapping[Keys, Mark]  # of each key

    def where(self, *keys: str | int, at_key: bool = False) -> str:
        """`path:line:column` of the value (or key) at this path of keys, or of the nearest one around it.

        Only the document's name, if it is not from a file.
        """
        if at_key and keys in self.keys:
            return place_of(self.path, self.keys[keys])
        if not self.values:
            return self.path
        while keys and keys not in self.values:
            keys = keys[:-1]
        return place_of(self.path, self.values.get(keys, Mark(1, 1)))

    def error(self, fault: Fault) -> ConfigError:
        """The fault as a ConfigError that starts with file:line:column."""
        return ConfigError(f"{self.where(*fault.keys, at_key=fault.at_key)}: {fault}")


def read(path: str | Path) -> Document:
    """Reads a file; raises ConfigError if it cannot be read, is not UTF-8 or is not a YAML mapping."""
    try:
        return _read(path)
    except ConfigError as error:
        if Path(path).exists() and Path(path).suffix.lower() not in ("", ".yaml", ".yml"):
            raise ConfigError(f"{error}; if it is data: `hpsearch new {path}` writes a space file for it") from None
        raise


def _read(path: str | Path) -> Document:
    try:
        raw = _bytes(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{_near(path)}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; too much for a search space")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        raise ConfigError(f"{place_of(path, mark_after(before))}: not UTF-8 text; save the file as UTF-8") from None
    return parse(text, path=path)


def study_in(path: str | Path) -> str:
    """The study of a file that may be invalid: from its `study:` line, or else from the file's name."""
    try:
        found = _STUDY_LINE.search(_bytes(path).decode("utf-8-sig", errors="replace"))
    except (OSError, ValueError, ConfigError):
        found = None
    return found[1] if found else Path(path).stem


def _near(path: str | Path) -> str:
    """A hint, for the end of a message: the file in the same folder with the most similar name."""
    folder, name = os.path.split(path)
    try:
        there = [entry.name for entry in os.scandir(folder or ".") if entry.is_file()]
    except (OSError, ValueError):
        return f" (there is no folder {folder})" if folder and not os.path.isdir(folder) else ""
    stems = {Path(other).stem: other for other in there if other.endswith((".yaml", ".yml"))}
    near = difflib.get_close_matches(Path(name).stem, stems, n=1, cutoff=0.6)
    return f"; did you mean {os.path.join(folder, stems[near[0]])}?" if near else ""


def _bytes(path: str | Path) -> bytes:
    """The bytes of a regular file, at most one block more than allowed; never waits for a pipe or device."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise ConfigError(f"{path}: is {kind}; a YAML file is expected")
        parts = [b""]
        while sum(map(len, parts)) <= MAX_BYTES and (part := os.read(file, MAX_BYTES + 1)):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def parse(text: str, *, path: str | Path) -> Document:
    """Parses a text; `path` is its name in errors. Raises ConfigError if it is not a YAML mapping."""
    root = Reader(str(path)).read(text)
    if root is None:
        raise ConfigError(f"{path}:1:1: the file says nothing; a space has at least data: ...")
    if not isinstance(root.value, dict):
        place = place_of(path, root.mark)
        raise ConfigError(f"{place}: the file must be a mapping (study: ..., data: ..., model: ...), not {_kind(root)}")
    values: dict[Keys, Mark] = {}
    keys: dict[Keys, Mark] = {}
    return Document(str(path), text, _plain(root, (), values, keys), values, keys)


def dump(value: Mapping[str, Any]) -> str:
    """A plain value as YAML text that `parse` reads back unchanged; short lists and ranges stay on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(dict(value), stream)
    return stream.getvalue()


def from_mapping(value: Mapping[str, Any]) -> Document:
    """The document of a Python mapping, with its text as YAML; raises Fault for values that YAML cannot express."""
    plain = _as_yaml(value, ())
    if not isinstance(plain.get("study"), str):
        raise Fault(("study",), "give the study a name")
    text = dump(plain)
    return Document(GIVEN, text, parse(text, path=GIVEN).value, {}, {})


def _as_yaml(value: Any, at: Keys) -> Any:
    """Converts a Python value (also numpy scalars and paths) to YAML's types; raises Fault for other types."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise Fault(at, f"the key {key!r} is not text")
        return {key: _as_yaml(inner, (*at, key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_yaml(inner, (*at, index)) for index, inner in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or type(value) in (str, bool, int, float):
        return value
    if callable(value) and not isinstance(value, type):
        name = getattr(value, "__name__", "train")
        raise Fault(at, f"workers import a function by its name; write it in a file, and here './my_train.py:{name}'")
    raise Fault(at, f"{value!r} is a {type(value).__name__}; allowed: numbers, texts, lists and mappings")


def _plain(node: Node, at: Keys, values: dict[Keys, Mark], keys: dict[Keys, Mark]) -> Any:
    """The node as plain Python values; records the marks in `values` and `keys`."""
    values[at] = node.mark
    if isinstance(node.value, list):
        return [_plain(item, (*at, index), values, keys) for index, item in enumerate(node.value)]
    if not isinstance(node.value, dict):
        return node.value
    for key, (mark, _) in node.value.items():
        keys[(*at, key)] = mark
    return {key: _plain(child, (*at, key), values, keys) for key, (_, child) in node.value.items()}


def _kind(node: Node) -> str:
    return "a list" if isinstance(node.value, list) else "a single value"
