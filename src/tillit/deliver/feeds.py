"""Feeds: whether what a provider posts about our messages comes from that provider.

In:    how a destination tells what became of messages, its secret, a request.
Out:   nothing; an error when it is not to be believed.
Never: a request believed that carries no secret; how far a wrong one was right.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping

import msgspec

from tillit.clock import SECOND
from tillit.errors import RefusedError

INCOMING = "feedback:0"  # the place for which secrets are set that come in and go nowhere
_TOLERANCE_S = 300  # Standard Webhooks


class FeedRefused(RefusedError):
    """What was posted as feedback does not show that it comes from where it says."""

    code = "deliver.feed-refused"
    status = 401

    def __init__(self) -> None:
        """Say no more to whom we do not know."""
        super().__init__("This feedback was not taken: no destination is known that it could be from.")


class _Signed(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Mailgun(msgspec.Struct):
    signature: _Signed


def check_feed(shape: str, secret: str, headers: Mapping[str, str], body: bytes, *, now: int) -> None:
    """Judge a request by the secret. Raises FeedRefused.

    Shape:  headers by names in small letters. `plain` is signed after Standard Webhooks, `mailgun` as Mailgun signs;
            the others carry the secret as the password of `Authorization: Basic`, or as `Bearer`.
    Units:  now is UTC epoch microseconds.
    """
    judge = _JUDGES.get(shape, _has_word)
    try:
        is_theirs = judge(secret, headers, body, now)
    except (binascii.Error, ValueError, KeyError, msgspec.MsgspecError):
        is_theirs = False
    if not is_theirs:
        raise FeedRefused


def _is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:
    name, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now // SECOND - int(at)) > _TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    right = base64.b64encode(hmac.digest(key, f"{name}.{at}.".encode() + body, "sha256"))
    told = [one.partition(",")[2].encode() for one in headers["webhook-signature"].split() if one.startswith("v1,")]
    return any(hmac.compare_digest(right, one) for one in told)


def _is_mailguns(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:  # noqa: ARG001 -- as the others
    told = msgspec.json.decode(body, type=_Mailgun).signature
    right = hmac.digest(secret.encode(), f"{told.timestamp}{told.token}".encode(), "sha256").hex()
    return hmac.compare_digest(right.encode(), told.signature.encode())


def _has_word(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:  # noqa: ARG001 -- as the others
    form, _, rest = headers["authorization"].partition(" ")
    word = rest.strip().encode()
    if form.lower() == "basic":
        word = base64.b64decode(word, validate=True).partition(b":")[2]
    return hmac.compare_digest(secret.encode(), word)


_Judge = Callable[[str, Mapping[str, str], bytes, int], bool]
_JUDGES: Mapping[str, _Judge] = {"plain": _is_signed, "mailgun": _is_mailguns}
