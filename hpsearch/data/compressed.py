"""Compressed files (.gz, .bz2, .xz, .zst, .zip) as streams of bytes; refuses decompression bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from hpsearch.errors import DataError

ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zip")
MAX_UNPACKED = 16 << 20  # bytes; below it a file may unpack to any multiple of its size ...
MAX_RATIO = 200  # ... and above it to this multiple (text compresses 3 to 20 times)
MAX_DICTIONARY = 256 << 20  # bytes of memory that unpacking an .xz may use
DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Part:
    """A file, or one member of a .zip."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def name(self) -> str:
        """The file's name without the ending of its compression."""
        return unpacked_name(self.path) if self.member is None else self.member.rpartition("/")[2]

    @property
    def packed(self) -> bool:
        """Whether the file is compressed."""
        return packing(self.path) != ""


def packing(path: Path) -> str:
    """The file's ending if it is compressed, else an empty text."""
    return path.suffix.lower() if path.suffix.lower() in ENDINGS else ""


def unpacked_name(path: Path) -> str:
    """The file's name without the ending of its compression."""
    return path.name[: len(path.name) - len(packing(path))]


def parts(path: Path) -> list[Part]:
    """The file itself, or the members of a .zip sorted by name, without hidden ones and those of macOS.

    Raises DataError for a .zip that is empty, encrypted or has overlapping members.
    """
    if packing(path) != ".zip":
        return [Part(path)]
    with data_errors(path), zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not _is_hidden(m.filename)]
    if not members:
        raise DataError(f"{path}: the archive is empty")
    if sum(m.compress_size for m in members) > path.stat().st_size:
        raise DataError(f"{path}: its members overlap, as in a decompression bomb")
    if any(m.flag_bits & 1 for m in members):
        raise DataError(f"{path}: it is encrypted; unpack it first")
    return [Part(path, m.filename) for m in sorted(members, key=lambda m: m.filename)]


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def opened(part: Part) -> IO[bytes]:
    """Opens the part as a stream of its unpacked bytes."""
    return _OPENERS.get(packing(part.path), _plain)(part)


def check_unpacked(part: Part) -> None:
    """Raises DataError for a compressed file that is truncated or a decompression bomb."""
    if part.packed:
        with data_errors(part.path):
            about = part.path.stat()
        _check_unpacked(part, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)  # a table is opened several times: for its encoding, its columns, its rows
def _check_unpacked(part: Part, size: int, changed: int) -> None:
    limit, unpacked = max(MAX_UNPACKED, MAX_RATIO * size), 0
    with data_errors(part.path), opened(part) as stream:
        while block := stream.read(1 << 20):
            unpacked += len(block)
            if unpacked > limit:
                raise DataError(f"{part}: unpacks to more than {MAX_RATIO} times its size, which text does not")


class data_errors:  # noqa: N801 - reads as a word in `with`
    """Turns an OSError, or the error of a damaged compressed file, into a DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        ending = packing(self.path)
        damaged = isinstance(error, DAMAGED) or (isinstance(error, OSError) and error.errno is None)
        if ending and (damaged or isinstance(error, (NotImplementedError, RuntimeError))):
            raise DataError(f"{self.path}: not a whole {ending} file ({error})") from None
        if isinstance(error, OSError):
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from None


# ---------------------------------------------------------------------------------------------------------- by ending


def _plain(part: Part) -> IO[bytes]:
    return part.path.open("rb")


def _gz(part: Part) -> IO[bytes]:
    return gzip.open(part.path, "rb")  # type: ignore[return-value]


def _bz2(part: Part) -> IO[bytes]:
    return bz2.open(part.path, "rb")


def _xz(part: Part) -> IO[bytes]:
    with part.path.open("rb") as stream:  # LZMAFile has no memory limit, LZMADecompressor has one
        lzma.LZMADecompressor(memlimit=MAX_DICTIONARY).decompress(stream.read(4096), max_length=1)
    return lzma.open(part.path, "rb")


def _zst(part: Part) -> IO[bytes]:
    import pyarrow  # Python itself unpacks zstd only from 3.14 on; imported here, because it is slow

    return io.BufferedReader(pyarrow.input_stream(str(part.path), compression="zstd"))


def _zip(part: Part) -> IO[bytes]:
    stream = zipfile.ZipFile(part.path).open(str(part.member))  # noqa: SIM115 - the member keeps its archive open
    return io.BufferedReader(stream)  # type: ignore[type-var]


_OPENERS: dict[str, Callable[[Part], IO[bytes]]] = {".gz": _gz, ".bz2": _bz2, ".xz": _xz, ".zst": _zst, ".zip": _zip}
