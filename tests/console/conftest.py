"""Give the console's tests a real server, a real browser and somebody who was let in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    StorageState,
)

from tests.console.desk_in_process import DeskInProcess
from tests.running import RunningServer, typed

PATIENCE_MS = 20_000  # the machine that runs the suite may be busy with the rest of it


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One `tillit serve` for all tests of this folder; each test brings customers nobody else knows."""
    with RunningServer(tmp_path_factory.mktemp("console") / "shop") as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskInProcess]:
    """A workspace of its own with an admin at the desk, whose clock stands still."""
    sitting = DeskInProcess(tmp_path / "shop")
    yield sitting
    sitting.close()


def link_of(server: RunningServer) -> str:
    """Print a link that opens the console once, as a colleague does."""
    said = typed("console", "link", "--workspace", str(server.workspace))
    found = re.search(r"/console/enter\?token=[\w-]+", said)
    assert found is not None, said
    return server.url + found[0]


@pytest.fixture(scope="module")
def session(server: RunningServer, chromium: Browser) -> StorageState:
    """Open the console once with a printed link and keep the session."""
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(link_of(server))
        page.wait_for_url(server.url + "/console")
        return context.storage_state()


class Watched:
    """What a browser complained about while a test ran, and what it asked for."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.dialogs: list[str] = []

    def watch(self, page: Page) -> None:
        def complain(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                self.complaints.append(message.text)

        def ask(request: Request) -> None:
            self.addresses.append(request.url)

        def hear(dialog: Dialog) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("console", complain)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", ask)
        page.on("dialog", hear)


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Fail a test whose pages raised an error, broke the content policy or opened a dialog."""
    watching = Watched()
    yield watching
    assert watching.complaints == []
    assert watching.dialogs == []


Opening = Callable[..., Page]


@pytest.fixture
def open_page(server: RunningServer, chromium: Browser, session: StorageState, watched: Watched) -> Iterator[Opening]:
    """Open a page of the console as somebody who was let in: `open_page("/console", color_scheme="dark")`."""
    contexts: list[BrowserContext] = []

    def opening(path: str, **look: object) -> Page:
        context = chromium.new_context(storage_state=session, **look)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        watched.watch(page)
        page.goto(server.url + path)
        return page

    yield opening
    for context in contexts:
        context.close()
