"""A headless Chromium for tests: `browser_page`, with what its console said and what it asked the net for.

It takes the Chromium that is on PATH; tests that need one skip themselves without.
"""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none")
LOCAL = ("file:", "data:", "blob:", "about:")  # how addresses begin that no network is needed for


@dataclass
class BrowserPage:
    """A page of the browser, and what was heard from it since it was opened."""

    page: Any  # playwright.sync_api.Page
    errors: list[str] = field(default_factory=list)  # of the console, and exceptions that nothing caught
    requests: list[str] = field(default_factory=list)  # addresses asked for over a network, localhost included

    def listen(self):
        """Collects from now on."""
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda asked: asked.url.startswith(LOCAL) or self.requests.append(asked.url))
        return self


@pytest.fixture(scope="module")
def browser():
    """A browser for the tests of one file: Playwright's event loop must not outlive them."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no chromium on PATH")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield launched
        launched.close()


@pytest.fixture
def browser_page(browser):
    """A BrowserPage of its own for a test: 1280 x 800, light, no cookies; `page.emulate_media` sets dark or print."""
    with opened_page(browser) as found:
        yield found


@contextmanager
def opened_page(browser):
    """The same for fixtures of a wider scope."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(60_000)  # a shared machine is slow at times
    yield BrowserPage(context.new_page()).listen()
    context.close()
