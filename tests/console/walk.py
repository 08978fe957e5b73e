"""Every page of the console, found by following its links and held against the list of routes.

In:    a served workspace and somebody's session.
Out:   one address for each route that shows a page.
Never: a page that is only tested because somebody thought of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tillit.console.desk import Desk
from tillit.console.pages import list_routes
from tillit.console.render import Pages
from tillit.workspace import Workspace, create_workspace

# Routes that are asked with GET and show no page of their own.
NO_PAGE = {
    "/console/live/stream": "a stream of events",
    "/console/enter": "the way in; somebody with a session has passed it",
    "/console/enter/sso": "sends the browser to the provider",
    "/console/enter/return": "where the provider sends it back",
    "/console/sources/keys/{key_id}/heard": "a part that a script asks for",
    "/console/imports/{upload_id}/rejects/{kind}": "a file to keep",
    "/console/privacy/processing.json": "a file to keep",
    "/console/privacy/ledger/{entry}/proof": "a file to keep",
}


class RouteOf(NamedTuple):
    """One route, as its own declaration says."""

    method: str
    template: str  # /console/customers/{profile_id}
    role: str  # empty: open

    def fits(self, path: str) -> bool:
        """Say whether a path is one of this route's."""
        return re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", self.template), path) is not None


def routes_of(folder: Path) -> list[RouteOf]:
    """Read the live list of routes; the folder becomes a workspace."""
    create_workspace(folder)
    with Workspace(folder) as workspace:
        handlers = list_routes(Desk(workspace, Pages("walk")))
    return sorted(
        {
            RouteOf(method, re.sub(r":\w+\}", "}", path), handler.opt.get("role", ""))
            for handler in handlers
            for path in handler.paths
            for method in handler.http_methods
        }
    )


def addresses_of(page: Page, root: str, routes: list[RouteOf], *, most: int = 60) -> dict[str, str]:
    """Follow links from the first page on; give one address for each route that was met."""
    pages = [route for route in routes if route.method == "GET" and route.template not in NO_PAGE]
    # The most particular first: /console/imports/new is no import by the name of new.
    pages.sort(key=lambda route: (route.template.count("{"), route.template))
    found: dict[str, str] = {}
    waiting = ["/console"]
    n_looked = 0
    while waiting and n_looked < most:
        path = waiting.pop(0)
        route = next((route for route in pages if route.fits(path)), None)
        if route is None or route.template in found:
            continue
        found[route.template] = path
        answer = page.goto(root + path)
        assert answer is not None, f"{path} answered nothing"
        assert answer.status == 200, f"a link leads to {path}, which answered {answer.status}"
        n_looked += 1
        links = page.locator('a[href^="/console"]').evaluate_all("links => links.map(link => link.href)")
        waiting += [urlsplit(link).path for link in links]
    return found
