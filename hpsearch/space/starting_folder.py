"""Where the relative paths of a file start from, for errors about what is not there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hpsearch.document.document import Document

_MISSING = re.compile(
    r"(?P<name>\S+): (?:no such (?:file|folder)|no file has a name like this)"
    r"|no program '(?P<program>[^']*/[^']*)'"
    r"|(?P<module>\w+)(?:\.\w+)*:\w+: cannot be imported \(ModuleNotFoundError: No module named '(?P=module)'"
)


def with_start(text: str, document: Document) -> str:
    """An error's text; where a relative path in the file leads to nothing, with the folder that it starts from."""
    found = _MISSING.search(text)
    if found is None:
        return text
    base = document.value.get("base")
    start = Path(document.path).parent / (base if isinstance(base, str) else ".")
    name = next(filter(None, found.groups())).strip("'\"")
    joined = name.startswith(f"{start}{os.sep}")
    if name.startswith((os.sep, "~")) and not joined:
        return text
    folder = os.path.abspath(start)
    if isinstance(base, str) and document.values:
        gone = "which is not there" if not os.path.isdir(folder) else "which may no longer fit"
        place = document.where("base")
        return f"{text}; its path begins in {folder} ({place}: base), {gone}: was this file moved? Mend base"
    return text if joined or folder == os.getcwd() else f"{text}; its path begins in {folder}"
