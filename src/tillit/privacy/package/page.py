"""The page of a package that people read.

In:    sections with their first rows; rights; what was withheld.
Out:   one HTML page, whole in itself: light and dark, on paper and on a small screen, without a network.
Never: a script, an address to load from, a value that is not escaped.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup

from tillit.privacy.package.words import Section

if TYPE_CHECKING:
    from jinja2 import Template

# Taste: what a browser shows at once, and what a person scrolls through. The files hold all.
MOST_SHOWN = 500
_PLACE = files("tillit.privacy.package")


def write_page(
    *,
    title: str,
    about: Mapping[str, Any],
    sections: Sequence[tuple[Section, Sequence[Mapping[str, Any]], int]],
    rights: Sequence[tuple[str, str]],
    withheld: Sequence[Mapping[str, Any]],
) -> str:
    """Write the page."""
    style = _PLACE.joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        title=title,
        about=about,
        sections=[
            (section, [(*section.columns, "more"), *(_cells(section, row) for row in rows)], n_rows)
            for section, rows, n_rows in sections
        ],
        rights=rights,
        withheld=withheld,
        most=MOST_SHOWN,
        style=Markup(style),  # noqa: S704 -- our own file, hashed in the page's policy
        digest=digest,
    )


def shown(value: Any) -> str:
    r"""Write a value as people read it: marks that turn or hide what follows are spelled out.

    >>> shown(None), shown(True), shown("a\N{RIGHT-TO-LEFT OVERRIDE}b")
    ('', 'yes', 'a[U+202E]b')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"[U+{ord(sign):04X}]" if _is_hidden(sign) else sign for sign in text)


def _is_hidden(sign: str) -> bool:
    # Joiners are part of how Persian, Hindi and families of emoji are written.
    category = unicodedata.category(sign)
    return (category in {"Cc", "Cs"} and sign not in "\n\t") or (category == "Cf" and sign not in "\u200c\u200d")


def _cells(section: Section, row: Mapping[str, Any]) -> tuple[str, ...]:
    more = {key: value for key, value in row.items() if key not in section.columns}
    return (*(shown(row.get(column)) for column in section.columns), shown(more or None))


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # a tenth of a second, and seldom needed

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: _PLACE.joinpath(name).read_text(encoding="utf-8")),
    )
    return environment.get_template("page.html")
