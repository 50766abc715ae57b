"""Makes README's pictures from a real study: its report (PNG) and its live view (SVG), below 200 KB each.

    python docs/pictures.py STUDY --home mlruns          writes docs/images/report.png and docs/images/terminal.svg
    python docs/pictures.py STUDY --home mlruns --share 0.7   the terminal as it was after 70% of the journal

A journal only grows, so its beginning is the study as it was then. The report is drawn by Chromium (the package
playwright, of the extra `dev`, and a chromium on PATH), the terminal by rich.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

import hpsearch
from hpsearch import journal
from hpsearch.displays.bars import UNICODE
from hpsearch.displays.frame import Frame, rows
from hpsearch.displays.live.plan import Plan
from hpsearch.displays.live.state import LiveState
from hpsearch.displays.terminal import finished_in
from hpsearch.journal.history import History

IMAGES = Path(__file__).parent / "images"
MOST_BYTES = 200_000
WIDTH = 1100  # pixels of the report
PARTS = ("header", "main > section", "#curves", "#parameters .wide")  # of the report, one below the other
COLUMNS, SCROLLED = 100, 9  # of the terminal; trials that have scrolled up


def report_png(study: str, home: Path) -> bytes:
    """Parts of the report, one below the other: what was found, the curves, the parallel coordinates."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = hpsearch.report(study, Path(folder) / "report.html", home=home)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        shown.goto(page.as_uri())
        shown.wait_for_selector("html[data-ready=yes]")
        parts = [_part(shown, selector) for selector in PARTS]
        browser.close()
    return _compressed(_stacked(parts))


def _part(shown: Any, selector: str) -> Image.Image:
    """A part of the page, drawn."""
    part = shown.locator(selector).first
    part.scroll_into_view_if_needed()
    for plot in part.locator(".plot").all():
        plot.locator("svg.main-svg").first.wait_for()
    return Image.open(io.BytesIO(part.screenshot())).convert("RGB")


def _stacked(parts: list[Image.Image], *, gap: int = 12) -> Image.Image:
    """Pictures below each other, on the page's ground."""
    height = sum(part.height + gap for part in parts)
    found = Image.new("RGB", (max(part.width for part in parts), height), "#f6f7f9")
    y = 0
    for part in parts:
        found.paste(part, ((found.width - part.width) // 2, y))
        y += part.height + gap
    return found


def _compressed(image: Image.Image) -> bytes:
    """A PNG below MOST_BYTES: with fewer colours until it is."""
    for colours in (256, 128, 64, 32, 16):
        found = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(found, "PNG", optimize=True)
        if found.tell() < MOST_BYTES:
            return found.getvalue()
    raise SystemExit(f"the picture has more than {MOST_BYTES} bytes with 16 colours")


def terminal(study: str, home: Path, share: float) -> Console:
    """The live view of a study as it was after a share of its journal, recorded."""
    entries = list(journal.iterate(home / study / "journal.jsonl"))
    history = History.of(entries[: round(share * len(entries))])
    to = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    to.print(Text(f"$ hpsearch run {study}.yaml", style="bold"))
    for line in _scrolled(history):
        to.print(line)
    state = LiveState.of(history, Plan.recorded(history), at=history.last)
    for row in rows(state, Frame(COLUMNS, 40, UNICODE, history.last)):
        to.print(row)
    return to


def _scrolled(history: History) -> Iterator[Text]:
    """The lines of the trials that have ended last."""
    for n in history.finished[-SCROLLED:]:
        ended = history.finished[: history.finished.index(n) + 1]
        best = history.best(among=ended)
        is_best = best is not None and best.number == n
        line = finished_in(history.trials[n], COLUMNS, history.default(), UNICODE.cut, is_best=is_best)
        yield line if isinstance(line, Text) else Text.from_markup(line)


def main() -> None:
    """Writes both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--home", type=Path, default=Path("mlruns"))
    parser.add_argument("--share", type=float, default=0.6, help="of the journal that the terminal shows")
    given = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    svg = terminal(given.study, given.home, given.share).export_svg(title="hpsearch", theme=MONOKAI)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # of a web server; the next font is monospace
    for name, content in (("terminal.svg", svg.encode()), ("report.png", report_png(given.study, given.home))):
        (IMAGES / name).write_bytes(content)
        print(f"{IMAGES / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
