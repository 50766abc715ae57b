"""An event as a line of the journal: JSON with a checksum as its last key."""

from __future__ import annotations

import json
import zlib
from typing import Any

from pydantic_core import from_json  # pydantic's parser: a third of the time of json.loads, which it agrees with

Entry = dict[str, Any]
ORIGIN = "origin"  # a driver_started event holds a copy of study_created under this key
_CRC, _END = b',"crc":"', b'"}\n'  # what stands before and after the eight digits of a line's checksum
_TAIL = len(_CRC) + 8 + len(_END)
_POINTS = b',"points":['


def encode(event: Entry) -> bytes:
    """One journal line: the event as JSON with its checksum as the last key."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))[:-1].encode()
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


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
    return body if line[-_TAIL:] == b"%b%08x%b" % (_CRC, zlib.crc32(body), _END) else None


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
    return body if begin < 0 or not body.endswith(b"]}") else body[:begin] + b"}"
