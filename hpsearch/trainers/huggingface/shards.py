"""Whether the weights in a folder are whole, by the headers of its safetensors files.

A header has the size of every weight, so that a file that is cut short is known without its weights being read. It
imports neither torch nor transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from hpsearch.errors import UserError
from hpsearch.output.error_lines import first_line

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
POINTER = b"version https://git-lfs"  # the first bytes of a file in place of one that git lfs keeps


def check_whole(folder: Path, name: str) -> None:
    """Raises UserError, with the path, for a file of weights that is damaged, cut short or missing.

    name: of the folder, as the user gave it.
    """
    for file in _files(folder, name):
        path, said = folder / file, f"{name.rstrip('/')}/{file}"
        if not path.is_file():
            raise UserError(f"{said}: no such file, and {INDEX} beside it names it; copy the whole checkpoint again")
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            raise UserError(f"{said}: {_reason(path, error)}") from error


def _files(folder: Path, name: str) -> Iterator[str]:
    """The names of the files that transformers reads weights from: one, or the shards that an index names."""
    if (folder / SINGLE).is_file():
        yield SINGLE
    elif (folder / INDEX).is_file():
        try:
            found = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
            yield from sorted({str(file) for file in found})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{name.rstrip('/')}/{INDEX}: is no index of weights; copy it again") from error


def _reason(path: Path, error: Exception) -> str:
    """Why a file cannot be read, and what helps."""
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or first_line(error)})"
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            return "a pointer of Git LFS in place of the weights; git lfs pull fetches them"
    return f"the file is damaged or cut short ({first_line(error)}); copy it again"
