"""Unsubscribe: a word in a link that says which message it came with, and that nobody else can make.

In:    a delivery's key, a purpose, a channel; the workspace's secret.
Out:   a token for a link, and back.
Never: a personal value in a token; an end to its validity, since old mail is read too.
"""

import base64
import binascii
import hmac
from typing import NamedTuple

import msgspec

from tillit.errors import InputError

_USE = b"tillit unsubscribe 1\0"  # the same secret signs nothing else alike
_LONGEST = 1_000  # characters; names in definitions are far shorter


class TokenUnknown(InputError):
    """A token in a link to unsubscribe is not one of ours, or was changed."""

    code = "deliver.token-unknown"
    status = 404

    def __init__(self) -> None:
        """Say it without repeating the token."""
        super().__init__("This link to unsubscribe is not complete. Open it again from the mail.")


class Unsubscribing(NamedTuple):
    """What a token says."""

    key: str  # of the delivery that it went with
    purpose: str
    channel: str


def make_token(secret: bytes, *, key: str, purpose: str, channel: str) -> str:
    """Make a token: letters, digits, `-`, `_` and one dot."""
    said = msgspec.json.encode(Unsubscribing(key, purpose, channel))
    return f"{_spelled(said)}.{_spelled(_seal(secret, said))}"


def read_token(secret: bytes, token: str) -> Unsubscribing:
    """Read a token. Raises TokenUnknown. How long it takes says nothing about the seal."""
    said, _, seal = token.partition(".")
    if len(token) > _LONGEST or not token.isascii():
        raise TokenUnknown
    try:
        known = _unspelled(said)
        is_ours = hmac.compare_digest(_unspelled(seal), _seal(secret, known))
    except binascii.Error:
        raise TokenUnknown from None
    if not is_ours or _spelled(known) != said:
        raise TokenUnknown
    return msgspec.json.decode(known, type=Unsubscribing)


def _seal(secret: bytes, said: bytes) -> bytes:
    return hmac.digest(secret, _USE + said, "sha256")


def _spelled(told: bytes) -> str:
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def _unspelled(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
