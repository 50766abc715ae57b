"""A folder's files in a storage, updated atomically: the previous state stays until the next one is complete.

Every file gets a new name, and a manifest with sizes and checksums is written last; only then are the previous files
deleted. After any interruption a trial can resume from the newest manifest whose files are all present.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hpsearch.contract import CHECKPOINTS
from hpsearch.errors import StorageFailed
from hpsearch.storage.storage import Storage

OPTIONAL = CHECKPOINTS[1:]  # stored only while their content is in the storage already: never uploaded
_MANIFEST = re.compile(r"(\d{6})-(\d{6})-[0-9a-f]{8}\.manifest")
_PLAIN = re.compile(r"[^\w.]", re.ASCII)  # characters that some storage treats specially
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """One file of a state."""

    object: str  # its name in the storage
    bytes: int
    sha256: str


class Snapshots:
    """The states of one folder in a storage; a later attempt's state is newer than any of an earlier attempt.

    An abandoned attempt that still runs cannot change the next attempt's files. All methods may raise StorageFailed.
    """

    def __init__(self, storage: Storage, folder: str, *, attempt: int = 0) -> None:
        self.storage, self.folder, self.attempt = storage, folder, attempt
        self.files: dict[str, StoredFile] = {}  # the newest state: file name -> file
        self._objects: set[str] = set()  # names in the storage
        self._number = 0

    def load_newest(self) -> None:
        """Sets `files` to the newest complete state, else to the newest incomplete one, else to nothing."""
        there = self.storage.names(self.folder)
        self._objects, self.files = set(there), {}
        for name in sorted(filter(_MANIFEST.fullmatch, there), reverse=True):
            attempt, number = (int(part) for part in name.split("-")[:2])
            self.attempt, self._number = max(self.attempt, attempt), max(self._number, number)
            files = self._manifest(name)
            found = {own: stored for own, stored in files.items() if there.get(stored.object) == stored.bytes}
            self.files = self.files or found
            if files and found == files:
                self.files = found
                return

    def fetch(self, folder: Path, beat: Callable[[], None] = lambda: None) -> bool:
        """Downloads the newest state into a folder, without damaged files; returns whether all were intact.

        beat: called after each file.
        """
        whole = True
        for name in self.files:
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.copy(name, path):
                _log.warning("%s/%s: %s does not match its checksum: not used", self.storage.url, self.folder, name)
                path.unlink()
                whole = False
            beat()
        return whole

    def copy(self, name: str, path: Path) -> bool:
        """Downloads one file of the newest state (mode 0600); returns whether it is intact."""
        stored = self.files[name]
        self.storage.get(f"{self.folder}/{stored.object}", path)
        path.chmod(0o600)
        return _size_and_sha256(path) == (stored.bytes, stored.sha256)

    def save(self, files: Mapping[str, Path]) -> None:
        """Stores a state: new files first, then the manifest; then deletes the previous state."""
        tag = self._new_tag()
        state = {name: found for name, path in files.items() if (found := self._upload(name, path, tag)) is not None}
        if state != self.files:
            self._commit(state, tag)

    def delete(self, names: Collection[str]) -> None:
        """Deletes some files of the newest state, by name or pattern, and all files that belong to no state."""
        gone = {name for pattern in names for name in fnmatch.filter(self.files, pattern)}
        state = {name: stored for name, stored in self.files.items() if name not in gone}
        if not state:
            self.storage.remove_folder(self.folder)
        elif state != self.files:
            self._commit(state, self._new_tag())

    def _upload(self, name: str, path: Path, tag: str) -> StoredFile | None:
        """Uploads a file unless this attempt has stored it; returns None for an OPTIONAL file that is not stored."""
        size, sha256 = _size_and_sha256(path)
        mine = (s for s in self.files.values() if s.object.startswith(f"{self.attempt:06d}-"))
        known = next((s for s in mine if (s.bytes, s.sha256) == (size, sha256)), None)
        if known is not None or name in OPTIONAL:
            return known
        stored = StoredFile(f"{tag}-{sha256[:8]}-{_PLAIN.sub('_', name)}", size, sha256)
        self._objects.add(stored.object)  # also if the upload fails halfway
        self.storage.put(path, f"{self.folder}/{stored.object}")
        return stored

    def _commit(self, state: dict[str, StoredFile], tag: str) -> None:
        text = json.dumps({name: asdict(stored) for name, stored in state.items()})
        manifest = f"{tag}.manifest"
        data = f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()
        self._objects.add(manifest)
        self.storage.write(f"{self.folder}/{manifest}", data)
        self.files = state
        wanted = {manifest, *(stored.object for stored in state.values())}
        with contextlib.suppress(StorageFailed):  # deleted with the next state, or with the trial
            self.storage.remove([f"{self.folder}/{name}" for name in sorted(self._objects - wanted)])
            self._objects = wanted

    def _new_tag(self) -> str:
        self._number += 1
        return f"{self.attempt:06d}-{self._number:06d}-{secrets.token_hex(4)}"

    def _manifest(self, name: str) -> dict[str, StoredFile]:
        """Returns the files of a manifest; an empty dict if the manifest is damaged."""
        digest, _, text = (self.storage.read(f"{self.folder}/{name}") or b"").partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return {}
        try:
            files = {own: StoredFile(**stored) for own, stored in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError):
            return {}
        return files if all(_is_within(own) for own in files) else {}


def _is_within(name: str) -> bool:
    """Whether a file of this name stays inside the folder: others may write to the bucket."""
    return not name.startswith("/") and ".." not in Path(name).parts


def _size_and_sha256(path: Path) -> tuple[int, str]:
    """Returns a file's size and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
