"""The driver's append-only log of events, from which every other store is rebuilt.

One JSON object per line; its last key `crc` is the CRC-32 of all bytes before it. `append` returns once the system has
the line (the disk may not have it yet), so that a killed process loses no event that it acknowledged. A thread syncs
the file in batches; `sync()` returns once all events are on the disk. A torn last line was never acknowledged: the next
driver cuts it off. Readers skip and count damaged lines, and evaluations whose values have wrong types.

lines.py     an event as a line, and back          writer.py    the open journal of a driver
reader.py    events from a journal                 outline.py   the same without most evaluations
history.py   what the events add up to, by trial    confirmation.py   what fresh seeds say of the best trials

Beside it lie, in files of their own:
study_lock.py   who searches the study              queue_file.py     what people enqueue
pause_file.py   a person's pause                    pending.py        what a crash has left of a deletion or a renaming
"""

from hpsearch.journal.lines import ORIGIN, Entry, decode, encode, parsed, without_points
from hpsearch.journal.reader import Tail, events_of, is_readable, iterate, read
from hpsearch.journal.writer import Journal

__all__ = [
    "ORIGIN",
    "Entry",
    "Journal",
    "Tail",
    "decode",
    "encode",
    "events_of",
    "is_readable",
    "iterate",
    "parsed",
    "read",
    "without_points",
]
