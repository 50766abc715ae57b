"""The tables of docs/space.md: a row for each key, with the words of its field.

`python -m hpsearch.preflight.reference.page docs/space.md` writes them into the page; a test compares the two.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hpsearch.preflight.reference.keys import SET, Key, keys
from hpsearch.trainers import Trainer, default

TABLE = re.compile(r"(<!-- keys: ([a-z, ]+) -->\n).*?(<!-- end -->)", re.S)


def rewritten(page: str, trainer: Trainer) -> str:
    """The page with its tables (`<!-- keys: SECTION, ... -->` to `<!-- end -->`) as the fields have them."""
    every = keys(trainer)

    def table(found: re.Match[str]) -> str:
        sections = found[2].replace(" ", "").split(",")
        rows = [_row(key, whole=len(sections) > 1) for section in sections for key in every if key.section == section]
        return "\n".join([f"{found[1]}\n| key | default | |", "|---|---|---|", *rows, "", found[3]])

    return TABLE.sub(table, page)


def _row(key: Key, *, whole: bool) -> str:
    """A row; `whole`: with the name of the section."""
    name = (
        key.path if whole or "." not in key.path else key.path.removeprefix(f"{SET}.").removeprefix(f"{key.section}.")
    )
    name = name.removeprefix(f"{SET}.")
    usual = key.default or ""
    code = f"`{usual}`" if re.fullmatch(r"[a-z_]+", usual) and usual not in ("true", "false") else usual
    return f"| `{name}` | {code} | {key.description.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text("utf-8"), default()), "utf-8")
