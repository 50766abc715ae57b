"""Programs and files cut out of the documents, so that tests execute what is printed."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def block(page, first_line):
    """Returns the block of code of a page in docs/ that begins with this line."""
    [found] = re.findall(rf"^```\w+\n({re.escape(first_line)}\n.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    return found
