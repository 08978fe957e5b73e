"""Picture every page of the console, light and dark: `make screenshots`.

In:    Debian's Chromium, a free port.
Out:   docs/images/console/<page>-<light|dark>.png, and docs/reference/console.md, which shows them.
Never: a page that is left out: they are found by following links.
"""

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser import ARGUMENTS, find_chromium
from tests.console.walk import addresses_of, routes_of
from tillit.clock import monotonic_s

_FOLDER = Path("docs/images/console")
_PAGE = Path("docs/reference/console.md")
_SIZE: ViewportSize = {"width": 1280, "height": 860}
_START_S = 120.0
# A page is pictured when the shop has been open for a while: the first minutes of a demo are its past arriving.
_OPEN_S = 20.0
_RULES = "namespaces:\n  user_id: {limit: 2 ever}\n  phone: {strength: weak}\n"


@contextmanager
def _demo() -> Iterator[tuple[str, str]]:
    """Run a demo shop; give its address and the link that opens its console."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tillit", "demo", "--port", str(port), "--no-browser", "--seed", "7"]
    with tempfile.TemporaryFile("w+") as talk:
        process = subprocess.Popen(command, stdout=talk, stderr=subprocess.STDOUT)
        try:
            deadline = monotonic_s() + _START_S
            while monotonic_s() < deadline:
                talk.seek(0)
                found = re.search(r"(http://\S+?)/console/enter\?token=[\w-]+", talk.read())
                if found is not None:
                    time.sleep(_OPEN_S)
                    yield found[1], found[0]
                    return
                time.sleep(0.5)
            raise SystemExit("The demo did not start; run `tillit demo --no-browser` to see why.")
        finally:
            process.terminate()
            process.wait(30)


def _name(template: str) -> str:
    """Give the file's name of a page.

    >>> _name("/console"), _name("/console/customers/{profile_id}")
    ('overview', 'customers-profile_id')
    """
    words = template.removeprefix("/console").strip("/").replace("{", "").replace("}", "")
    return words.replace("/", "-") or "overview"


def _picture(page: Page, root: str, path: str, file: Path) -> str:
    page.goto(root + path)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1_500)  # streams and charts fill in after the load
    page.screenshot(path=file)
    return page.title().partition(" · ")[0]


def _try_rules(page: Page, root: str) -> None:
    """Let the page of identity rules show what others would change."""
    page.goto(f"{root}/console/identity/rules")
    page.get_by_label("The rules, as YAML").fill(_RULES)
    page.get_by_role("button", name="Try these rules").click()
    page.locator("#plan").wait_for(timeout=_START_S * 1_000)


def _open_request(page: Page, root: str) -> None:
    """Let a customer ask for their data, so that there is a request to show."""
    page.goto(f"{root}/console/customers")
    page.locator(".people a").first.click()
    page.locator("#may").get_by_text("Open a request").click()
    page.get_by_label("Where their word is kept").fill("ticket-4711")
    page.get_by_role("button", name="Open it").click()
    page.wait_for_url("**/console/privacy/requests/r*")


def _build_audience(page: Page, root: str) -> None:
    """Build an audience and a feature, so that there are some to show."""
    page.goto(f"{root}/console/audiences/new?example=lapsing")
    page.get_by_role("button", name="Try it").click()
    _put_in_force(page)
    page.goto(f"{root}/console/features/new")
    page.get_by_role("textbox", name="Title", exact=True).fill("Orders")
    page.get_by_label("Value 1: name").fill("Order Completed")
    page.get_by_role("button", name="Try it").click()
    _put_in_force(page)
    # Its history is read once it is in force.
    page.wait_for_timeout(_OPEN_S * 1_000)


def _put_in_force(page: Page) -> None:
    page.get_by_label("Why?").wait_for(timeout=_START_S * 1_000)
    page.get_by_label("Why?").fill("to show how it looks")
    page.get_by_role("button", name="Put it in force").click()
    page.wait_for_url("**?told=applied")


def main() -> int:
    """Write all pictures and the page that shows them."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for old in _FOLDER.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        routes = routes_of(Path(folder) / "shop")
    lines = ["# The console's pages", "", "Written by `make screenshots` from `tillit demo --seed 7`.", ""]
    with sync_playwright() as playwright, _demo() as (root, link):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        entered = browser.new_context()
        page = entered.new_page()
        page.goto(link)
        page.wait_for_url(root + "/console")
        session = entered.storage_state()
        _open_request(page, root)
        _build_audience(page, root)
        addresses = addresses_of(page, root, routes)
        _try_rules(page, root)
        for template, path in sorted(addresses.items()):
            title = ""
            for scheme in ("light", "dark"):
                context = browser.new_context(storage_state=session, color_scheme=scheme, viewport=_SIZE)
                title = _picture(context.new_page(), root, path, _FOLDER / f"{_name(template)}-{scheme}.png")
                context.close()
            name = _name(template)
            lines += [
                f"## {title}",
                "",
                f"`{template}`",
                "",
                f"![{title}, light](../images/console/{name}-light.png)",
                f"![{title}, dark](../images/console/{name}-dark.png)",
                "",
            ]
            print(f"{template}  {title}", flush=True)
        browser.close()
    _PAGE.write_text("\n".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
