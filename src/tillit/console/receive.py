"""Receive an uploaded file: from the socket to the workspace's own folder, part by part.

In:    a form's body as a browser sends it, with one file.
Out:   the upload's record and its bytes on disk.
Never: the file in memory, or in a temporary folder of the machine; more of it than the settings allow.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any, cast

from litestar.exceptions import ClientException
from multipart import (  # type: ignore[import-untyped]  # ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from tillit.collect.files import Upload, Uploads, UploadTooLarge
from tillit.console.desk import Asking
from tillit.errors import InputError, RefusedError

_WRITE_BYTES = 1 << 20  # handed to a thread at a time
_DRAINED_BYTES = 64_000_000  # read and dropped before an early answer: browsers do not look for one while they send


class UploadBroken(InputError):
    """The form with the file cannot be read, or holds none."""

    code = "console.upload-broken"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The form held no file, or broke off on its way. Choose the file and send it again.")


class UploadUnsigned(RefusedError):
    """A form with a file came without the token of this session."""

    code = "console.upload-unsigned"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("This form belongs to a session that has ended. Load the page again and send it once more.")


async def receive_file(
    request: Asking, uploads: Uploads, *, form_token: str, asked_by: str, most_mb: int, retry_of: str | None = None
) -> Upload:
    """Take the file of a form. The session's token comes first in it, or as a header.

    Raises: UploadUnsigned; UploadTooLarge; UploadBroken. Nothing of the file is then kept.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise UploadBroken
    body = request.stream()
    receiving = _Receiving(uploads, asked_by, retry_of, form_token, request.headers.get("x-form-token", ""), most_mb)
    wait_longer = cast("dict[str, Any]", request.scope).get("tillit.wait_longer")
    try:
        with PushMultipartParser(options["boundary"], max_segment_count=8) as parser:
            async for chunk in body:
                for part in parser.parse(chunk):
                    await receiving.take(part)
                if wait_longer is not None and receiving.is_known:
                    wait_longer()
        return await receiving.finish()
    except MultipartError as exc:
        receiving.discard()
        raise UploadBroken from exc
    except ClientException as exc:  # the browser went away
        receiving.discard()
        raise UploadBroken from exc
    except (InputError, RefusedError):
        receiving.discard()
        await _drain(body)
        raise
    except BaseException:
        receiving.discard()
        raise


class _Receiving:
    """One form on its way in."""

    def __init__(
        self, uploads: Uploads, asked_by: str, retry_of: str | None, form_token: str, sent_token: str, most_mb: int
    ) -> None:
        self._uploads = uploads
        self._asked_by = asked_by
        self._retry_of = retry_of
        self._form_token = form_token
        self._most_mb = most_mb
        self._segment: MultipartSegment | None = None
        self._token = bytearray(sent_token.encode())
        self._held = bytearray()
        self._upload: Upload | None = None
        self._descriptor = -1

    @property
    def is_known(self) -> bool:
        """Say whether the token was right."""
        return secrets.compare_digest(bytes(self._token), self._form_token.encode())

    async def take(self, part: Any) -> None:
        if isinstance(part, MultipartSegment):
            self._segment = part
            if part.name == "form_token":
                self._token.clear()
            if part.name == "file" and part.filename and self._upload is None:
                self._begin(part.filename)
        elif part is None:
            self._segment = None
        elif self._segment is not None and self._segment.name == "form_token":
            self._token += part[: max(0, 200 - len(self._token))]
        elif self._segment is not None and self._segment.name == "file" and self._upload is not None:
            self._held += part
            self._upload.size_bytes += len(part)
            if self._upload.size_bytes > self._most_mb * 1_000_000:
                raise UploadTooLarge(self._most_mb)
            if len(self._held) >= _WRITE_BYTES:
                await self._write()

    def _begin(self, name: str) -> None:
        if not self.is_known:
            raise UploadUnsigned
        self._upload = self._uploads.create(name, asked_by=self._asked_by, retry_of=self._retry_of)
        self._descriptor = os.open(self._uploads.file(self._upload), os.O_WRONLY | os.O_TRUNC)

    async def _write(self) -> None:
        data, self._held = bytes(self._held), bytearray()
        await asyncio.to_thread(_write_all, self._descriptor, data)

    async def finish(self) -> Upload:
        if self._upload is None or not self._upload.size_bytes:
            raise UploadBroken
        await self._write()
        os.close(self._descriptor)
        self._descriptor = -1
        self._uploads.save(self._upload)
        return self._upload

    def discard(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._upload is not None:
            self._uploads.discard(self._upload)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


async def _drain(body: AsyncIterator[bytes]) -> None:
    n_bytes = 0
    try:
        async for chunk in body:
            n_bytes += len(chunk)
            if n_bytes > _DRAINED_BYTES:
                return
    except ClientException:
        return
