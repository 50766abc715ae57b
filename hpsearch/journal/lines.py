"""An event as a line of the journal: JSON with a checksum as its last key."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from pydantic_core import from_json  # pydantic's parser: a third of the time of json.loads, which it agrees with

Entry = dict[str, Any]
ORIGIN = "origin"  # a driver_started event holds a copy of study_created under this key
_TAIL = len(b',"crc":"12345678"}\n')
_POINTS = b',"points":['


def encode(event: Entry) -> bytes:
    """One journal line: the event as JSON with its checksum as the last key."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))[:-1].encode()
    return body + b',"crc":"%08x"}\n' % crc32(body)


def decode(line: bytes, *, points: bool = True) -> Entry | None:
    """Returns the event of an undamaged line, None for a torn or damaged one.

    points: with the training points of an evaluation, which are most of a journal and which few readers need.
    """
    body = whole(line)
    if body is None:
        return None
    return parsed(body if points else without_points(body))


def whole(line: bytes) -> bytes | None:
    """Returns an undamaged line without its `crc` and last brace, None for a torn or damaged line."""
    body = line[:-_TAIL]
    return body if line.endswith(b',"crc":"%08x"}\n' % crc32(body)) else None


def parsed(body: bytes) -> Entry:
    """Returns the event of a line's body, with the faster parser if that accepts it, else with json.loads."""
    try:
        event: Entry = from_json(body + b"}")
    except ValueError:  # an object of 200 levels, say
        event = json.loads(body + b"}")
    return event


def without_points(body: bytes) -> bytes:
    """Returns the body of an evaluation without its points, if they are its last key (see `Evaluation.to_dict`)."""
    begin = body.find(_POINTS)
    return body[:begin] + b"}" if begin >= 0 and body.endswith(b"]}") else body
