"""A storage that several machines reach by a URL: a bucket, a server, a folder.

fsspec is the interface to S3, Google and Azure storage, SFTP, HDFS, WebDAV and plain folders; Ray, datasets and torch
use it too. Each machine has its own credentials; hpsearch passes none on.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import StorageFailed, UserError
from hpsearch.output.error_lines import first_line
from hpsearch.output.redaction import redact
from hpsearch.system.atomic import make_folder

# Protocols without folders. Making one could create a bucket.
FOLDERLESS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "obs", "tos", "memory"}

UNKNOWN = "Protocol not known"  # part of fsspec's message
ALLOWED = (
    "allowed are a folder's path, s3://, gs://, az://, sftp://, hdfs://, webdav:// and the others that fsspec knows"
)


@dataclass(frozen=True)
class RemoteFiles:
    """A trial's files in a storage."""

    folder: str  # of the trial's checkpoints
    prepared: dict[str, str] = field(default_factory=dict)  # name of prepared data -> their folder in the storage


class Storage:
    """The files below a URL; names are relative to it, with slashes. Every failure raises StorageFailed, one line."""

    def __init__(self, url: str) -> None:
        """Does not connect; raises UserError for a URL that no installed package can open."""
        self.url = redact(url).rstrip("/")
        try:
            from fsspec.core import url_to_fs  # slow for some protocols

            self._system, self._root = url_to_fs(url)
        except ImportError as error:
            raise UserError(f"storage {self.url}: {_line(error)} (pip install it, on every node)") from None
        except Exception as error:
            allowed = f"; {ALLOWED}" if UNKNOWN in str(error) else ""
            raise UserError(f"storage {self.url}: {_line(error)}{allowed}") from None
        kinds = self._system.protocol
        self._kinds = {kinds} if isinstance(kinds, str) else set(kinds)

    def put(self, path: Path, name: str) -> None:
        """Uploads a file."""
        with self._storage_failed(f"cannot write {name}"):
            self._make_folder_of(name)
            self._system.put_file(str(path), self._at(name))

    def get(self, name: str, path: Path) -> None:
        """Downloads a file."""
        with self._storage_failed(f"cannot read {name}"):
            self._system.get_file(self._at(name), str(path))

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file."""
        with self._storage_failed(f"cannot write {name}"):
            self._make_folder_of(name)
            self._system.pipe_file(self._at(name), data)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a small file; None if it is missing."""
        with self._storage_failed(f"cannot read {name}"):
            try:
                self._system.invalidate_cache()
                return bytes(self._system.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> dict[str, int]:
        """Returns the files of a folder and their sizes in bytes."""
        return {name: entry["size"] for name, entry in self._list(folder) if entry["type"] != "directory"}

    def folders(self, folder: str) -> list[str]:
        """Returns the folders in a folder."""
        return [name for name, entry in self._list(folder) if entry["type"] == "directory"]

    def remove(self, names: list[str]) -> None:
        """Deletes files; missing ones are ignored."""
        with self._storage_failed("cannot remove files"):
            try:
                if names:
                    self._system.rm([self._at(name) for name in names])
            except FileNotFoundError:  # some backends stop at the first missing file
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        self._system.rm_file(self._at(name))

    def remove_folder(self, folder: str) -> None:
        """Deletes a folder with its content."""
        with self._storage_failed(f"cannot remove {folder}"), contextlib.suppress(FileNotFoundError):
            self._system.invalidate_cache()
            self._system.rm(self._at(folder), recursive=True)

    def probe(self) -> str | None:
        """Writes and deletes a file; returns why that failed, or None."""
        name = f"probe-{secrets.token_hex(8)}"
        try:
            self.write(name, b"probe")
            self.remove([name])
        except StorageFailed as error:
            return str(error)
        return None

    def _list(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        with self._storage_failed(f"cannot list {folder}"):
            try:
                self._system.invalidate_cache()  # another machine may have written
                found = self._system.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return []
        named = [(entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in found]
        return [(name, entry) for name, entry in named if name and name != folder.rpartition("/")[2]]

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _make_folder_of(self, name: str) -> None:
        """Makes a file's folder, if the storage has folders."""
        if self._kinds & FOLDERLESS:
            return
        folder = self._at(name).rpartition("/")[0]
        if "file" in self._kinds:
            make_folder(Path(folder))  # mode 0700
        else:
            self._system.makedirs(folder, exist_ok=True)

    @contextlib.contextmanager
    def _storage_failed(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each backend has its own errors
            raise StorageFailed(f"storage {self.url}: {what}: {_line(error)}") from None


def _line(error: Exception) -> str:
    """Returns the message of an error in one line without secrets."""
    if isinstance(error, OSError) and error.strerror:
        return redact(error.strerror)
    if isinstance(error, FileNotFoundError) and " " not in str(error):  # only a name
        return f"there is no {redact(str(error))}"
    return first_line(error).rstrip(".")
