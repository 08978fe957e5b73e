"""Turn views into HTML.

In:    a template's name and what it shows.
Out:   HTML in which everything that customers or senders wrote is text.
Never: a template that switches escaping off; an undefined value shown as nothing.
"""

import hashlib
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from tillit.console.navigation import list_places

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """One file of ours that pages load."""

    content: bytes
    media_type: str
    version: str  # of its content: an address that changes when the file does may be kept for ever


def load_assets() -> dict[str, Asset]:
    """Read every static file once; other people's lie in a folder of their own."""
    static = files("tillit.console").joinpath("static")
    found = {}
    for folder in ("", "vendor/"):
        for file in static.joinpath(folder).iterdir():
            kind = _KINDS.get(f".{file.name.rpartition('.')[2]}")
            if kind is not None:
                content = file.read_bytes()
                found[folder + file.name] = Asset(content, kind, hashlib.sha256(content).hexdigest()[:12])
    return found


class Pages:
    """The templates, ready to use."""

    def __init__(self, workspace_name: str) -> None:
        """Read the static files and prepare the templates."""
        self.assets = load_assets()
        self._environment = Environment(
            loader=PackageLoader("tillit.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            asset=self._address, workspace_name=workspace_name, places=list_places, icon=_icon, form_token=_form_token
        )
        self._environment.filters.update(
            time_of_day=_time_of_day,
            day_and_time=_day_and_time,
            day=_day,
            thousands=_thousands,
            capitalize_first=_capitalize_first,
        )

    def render(self, name: str, **shown: Any) -> str:
        """Give one page, or one part of a page."""
        return self._environment.get_template(name).render(**shown)

    def _address(self, name: str) -> str:
        return f"/console/static/{name}?v={self.assets[name].version}"


def _time_of_day(instant: str) -> str:
    return instant[11:19]


def _day_and_time(instant: str) -> str:
    return f"{instant[:10]} {instant[11:16]}"


def _day(instant: str) -> str:
    return instant[:10]


def _thousands(number: int) -> str:
    return f"{number:,}"


def _capitalize_first(text: str) -> str:
    # Of a sentence that begins with a name the rest stays as it is written.
    return text[:1].upper() + text[1:]


def _icon(name: str) -> Markup:
    # Drawn once for each page, in the layout: an outside file would be another request for every drawing.
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"></use></svg>').format(name)


@pass_context
def _form_token(context: Context) -> Markup:
    # What every form carries: the token of the session that the page was made for.
    return Markup('<input type="hidden" name="form_token" value="{}">').format(context["me"].form_token)
