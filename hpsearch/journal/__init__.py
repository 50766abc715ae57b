"""The driver's append-only log of what happened: the truth that every other store is rebuilt from.

One JSON object per line, its last key `crc` the CRC-32 of everything before it. A line is in the file (the system's, if
not yet the disk's) before `append` returns, so that no killed process takes along what was answered. A thread syncs the
file in batches, so that a verdict never waits for a disk; `sync()` returns when all that was appended is on it.
A torn last line was never acknowledged and is cut off at the next opening; a damaged line is passed over and counted,
and so is an evaluation whose values are of wrong types.

lines.py   an event as a line, and back     writer.py   the open journal of a driver     reader.py   what it tells
"""

from hpsearch.journal.lines import ORIGIN, Entry, decode, encode, parsed, without_points
from hpsearch.journal.reader import Tail, is_readable, iterate, read, told
from hpsearch.journal.writer import Journal

__all__ = [
    "ORIGIN",
    "Entry",
    "Journal",
    "Tail",
    "decode",
    "encode",
    "is_readable",
    "iterate",
    "parsed",
    "read",
    "told",
    "without_points",
]
