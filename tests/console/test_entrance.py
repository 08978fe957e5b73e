"""Nobody sees a page without a session, and a session begins with a link that works once."""

from __future__ import annotations

import re
from contextlib import closing
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.console.conftest import PATIENCE_MS, link_of
from tests.running import Answer, RunningServer
from tillit.console.sessions import form_token_of

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(server: RunningServer, path: str, *, site: str = "same-origin", cookie: str = "", **fields: str) -> Answer:
    headers = {**FORM, "Sec-Fetch-Site": site, "Cookie": cookie}
    return server.request("POST", path, body=urlencode(fields).encode(), headers=headers)


def token_of(server: RunningServer) -> str:
    return link_of(server).partition("token=")[2]


def cookie_from(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/",
        "/console/customers",
        "/console/customers/p0000000000001",
        "/console/events/e1-1",
        "/console/live/stream",
        "/console/quarantine",
        "/console/sources",
        "/console/enter/x",
        "/console/nowhere",
        "/console//customers",
        "/console/static/../customers",
    ],
)
def test_without_a_session_every_page_is_closed_and_says_how_to_open_it(server: RunningServer, path: str) -> None:
    for cookie in ("", "tillit_00000000=guess", "a=b; ; =;"):
        answer = server.request("GET", path, headers={"Cookie": cookie})

        assert answer.status in ({404} if "static" in path else {401}), (path, answer.status)
        if answer.status == 401:
            assert b"tillit console link" in answer.body


def test_a_link_opens_once_and_looking_at_it_spends_nothing(server: RunningServer) -> None:
    token = token_of(server)

    looks = [server.request("GET", f"/console/enter?token={token}") for _ in range(2)]
    first = post(server, "/console/enter", token=token)
    second = post(server, "/console/enter", token=token)
    page = server.request("GET", "/console/sources", headers={"Cookie": cookie_from(first)})

    assert [look.status for look in looks] == [200, 200]
    assert all("set-cookie" not in look.headers for look in looks)
    assert (first.status, first.headers["location"]) == (303, "/console")
    assert re.search(r"HttpOnly", first.headers["set-cookie"])
    assert re.search(r"SameSite=strict", first.headers["set-cookie"], flags=re.IGNORECASE)
    assert "Path=/console" in first.headers["set-cookie"]
    assert second.status == 401
    assert page.status == 200


def test_signing_out_ends_the_session(server: RunningServer) -> None:
    cookie = cookie_from(post(server, "/console/enter", token=token_of(server)))

    left = post(server, "/console/leave", cookie=cookie, form_token=form_token_of(cookie.partition("=")[2]))
    page = server.request("GET", "/console", headers={"Cookie": cookie})

    assert left.status == 303
    assert page.status == 401


def test_a_form_of_another_site_is_refused(server: RunningServer) -> None:
    token = token_of(server)
    cookie = cookie_from(post(server, "/console/enter", token=token_of(server)))

    statuses = [
        post(server, "/console/enter", site="cross-site", token=token).status,
        post(server, "/console/customers", site="cross-site", cookie=cookie, query="a").status,
        server.request("POST", "/console/customers", body=b"query=a", headers={**FORM, "Cookie": cookie}).status,
        server.request(
            "POST",
            "/console/customers",
            body=b"query=a",
            headers={**FORM, "Cookie": cookie, "Origin": "http://elsewhere.example"},
        ).status,
    ]

    assert statuses == [403, 403, 403, 403]


def test_every_answer_carries_the_strict_policy_and_is_not_kept(server: RunningServer) -> None:
    cookie = cookie_from(post(server, "/console/enter", token=token_of(server)))
    paths = ("/console", "/console/customers", "/console/nowhere", "/console/enter", "/console/sources")
    answers = [server.request("GET", path, headers={"Cookie": cookie}) for path in paths]
    answers.append(server.request("GET", "/console"))

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        # Inside tags only: what customers wrote stands in the text, escaped, and may look like anything.
        assert not re.search(rb"<style|<script(?![^>]*\ssrc=)|<[^>]*\s(?:style|on\w+)=", answer.body)


def test_the_token_leaves_the_address_and_the_history(server: RunningServer, chromium: Browser) -> None:
    link = link_of(server)
    token = link.partition("token=")[2]
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(link)
        page.wait_for_url(server.url + "/console")
        after = page.url
        page.go_back()

        assert token not in after
        assert token not in page.url
