"""Give the SDK tests a real server, a real browser and a proxy that fails on demand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.running import RunningServer
from tests.sdk.page_server import PageServer
from tests.sdk.sdks import missing

# Debian's name first; the others are what the same browser is called elsewhere.
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def sdk_packages() -> None:
    """Fail, not skip: a matrix without its SDKs has shown nothing."""
    if wrong := missing():
        pytest.fail(
            f"tests/sdk/node_modules lacks {', '.join(wrong)}. Run:\n"
            "npm install --no-package-lock --ignore-scripts --prefix tests/sdk",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One `tillit serve` for all tests of this folder; each test brings customers nobody else knows."""
    with RunningServer(tmp_path_factory.mktemp("sdk") / "shop") as running:
        yield running


@pytest.fixture(scope="session")
def pages() -> Iterator[PageServer]:
    """The shop's own site, at another origin than the server."""
    with PageServer() as site:
        yield site


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    program = next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail("Chromium is not installed. Run: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        yield browser
        browser.close()
