"""The page to unsubscribe: small, whole in itself, alike with and without cookies and scripts.

In:    the shop's name, the purpose's title.
Out:   HTML, and the headers that go with it.
Never: anything that is loaded; a value of the person.
"""

import base64
import hashlib
from html import escape

from tillit.workspace.feedback import Offer

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}h1{font-size:1.3rem}button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;"
    "background:#1a1a1a;color:#fff;cursor:pointer}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#111}button{background:#eee;color:#111}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'".encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-robots-tag", b"noindex"),
)


def question(offer: Offer) -> bytes:
    """Ask whether somebody wants no more."""
    name, value = ONE_CLICK
    return _page(
        f"{offer.purpose}: no more?",
        f"<p>{_from(offer)} You get messages under the heading “{escape(offer.purpose)}”.</p>"
        f'<form method="post"><input type="hidden" name="{name}" value="{value}">'
        "<button>Unsubscribe</button></form>"
        "<p>Nothing changes before you press the button.</p>",
    )


def done(offer: Offer) -> bytes:
    """Say that it is done."""
    return _page(
        "You are unsubscribed",
        f"<p>{_from(offer)} You get no more messages under the heading “{escape(offer.purpose)}”.</p>"
        "<p>If you change your mind, agree again where you first did: on our site, or with us.</p>",
    )


def failed(title: str, words: str) -> bytes:
    """Say that it did not work."""
    return _page(title, f"<p>{escape(words)}</p>")


def _from(offer: Offer) -> str:
    return f"This is {escape(offer.shop)}." if offer.shop else ""


def _page(title: str, inside: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{inside}</main></body></html>"
    ).encode()
