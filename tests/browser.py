"""Debian's Chromium, driven by Playwright, for every test that opens a page.

In:    an installed Chromium.
Out:   `chromium`, a running browser for the tests of one module.
Never: longer than that. While it runs, Playwright's event loop is the running one, and tests with a loop of their own
       could not share the process.
"""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

# Debian's name first; the others are what the same browser is called elsewhere.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def find_chromium() -> str | None:
    """Give the path of the installed browser."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the browser once for a module's tests."""
    program = find_chromium()
    if program is None:
        pytest.fail("Chromium is not installed. Run: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()
