"""The whole way round in a real browser: console, provider, and back with a session."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import PATIENCE_MS
from tests.running import RunningServer, free_port, tillit

PEOPLE = [
    {"sub": "ana", "email": "ana@shop.example", "email_verified": True, "name": "Ana"},
    {"sub": "bo", "email": "bo@shop.example", "email_verified": False, "name": "Bo"},
    {"sub": "cem", "email": "cem@elsewhere.example", "email_verified": True, "name": "Cem"},
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """An OpenID provider on this machine, in a process of its own."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    people = [word for one in PEOPLE for word in ("--user-claims", json.dumps(one))]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "-n", "true", *people],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=5):
                    break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Iterator[RunningServer]:
    server = RunningServer(tmp_path_factory.mktemp("sso") / "shop")
    (server.workspace / "oidc.secret").write_text("s3cret\n")
    (server.workspace / "tillit.toml").write_text(
        f'[console.oidc]\nissuer = "{issuer}"\nname = "the shop"\nclient_id = "console"\n'
        'client_secret_file = "oidc.secret"\nemail_domains = ["shop.example"]\ncreate = true\nrole = "editor"\n'
    )
    with server:
        yield server


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page


def sign_in_as(page: Page, shop: RunningServer, sub: str, *, path: str = "/console/sources") -> None:
    page.goto(shop.url + path)
    page.get_by_role("link", name="Sign in with the shop").click()
    page.get_by_role("button", name=sub, exact=True).click()


def test_a_new_colleague_comes_in_and_where_they_wanted_to_go(shop: RunningServer, page: Page) -> None:
    sign_in_as(page, shop, "ana")
    page.wait_for_url(shop.url + "/console/sources")

    expect(page.locator(".me")).to_contain_text("Ana")
    expect(page.locator(".me")).to_contain_text("editor")
    cookies = {cookie["name"].rpartition("_")[2]: cookie for cookie in page.context.cookies()}
    [session] = [cookie for cookie in page.context.cookies() if cookie["path"] == "/console"]
    assert session["httpOnly"]
    assert session["sameSite"] == "Strict"
    assert "away" not in cookies
    listed = json.loads(tillit("operators", "list", "--workspace", str(shop.workspace), "--json"))["operators"]
    assert [(one["login"], one["role"], one["has_sso"]) for one in listed] == [("ana@shop.example", "editor", True)]


@pytest.mark.parametrize(
    ("sub", "word"), [("bo", "has not verified"), ("cem", "of this domain")], ids=["not verified", "elsewhere"]
)
def test_whom_the_provider_does_not_vouch_for_stays_outside(
    shop: RunningServer, page: Page, sub: str, word: str
) -> None:
    sign_in_as(page, shop, sub)

    expect(page.locator("#fault")).to_contain_text(word)
    assert [cookie for cookie in page.context.cookies() if cookie["path"] == "/console"] == []


def test_whoever_says_no_there_is_told_so_here(shop: RunningServer, page: Page) -> None:
    page.goto(shop.url + "/console")
    page.get_by_role("link", name="Sign in with the shop").click()
    page.get_by_role("button", name="Deny").click()

    expect(page.locator("#fault")).to_contain_text("refused")


def test_an_answer_planted_in_another_browser_opens_nothing(shop: RunningServer, page: Page, chromium: Browser) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    sign_in_as(page, shop, "ana")
    page.wait_for_url(shop.url + "/console/sources")
    [answer] = [address for address in addresses if "/console/enter/return?" in address]
    with closing(chromium.new_context()) as context:
        victim = context.new_page()
        victim.goto(answer)

        expect(victim.locator("#fault")).to_contain_text("this browser did not ask for it")
        assert context.cookies() == []


def test_nothing_of_it_is_in_what_the_server_says(shop: RunningServer) -> None:
    said = shop.last_words(100_000)

    assert [word for word in ("s3cret", "ana@", "code=", "eyJ") if word in said] == []
