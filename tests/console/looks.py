"""What axe finds serious on a page, in light and dark, and what is wider than the window.

In:    a page that is open, in light.
Out:   faults as lines of text.
Never: what axe finds less than serious.
"""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Page

# Nothing else of what axe looks at changes with the colours: its other rules read the document's structure.
_OF_COLOUR = ["color-contrast", "link-in-text-block"]


def serious(page: Page, *, within: str | None = None, rules: list[str] | None = None) -> list[str]:
    """Name what axe finds serious or worse, by all its rules or by these."""
    options: dict[str, Any] = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    return [
        f"{one['id']}: {node['html'][:140]} {node['any'][:1]}"
        for one in Axe().run(page, context=within, options=options).response["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"][:3]
    ]


def faults_in_light_and_dark(page: Page, *, within: str | None = None) -> list[str]:
    """Look at a page in light, then at its colours in dark, without loading it twice; is it wider than the window?"""
    n_beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    faults = [f"{n_beyond} px wider than the window"] if n_beyond > 0 else []
    faults += serious(page, within=within)
    page.emulate_media(color_scheme="dark")
    faults += [f"in dark {one}" for one in serious(page, within=within, rules=_OF_COLOUR)]
    page.emulate_media(color_scheme="light")
    return faults
