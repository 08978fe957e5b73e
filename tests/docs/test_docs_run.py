"""Every block of the pages runs as written, in order, and prints what the page shows."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.docs.page_blocks import Block, difference, read_page
from tests.docs.reader import Reader
from tests.engines import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NODE_MODULES = ROOT / "tests" / "sdk" / "node_modules"

# A page, and the heading under which its blocks run; None is the whole page.
PAGES = [
    (ROOT / "README.md", "Five minutes to your own first event"),
    *((page, None) for folder in ("tutorial", "how-to") for page in sorted((DOCS / folder).glob("*.md"))),
]

# Why a block may stay unrun. A reason that no page gives any more is an error too.
REASONS_NOT_TO_RUN = {
    "sets up the clone; the suite stands in one that is set up",
    "installs a package; the suite brings its own copies",
    "needs a bundler; the suite runs the same package in a browser",
    "needs an Android project",
    "needs an iOS project",
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("page", "section"), PAGES, ids=[page.stem for page, _ in PAGES])
def test_a_page_does_what_it_says(
    page: Path,
    section: str | None,
    tmp_path: Path,
    chromium: Browser,
    request: pytest.FixtureRequest,
) -> None:
    steps = read_page(page, section=section)
    replace = {"DATABASE_URL": cache(lambda: empty_database(request.getfixturevalue("postgres")))}

    with Reader(tmp_path, browser=chromium, replace=replace, links={"node_modules": NODE_MODULES}) as reader:
        for step in steps:
            reader.do(step)

    assert steps, f"{page.name} has nothing to run"


def empty_database(server: PostgresServer) -> str:
    """Make a database that nobody has used, and give its address."""
    name = f"docs_{uuid.uuid4().hex[:12]}"
    server.ask(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    return urlsplit(server.address)._replace(path=f"/{name}").geturl()


def test_what_does_not_run_says_why() -> None:
    given = {
        (block.not_run, f"{page.name}:{block.line}")
        for page, section in PAGES
        for block in read_page(page, section=section)
        if isinstance(block, Block) and block.not_run is not None
    }
    without_leave = sorted(where for reason, where in given if reason not in REASONS_NOT_TO_RUN)

    assert without_leave == []
    assert sorted(REASONS_NOT_TO_RUN - {reason for reason, _ in given}) == []


def test_an_output_may_differ_in_ids_and_times_only() -> None:
    shown = "e1-1  2026-03-01T09:00:00Z  Order Completed\n…\n3 events"

    assert difference(shown, "e1-77 2027-01-01T10:11:12.5Z Order Completed\nmore\nlines\n3 events\n") is None
    assert difference(shown, "e1-77 2027-01-01T10:11:12.5Z Order Completed\nmore\n4 events\n") is not None
    assert difference("+3 events", "+3 events, 1 rejected") is not None
