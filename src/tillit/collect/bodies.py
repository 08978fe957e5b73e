"""Read a request's body: all of it, not more than allowed, not slower than allowed, unpacked.

In:    the ASGI `receive`, the headers.
Out:   the decompressed bytes.
Never: more bytes in memory than the limit, however the sender packs them; a second layer of packing undone.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tillit.collect.checks import BodyTooLarge, UnreadableBody
from tillit.collect.limits import Limits
from tillit.errors import InputError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP_MAGIC = b"\x1f\x8b"
_STEP = 65_536


class BodyTooSlow(InputError):
    """The sender took too long to send the body."""

    code = "collect.body-too-slow"
    status = 408  # the one 4xx, beside 429, after which every SDK tries again


class SenderGone(InputError):
    """The connection ended before the body did: there is nobody to answer."""

    code = "collect.sender-gone"


async def receive_body(receive: Receive, *, declared: bytes | None, limits: Limits) -> bytes:
    """Receive the whole body.

    Raises: BodyTooLarge (before reading, when the length was declared), BodyTooSlow, SenderGone.
    """
    if declared is not None and (not declared.isdigit() or len(declared) > 15 or int(declared) > limits.batch_bytes):
        raise _too_large(limits)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_read_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise SenderGone("The connection ended before the body did. Nothing of it was kept.")
                part = message.get("body", b"")
                size += len(part)
                if size > limits.batch_bytes:
                    raise _too_large(limits)
                if part:
                    parts.append(part)
                if not message.get("more_body", False):
                    break
    except TimeoutError as exc:
        raise BodyTooSlow(
            f"The body did not arrive within {limits.body_read_s:g} seconds. Nothing of it was kept; send it again."
        ) from exc
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unpack(body: bytes, encoding: bytes, *, limits: Limits) -> bytes:
    """Undo one layer of compression, if there is one.

    Raises: UnreadableBody, BodyTooLarge. The limit is watched while unpacking, not after.
    """
    name = encoding.strip().lower()
    # Some SDKs compress and do not say so; some proxies unpack and leave the header. The first bytes are surer.
    if body[:2] == _GZIP_MAGIC:
        if name not in {b"", b"identity", b"gzip", b"x-gzip"}:
            raise _unsupported()
        return _inflate(body, 16 + zlib.MAX_WBITS, limits)
    if name in {b"", b"identity", b"gzip", b"x-gzip"}:
        return body
    if name == b"deflate":
        # RFC 9110 means zlib; some senders mean the bare stream. A zlib header's two bytes divide by 31.
        is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
        return _inflate(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, limits)
    raise _unsupported()


def _inflate(body: bytes, window: int, limits: Limits) -> bytes:
    allowed = min(limits.batch_bytes, limits.decompressed_ratio * len(body))
    unpacker = zlib.decompressobj(window)
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while not unpacker.eof:
            part = unpacker.decompress(rest, _STEP)
            rest = unpacker.unconsumed_tail
            size += len(part)
            if size > allowed:
                raise BodyTooLarge(
                    f"The body unpacks to more than {limits.batch_bytes} bytes, or more than "
                    f"{limits.decompressed_ratio} times its size. Nothing of it was kept; send smaller batches.",
                    limit_bytes=limits.batch_bytes,
                    limit_ratio=limits.decompressed_ratio,
                )
            parts.append(part)
            if not part and not rest and not unpacker.eof:
                raise UnreadableBody("The compressed body ends too early. Nothing of it was kept; send it again.")
    except zlib.error as exc:
        raise UnreadableBody("The compressed body is damaged. Nothing of it was kept; send it again.") from exc
    if unpacker.unused_data:
        raise UnreadableBody("Something follows the compressed body. Nothing of it was kept; send one stream.")
    return b"".join(parts)


def _too_large(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limits.batch_bytes} bytes. Nothing of it was kept; send smaller batches.",
        limit_bytes=limits.batch_bytes,
    )


def _unsupported() -> UnreadableBody:
    return UnreadableBody("The Content-Encoding is not one layer of gzip or deflate. Nothing of the body was kept.")
