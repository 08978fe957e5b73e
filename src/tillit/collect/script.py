"""The browser script: Segment's analytics-next, vendored, with the key of the source written in.

In:    a write key; the files in static/.
Out:   the script and its few optional parts, plain and gzipped.
Never: a file that the manifest does not name, a byte that differs from what was published under that hash.
"""

import gzip
import hashlib
from functools import lru_cache
from importlib.resources import files

import msgspec

from tillit.errors import InternalError

SCRIPT = "analytics.min.js"
MANIFEST = "manifest.json"
_PLACE = b"__WRITE_KEY__"


class VendoredFileChanged(InternalError):
    """A vendored file is not the one that its manifest names."""

    code = "collect.vendored-file-changed"


def manifest() -> dict[str, str]:
    """Give the vendored files and their sha256 hashes."""
    found = msgspec.json.decode(_read(MANIFEST))
    return {str(name): str(digest) for name, digest in found["sha256"].items()}


@lru_cache(maxsize=64)
def script_for(write_key: str) -> tuple[bytes, bytes]:
    """Give the script with this key written in: plain, and gzipped."""
    plain = _vendored(SCRIPT).replace(_PLACE, write_key.encode(), 1)
    return plain, gzip.compress(plain, 6, mtime=0)


@lru_cache(maxsize=64)
def find_part(name: str) -> bytes | None:
    """Give an optional part of the script (a bundle that some pages load), or None."""
    return _vendored(name) if name.endswith(".js") and name in manifest() else None


def _vendored(name: str) -> bytes:
    content = _read(name)
    if hashlib.sha256(content).hexdigest() != manifest()[name]:
        raise VendoredFileChanged(
            f"The vendored file {name} does not have the hash in its manifest. Install Tillit anew.", file=name
        )
    return content


def _read(name: str) -> bytes:
    return files("tillit.collect").joinpath("static", name).read_bytes()
